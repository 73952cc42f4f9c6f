"""Real processes on one database: launched as people launch them, and looked at through the database."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from tests.conftest import CODE
from tests.databases import Database
from tests.server import ROOT, Server
from webapp import clock, create_app
from webapp.extensions import db
from webapp.services import jobs
from webapp.settings import Settings
from webapp.store.models import Job

TASKS = "tests.faults.fault_tasks"
FLASK = [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py")]
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app", "-c", str(ROOT / "gunicorn.conf.py")]


class Look:
    """What the database says about the processes, read with plain SQL."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def rows(self, query: str, **values: Any) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).all()

    def one(self, query: str, **values: Any) -> Any:
        return self.rows(query, **values)[0][0]

    def leader(self) -> int | None:
        """The number of the process that holds the lease."""
        found = self.rows("SELECT holder FROM scheduler_lease WHERE holder IS NOT NULL")
        return int(found[0][0].split(":")[1]) if found else None

    def epoch(self) -> int:
        found = self.rows("SELECT epoch FROM scheduler_lease")
        return int(found[0][0]) if found else 0

    def processes(self) -> list[int]:
        """The numbers of the processes that have shown themselves and not left."""
        return sorted(row[0] for row in self.rows("SELECT pid FROM worker"))


@pytest.fixture
def url(database: Database, tmp_path: Path) -> str:
    """The database's URL for those who are not Carillon."""
    return database.url or f"sqlite:///{tmp_path / 'carillon.sqlite'}"


@pytest.fixture
def look(url: str) -> Look:
    return Look(create_engine(url, poolclass=NullPool))


@pytest.fixture
def make_server(tmp_path: Path, database: Database) -> Iterator[Callable[..., Server]]:
    """A server on the test's database that is not started yet; all are ended after the test."""
    made: list[Server] = []

    def make(**environment: str) -> Server:
        server = Server(
            tmp_path,
            **{
                "CARILLON_DATABASE_URL": database.url,
                "CARILLON_TASK_MODULES": TASKS,
                "CARILLON_LOG_LEVEL": "INFO",
                "CARILLON_STOP_WAIT_S": "5",
                **environment,
            },
        )
        server.log = tmp_path / f"server-{len(made)}.log"
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def desk(tmp_path: Path, database: Database) -> Iterator[Flask]:
    """An app in this process, which creates and changes jobs and never runs anything."""
    settings = Settings(instance_path=tmp_path, database_url=database.url, task_modules=[TASKS], _env_file=None)
    app = create_app(settings)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def add_job(desk: Flask, tmp_path: Path) -> Callable[..., Job]:
    """Store a job that leaves a line in ``trace.txt`` when it starts; each second, unless told otherwise."""

    def add(seconds: float = 0.0, **overrides: Any) -> Job:
        raw = {
            "task": "fault.trace",
            "kwargs": {"path": str(tmp_path / "trace.txt"), "seconds": seconds},
            "trigger": {"kind": "interval", "seconds": 1, "timezone": "UTC"},
            "coalesce": False,
            "max_instances": 1000,
            "overlap": "together",
            **overrides,
        }
        return jobs.create(raw, actor=CODE, now=clock.now())

    return add


def utc(value: Any) -> datetime:
    """A time as plain SQL gives it: SQLite's is text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
