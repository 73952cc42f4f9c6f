"""Carillon under gunicorn: ``python app.py`` and what plain ``gunicorn app:app`` needs to know."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import socket
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from webapp import create_app, serving
from webapp.domain.errors import Unavailable
from webapp.settings import Settings, SettingsError, fail, load


def main(arguments: list[str] | None = None) -> int:
    """``python app.py``: serve until a signal ends it. Bad settings end it with one line and code 2."""
    try:
        settings = load(**_options_of(arguments))
        _check_port(settings)
        app = create_app(settings)
        serving.configure_logging(settings)
        _prepare(app)
    except SettingsError as error:
        fail(str(error))
    Server(app, settings).run()
    return 0


def _options_of(arguments: list[str] | None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python app.py", description="Serve Carillon.")
    parser.add_argument("--host", help="address to listen on (CARILLON_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on (CARILLON_PORT)")
    parser.add_argument("--workers", type=int, help="server processes (CARILLON_WORKERS)")
    parser.add_argument("--database-url", help="SQLAlchemy URL of the database (CARILLON_DATABASE_URL)")
    given = vars(parser.parse_args(arguments))
    return {name: value for name, value in given.items() if value is not None}


def _check_port(settings: Settings) -> None:
    """Say in one line that the port is taken, before gunicorn tries it five times."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            why = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used: {error.strerror}"
            )
            raise SettingsError(f"CARILLON_PORT: {settings.host}:{settings.port} {why}") from error
        except UnicodeError as error:
            raise SettingsError(f"CARILLON_HOST: {settings.host!r} is not an address") from error


def _prepare(app: Flask) -> None:
    """Prepare the database and greet; a database that does not answer is asked again by the worker."""
    try:
        serving.prepare(app)
    except Unavailable as error:
        logging.getLogger(__name__).warning("%s", error)
    for line in serving.greeting(app):
        print(line, flush=True)  # noqa: T201 - this is what the person who starts it reads


def options(settings: Settings) -> dict[str, Any]:
    """gunicorn's options for these settings, with the hooks that prepare the database and start the scheduler."""
    return {
        "bind": [f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"],
        "workers": settings.workers,
        "worker_class": "webapp.request_worker.Worker",
        "threads": settings.threads,
        "timeout": 120,
        "graceful_timeout": settings.stop_wait_s + 15,
        "keepalive": 15,
        "loglevel": settings.log_level.lower(),
        "proc_name": "carillon",
        "control_socket_disable": True,  # it would stand in the home folder, one for all servers of a user
        "forwarded_allow_ips": "127.0.0.1",
        "on_starting": on_starting,
        "post_worker_init": post_worker_init,
        "worker_exit": worker_exit,
    }


def on_starting(server: Any) -> None:
    """In gunicorn's own process, before there are workers. ``python app.py`` has done all this already."""
    if isinstance(server.app, Server):
        return
    try:
        app = server.app.wsgi()
        serving.configure_logging(app.config["CARILLON"])
        _prepare(app)
    except SettingsError as error:
        fail(str(error))


def post_worker_init(worker: Any) -> None:
    """In a worker, before it serves: its scheduler may lead."""
    serving.configure_logging(worker.app.wsgi().config["CARILLON"])
    serving.start(worker.app.wsgi())


def worker_exit(server: Any, worker: Any) -> None:
    """In a worker that ends: let runs end, then release the lease."""
    if worker.app.callable is not None:
        serving.stop(worker.app.callable)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with Carillon's options. The app is built before the fork; no connection or thread crosses it."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        os.environ.pop("GUNICORN_CMD_ARGS", None)
        super().__init__()

    def load_config(self) -> None:
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app
