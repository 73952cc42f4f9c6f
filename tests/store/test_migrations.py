"""Migrations at start: one process makes them, the others wait; a newer or a foreign database is refused."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect, select, text

from tests.conftest import NOW
from tests.databases import Backend, Database
from webapp import create_app, serving
from webapp.extensions import db
from webapp.services import setup
from webapp.settings import Settings, SettingsError
from webapp.store import upgrade
from webapp.store.database import writing
from webapp.store.models import Job, Run, RunLog, User

MIGRATIONS = Path(upgrade.__file__).parent / "migrations"
LATER = """
import time
from alembic import op
import sqlalchemy as sa

revision = "9999"
down_revision = {head!r}
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("upgraded", sa.Column("n", sa.Integer(), primary_key=True))
    time.sleep({pause_s})
    with op.batch_alter_table("run", recreate="auto") as table:
        table.add_column(sa.Column("mood", sa.String(20), nullable=False, server_default="calm"))
        table.alter_column("job_name", type_=sa.String(250), existing_type=sa.String(200), existing_nullable=False)
"""


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Database:
    """A database of the kind on which nothing was done yet."""
    if database.kind == "sqlite":
        (tmp_path / "carillon.sqlite").unlink()
        return database
    made: Backend = request.getfixturevalue(database.kind)
    return made.create()


@pytest.fixture
def build(tmp_path: Path, empty: Database) -> Callable[[], Flask]:
    """An app on the empty database, as each process makes its own."""
    return lambda: create_app(Settings(instance_path=tmp_path, database_url=empty.url, _env_file=None))


def head() -> str:
    return ScriptDirectory(str(MIGRATIONS)).get_heads()[0]


def with_later_revision(app: Flask, folder: Path, pause_s: float = 0.0) -> Flask:
    """Let the app know a revision that this version does not have."""
    copy = folder / "migrations"
    if not copy.exists():
        shutil.copytree(MIGRATIONS, copy)
        (copy / "versions" / "9999_later.py").write_text(LATER.format(head=head(), pause_s=pause_s))
    app.extensions["migrate"].directory = str(copy)
    return app


def revision_of(app: Flask) -> str:
    with app.app_context(), db.engine.connect() as connection:
        found: str = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def close(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_the_migrations_make_the_tables_of_the_models(app: Flask) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, db.metadata) == []


def test_an_empty_database_is_brought_to_the_newest_revision(build: Callable[[], Flask]) -> None:
    app = build()
    serving.prepare(app)
    assert revision_of(app) == head()
    close(app)


def test_of_many_processes_one_migrates_and_the_others_wait(build: Callable[[], Flask], tmp_path: Path) -> None:
    apps = [with_later_revision(build(), tmp_path, pause_s=0.5) for _ in range(6)]
    for app in apps[3:]:  # as on another machine, which does not see this one's lock file
        if app.config["CARILLON"].database_url:
            app.config["CARILLON"].instance_path = tmp_path / "elsewhere"
            app.config["CARILLON"].instance_path.mkdir(exist_ok=True)
    together = threading.Barrier(len(apps))

    def start(app: Flask) -> None:
        together.wait()
        serving.prepare(app)

    with ThreadPoolExecutor(len(apps)) as pool:
        list(pool.map(start, apps))  # raises what any of them raised
    assert {revision_of(app) for app in apps} == {"9999"}
    for app in apps:
        close(app)


def test_an_old_database_with_everything_in_it_is_upgraded_and_keeps_it(
    build: Callable[[], Flask], tmp_path: Path
) -> None:
    old = build()
    serving.prepare(old)
    with old.app_context():
        user = setup.redeem(setup.issue(NOW), "first", "correct horse", now=NOW, address=None)
        run = Run(
            job_id="gone", job_name="Ganz früher 🔔", job_revision=1, task="demo.echo", args=[], kwargs={"n": 1},
            trigger="schedule", state="succeeded", due_at=NOW, available_at=NOW, queued_at=NOW, updated_at=NOW,
            executor="default",
        )  # fmt: skip
        with writing() as session:
            session.add(run)
            session.flush()
            session.add(RunLog(run_id=run.id, first_line=0, lines=1, text="2026-06-01T12:00:00.000Z\tinfo\tkept"))
        assert user.id
    close(old)

    new = with_later_revision(build(), tmp_path)
    serving.prepare(new)
    with new.app_context():
        assert db.session.scalars(select(Run.job_name)).all() == ["Ganz früher 🔔"]
        assert db.session.execute(text("SELECT mood FROM run")).scalar_one() == "calm"
        assert db.session.scalars(select(RunLog.text)).one().endswith("kept")
        assert db.session.scalars(select(User.name)).all() == ["first"]
        assert "upgraded" in inspect(db.engine).get_table_names()
        names = {index["name"] for index in inspect(db.engine).get_indexes("run")}
        assert "ix_run_dispatch" in names
    close(new)


def test_a_database_that_is_newer_than_the_code_is_refused_in_one_line(
    build: Callable[[], Flask], tmp_path: Path
) -> None:
    newer = with_later_revision(build(), tmp_path)
    serving.prepare(newer)
    close(newer)
    old = build()
    with pytest.raises(SettingsError) as refusal:
        serving.prepare(old)
    assert str(refusal.value).startswith("the database is newer than this version of Carillon: it has revision 9999")
    assert "\n" not in str(refusal.value)
    assert revision_of(old) == "9999"
    close(old)


def test_tables_of_another_program_are_refused_and_left_alone(build: Callable[[], Flask]) -> None:
    app = build()
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE job (mine int)"))
    with pytest.raises(SettingsError, match=r"tables of another program.*\(job\).*an empty database"):
        serving.prepare(app)
    with app.app_context():
        assert inspect(db.engine).get_table_names() == ["job"]
    close(app)


@pytest.mark.only_on("postgresql", "mariadb")
def test_an_old_server_is_refused_with_its_version(
    build: Callable[[], Flask], empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, least = {"postgresql": ("PostgreSQL", "99.0"), "mariadb": ("MariaDB", "99.0")}[empty.kind]
    monkeypatch.setitem(upgrade._LEAST, name, (99, 0))
    app = build()
    with pytest.raises(SettingsError, match=rf"{name} {least} or newer is needed, the server is \d+\.\d+\."):
        serving.prepare(app)
    close(app)


@pytest.mark.only_on("sqlite")
def test_a_migration_that_fails_leaves_an_sqlite_file_as_it_was(build: Callable[[], Flask], tmp_path: Path) -> None:
    serving.prepare(old := build())
    close(old)
    app = with_later_revision(build(), tmp_path)
    script = tmp_path / "migrations" / "versions" / "9999_later.py"
    script.write_text(script.read_text() + "\n    raise RuntimeError('no')\n")
    with pytest.raises(RuntimeError, match="no"):
        serving.prepare(app)
    with app.app_context():
        assert "upgraded" not in inspect(db.engine).get_table_names()
    assert revision_of(app) == head()
    close(app)


@pytest.mark.only_on("mariadb")
def test_every_letter_fits_into_every_table_of_mariadb(app: Flask) -> None:
    query = "SELECT table_name, column_name, character_set_name FROM information_schema.columns"
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT @@character_set_database")) == "latin1", "or this shows nothing"
        rows = connection.execute(text(f"{query} WHERE table_schema = database() AND data_type <> 'char'")).all()
    assert [row for row in rows if row[2] not in (None, "utf8mb4")] == []
    assert any(row[0] == Job.__tablename__ and row[2] == "utf8mb4" for row in rows)
