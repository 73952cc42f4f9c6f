"""What plain ``gunicorn app:app`` takes from Carillon's settings; options on its command line win."""

from webapp.server import options
from webapp.settings import SettingsError, fail, load

try:
    globals().update(options(load()))
except SettingsError as error:
    fail(str(error))
