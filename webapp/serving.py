"""What a process that serves does before its first request: bring the database up to date, greet, start the scheduler.

Building an app does none of this, so commands and tests run nothing. A database server that does not answer yet stops
nothing either: the process serves pages that say so, and begins to work when the database is back.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import threading
from typing import cast

from flask import Flask, current_app
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from webapp import clock
from webapp.domain.errors import Unavailable
from webapp.engine.extension import Scheduler
from webapp.extensions import db
from webapp.services import setup
from webapp.settings import Settings, SettingsError
from webapp.store.upgrade import upgrade

RETRY_S = 1.0
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_STARTED = "carillon_started"
"""Under this name the app keeps the number of the process in which ``start`` was called: a fork starts anew."""

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """A server that was started without Carillon's own configuration starts the scheduler at its first request.

    That is ``flask run`` too: of the debug reloader's two processes only the one that serves gets requests.
    """
    first = threading.Lock()
    app.extensions["carillon_run_scheduler"] = run_scheduler
    app.extensions["carillon_prepare"] = prepare

    @app.before_request
    def start_once() -> None:
        if not app.testing and first.acquire(blocking=False) and app.extensions.get(_STARTED) != os.getpid():
            start(app)
            atexit.register(stop, app)


def configure_logging(settings: Settings) -> None:
    """Carillon's own log goes to standard error, one line for each event."""
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    for noisy in ("httpx", "httpcore", "alembic", "flask-limiter"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))


def prepare(app: Flask) -> None:
    """Bring the database up to date and create the first admin of the settings, if there is nobody yet.

    Raises Unavailable when a database server does not answer, and SettingsError, in one line, when the database
    cannot be used at all.
    """
    settings: Settings = app.config["CARILLON"]
    with app.app_context():
        try:
            upgrade_database(settings)
            setup.create_from_settings(settings, clock.now())
        except SQLAlchemyError as error:
            if isinstance(error, OperationalError) and not settings.database.startswith("sqlite"):
                where = make_url(settings.database).render_as_string()
                raise Unavailable(f"The database {where} does not answer: {_first_line(error)}") from error
            raise SettingsError(f"CARILLON_DATABASE_URL: the database cannot be used: {_first_line(error)}") from error
        finally:
            db.session.remove()
            db.engine.dispose()
    app.extensions["carillon_prepared"] = True


def upgrade_database(settings: Settings) -> None:
    """Apply the migrations that are missing; in an app context. Raises SettingsError where that cannot be."""
    migrations = current_app.extensions["migrate"]
    upgrade(migrations.migrate.get_config(migrations.directory), settings.instance_path)


def greeting(app: Flask) -> list[str]:
    """The lines that a starting server prints: where it is, and how to make the first admin."""
    settings: Settings = app.config["CARILLON"]
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104 - compared, not bound
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    lines = [f"Carillon is at {address}"]
    if not app.extensions.get("carillon_prepared"):
        return [*lines, "The database does not answer yet; Carillon waits for it."]
    with app.app_context():
        if setup.needed():
            lines.append(f"Create the first admin: {address}/setup?token={setup.issue(clock.now())}")
        db.session.remove()
        db.engine.dispose()
    return lines


def start(app: Flask, *, always: bool = False) -> None:
    """Start the scheduler in this process, unless the settings say that it serves pages only and it is not ``always``.

    Where the database has not answered yet, a thread goes on asking and starts the scheduler when it does.
    """
    settings: Settings = app.config["CARILLON"]
    leads = always or settings.scheduler == "auto"
    app.extensions[_STARTED] = os.getpid()
    gc.freeze()  # what an app is made of stays; walking through it again and again would take a sixth of all CPU time
    if not app.extensions.get("carillon_prepared"):
        if leads:
            scheduler_of(app).fall_back()
        asking = threading.Thread(target=_start_when_possible, args=(app, leads), name="carillon-start", daemon=True)
        asking.start()
    elif leads:
        scheduler_of(app).start()


def _start_when_possible(app: Flask, leads: bool) -> None:
    if prepare_when_possible(app):
        for line in greeting(app):
            log.info(line)
    if leads:
        scheduler_of(app).start()


def prepare_when_possible(app: Flask) -> bool:
    """``prepare`` as soon as the database lets it; whether it had to be waited for."""
    pause = threading.Event()
    said = ""
    while True:
        try:
            prepare(app)
            return bool(said)
        except (Unavailable, SettingsError) as error:
            if str(error) != said:
                said = str(error)
                log.warning("%s Carillon goes on asking.", said)
        except Exception:
            log.exception("the database could not be prepared; Carillon goes on trying")
        pause.wait(RETRY_S)


def run_scheduler(app: Flask) -> None:
    """Serve due times without pages until SIGTERM or SIGINT, then stop in order. Raises SettingsError."""
    configure_logging(app.config["CARILLON"])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        prepare(app)
    except Unavailable as error:
        log.warning("%s", error)
    start(app, always=True)
    log.info("serving due times without pages, as process %d", os.getpid())
    ended.wait()
    stop(app)


def stop(app: Flask) -> None:
    """Stop the scheduler in order; waits for runs as long as the settings allow."""
    scheduler_of(app).shutdown(wait=True)


def scheduler_of(app: Flask) -> Scheduler:
    """The scheduler that the factory attached."""
    return cast(Scheduler, app.extensions["carillon_scheduler"])


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
