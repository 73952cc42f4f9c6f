"""Carillon's door: ``python app.py`` serves it, ``gunicorn app:app`` and ``flask`` find ``app`` here."""

from webapp import create_app
from webapp.settings import SettingsError, fail

if __name__ == "__main__":
    from webapp.server import main

    raise SystemExit(main())

if __name__ != "__mp_main__":  # the process of a run imports this file too, and builds the app that it needs itself
    try:
        app = create_app()
    except SettingsError as error:
        fail(str(error))
