"""Fixtures for every test: an app on a fresh database, a clock of the test's own, people, jobs and runs.

The tests of ON_EVERY_DATABASE run on SQLite, PostgreSQL and MariaDB, the others on SQLite only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.databases import KINDS, SERVERS, Backend, Database, NoServer, Reused, backend, migrate, skip_without
from tests.jobstores import redis_server as redis_server
from webapp import create_app
from webapp.domain.states import Role, RunState, RunTrigger
from webapp.extensions import db
from webapp.services import jobs, secrets, users
from webapp.services.actors import Actor
from webapp.settings import Settings
from webapp.store import database as store_database
from webapp.store.database import writing
from webapp.store.models import Job, Run, Secret, User

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse"
VALUE = "hunter2-very-secret"
CODE = Actor("test", Role.ADMIN, "code")
# A busy machine may hold a test up between two statements for longer than a served process may be silent. Servers that
# tests start keep their own limit, and the tests of the limit set theirs.
store_database.SILENCE_S = 120


ON_EVERY_DATABASE = (
    "store/",
    "engine/",
    "faults/test_database.py",
    "api/test_calendars.py",
    "api/test_jobs.py",
    "api/test_runs.py",
    "web/test_jobs_page.py",
    "web/test_runs_pages.py",
)
"""Where the tests are that run once for each kind of database."""
_TESTS = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test that uses a database the kinds it runs on; ``only_on`` marks name them where a test is special."""
    if "database" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("only_on")
    place = Path(metafunc.module.__file__ or "").relative_to(_TESTS).as_posix()
    kinds = mark.args if mark is not None else KINDS if place.startswith(ON_EVERY_DATABASE) else KINDS[:1]
    marks = {kind: [pytest.mark.services] if kind in SERVERS else [] for kind in KINDS}
    parameters = [pytest.param(kind, marks=marks[kind]) for kind in kinds]
    metafunc.parametrize("database", parameters, indirect=True, ids=kinds)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all migrations applied, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate(Database("sqlite", ""), folder)
    return folder / "carillon.sqlite"


def _backend(kind: str) -> Iterator[Backend]:
    try:
        with backend(kind) as made:
            yield made
    except NoServer as error:
        skip_without(error)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Backend]:
    """A PostgreSQL server."""
    yield from _backend("postgresql")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Backend]:
    """A MariaDB server."""
    yield from _backend("mariadb")


def _reused(made: Backend, tmp_path_factory: pytest.TempPathFactory) -> Reused:
    database = made.create()
    migrate(database, tmp_path_factory.mktemp(made.kind))
    return Reused(database)


@pytest.fixture(scope="session")
def postgresql_reused(postgresql: Backend, tmp_path_factory: pytest.TempPathFactory) -> Reused:
    """The PostgreSQL database of all tests of this process."""
    return _reused(postgresql, tmp_path_factory)


@pytest.fixture(scope="session")
def mariadb_reused(mariadb: Backend, tmp_path_factory: pytest.TempPathFactory) -> Reused:
    """The MariaDB database of all tests of this process."""
    return _reused(mariadb, tmp_path_factory)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A migrated database without a row in it: a file in ``tmp_path``, or the cleaned one on a server."""
    kind = request.param
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("migrated"), tmp_path / "carillon.sqlite")
        return Database("sqlite", "")
    reused: Reused = request.getfixturevalue(f"{kind}_reused")
    reused.clean()
    return reused.database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What the test's app is made with; the database is added to it."""
    return Settings(instance_path=tmp_path, _env_file=None)


def _build(settings: Settings, database: Database, **config: Any) -> Flask:
    settings.database_url = database.url
    app = create_app(settings)
    app.config.update(TESTING=True, RATELIMIT_ENABLED=False, **config)
    return app


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[Flask]:
    """The app, its scheduler not started, CSRF off; tests of CSRF take ``csrf_app``."""
    app = _build(settings, database, WTF_CSRF_ENABLED=False)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def csrf_app(settings: Settings, database: Database) -> Iterator[Flask]:
    """The app as it is served, with CSRF protection on."""
    app = _build(settings, database)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def make_user(app: Flask) -> Callable[..., User]:
    """Make a user of a role, named like the role unless told otherwise."""

    def make(role: Role | str = Role.ADMIN, name: str | None = None) -> User:
        return users.create(name or str(role), PASSWORD, Role(role), actor=CODE, now=NOW)

    return make


@pytest.fixture
def admin(make_user: Callable[..., User]) -> User:
    return make_user(Role.ADMIN, "admin")


@pytest.fixture
def login_as(make_user: Callable[..., User]) -> Callable[..., User]:
    """Log a client in as a user of a role, who is made if needed."""

    def login(client: FlaskClient, role: Role | str = Role.ADMIN) -> User:
        user = db.session.query(User).filter_by(name=str(role)).first() or make_user(role)
        answer = client.post("/login", data={"name": user.name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return user

    return login


@pytest.fixture
def make_job(app: Flask) -> Callable[..., Job]:
    """Store a job: every minute, ``demo.echo``, unless told otherwise."""

    def make(now: datetime = NOW, **overrides: Any) -> Job:
        raw = {
            "task": "demo.echo",
            "name": "A job",
            "trigger": {"kind": "interval", "minutes": 1, "timezone": "UTC"},
            **overrides,
        }
        return jobs.create(raw, actor=CODE, now=now)

    return make


@pytest.fixture
def make_secret(app: Flask) -> Callable[..., Secret]:
    """Store a secret; its value is ``VALUE`` unless told otherwise."""

    def make(name: str, value: str = VALUE) -> Secret:
        return secrets.create(name, value, "", actor=CODE, now=NOW)

    return make


@pytest.fixture
def make_run(app: Flask) -> Callable[..., Run]:
    """Put a run of a job into the ledger as it stands, by default one that succeeded in a second."""

    def make(job: Job, **overrides: Any) -> Run:
        due_at = overrides.pop("due_at", NOW)
        run = Run(
            **{
                "job_id": job.id, "job_name": job.name, "job_revision": job.revision, "task": job.task,
                "args": job.args, "kwargs": job.kwargs, "trigger": RunTrigger.SCHEDULE, "state": RunState.SUCCEEDED,
                "attempt": 1, "due_at": due_at, "first_due_at": due_at, "due_count": 1, "available_at": NOW,
                "queued_at": NOW, "started_at": NOW, "finished_at": NOW + timedelta(seconds=1), "updated_at": NOW,
                "executor": "default", "rank": 0, "log_lines": 0, **overrides,
            }
        )  # fmt: skip
        with writing() as session:
            session.add(run)
        return run

    return make
