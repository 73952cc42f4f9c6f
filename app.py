"""Carillon's door: ``python app.py``, ``gunicorn app:app``, ``flask`` and ``celery -A app.celery_app`` enter here."""

from typing import Any

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


def __getattr__(name: str) -> Any:
    """``celery_app`` is made when somebody asks for it: Celery is an extra, and a server needs none."""
    if name != "celery_app":
        raise AttributeError(name)
    from webapp.celery_worker import celery_app

    try:
        made = globals()["celery_app"] = celery_app(app)
    except SettingsError as error:
        fail(str(error))
    return made
