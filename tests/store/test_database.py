"""What every transaction relies on: isolation, locks that end, and what is done again when the database refuses."""

from __future__ import annotations

import select as select_module
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import create_engine, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.conftest import CODE, NOW
from webapp.domain.errors import Conflict
from webapp.extensions import db
from webapp.services import control, heartbeat, jobs
from webapp.store import database, lease
from webapp.store.database import is_worth_retrying, retried, snapshot, writing
from webapp.store.models import Installation, Job, JobRevision, Worker

servers = pytest.mark.only_on("postgresql", "mariadb")
MakeJob = Callable[..., Job]


def isolation(connection: Any) -> str:
    level: str = connection.get_isolation_level()
    return level


@servers
def test_transactions_are_read_committed_and_snapshots_are_of_one_moment(app: Flask, make_job: MakeJob) -> None:
    job = make_job(name="before")
    with snapshot() as connection:
        assert isolation(connection) == "REPEATABLE READ"
        query = select(Job.__table__.c.name).where(Job.__table__.c.id == job.id)
        assert connection.scalar(query) == "before"
        jobs.patch(job.id, {"name": "after"}, actor=CODE, now=NOW)
        assert connection.scalar(query) == "before"
    with writing() as session:
        assert isolation(session.connection()) == "READ COMMITTED"
        assert session.scalar(query) == "after"


@servers
@pytest.mark.parametrize("rows", [1, 2])
def test_a_frozen_writer_loses_its_locks_and_commits_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A leader that is stopped in the middle of a transaction must not keep the lease's row from the others.

    Several rows at once are an ``executemany``, after which PostgreSQL itself does not watch any more.
    """
    monkeypatch.setattr(database, "SILENCE_S", 1)
    held = heartbeat.take(Worker(id="frozen", host="here", pid=1, detail={}), NOW)
    assert held is not None
    frozen, taken = threading.Event(), threading.Event()

    def freeze() -> None:
        with app.app_context(), writing() as session:
            assert lease.confirm(session, held)
            late = [{"name": f"late{number}", "value": "1", "updated_at": NOW} for number in range(rows)]
            session.execute(insert(Installation.__table__), late)
            frozen.set()
            taken.wait(20)

    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(freeze)
        assert frozen.wait(10)
        threading.Event().wait(1.2)  # the server's own clock measures the silence
        database.end_silent_writers()
        start = time.monotonic()
        with writing() as session:
            session.execute(update(lease.SchedulerLease).values(expires_at=None))
        assert time.monotonic() - start < 5
        second = heartbeat.take(Worker(id="second", host="here", pid=1, detail={}), NOW)
        taken.set()
        with pytest.raises(DBAPIError):
            asleep.result()
    assert second == lease.Held("second", held.epoch + 1)
    assert db.session.scalar(select(func.count(Installation.name)).where(Installation.name.like("late%"))) == 0


@pytest.mark.only_on("postgresql")
def test_a_writer_frozen_within_a_pipeline_loses_its_locks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SILENCE_S", 1)
    heartbeat.take(Worker(id="frozen", host="here", pid=1, detail={}), NOW)
    connection = db.engine.raw_connection()
    frozen: Any = connection.driver_connection
    pipeline = frozen.pipeline().__enter__()
    frozen.execute("UPDATE scheduler_lease SET expires_at = NULL")
    threading.Event().wait(1.2)
    database.end_silent_writers()
    held = heartbeat.take(Worker(id="second", host="here", pid=1, detail={}), NOW)
    assert held is None, "what the frozen one wrote stands"
    with pytest.raises(psycopg.OperationalError):
        pipeline.sync()
    connection.invalidate()


@servers
def test_other_transactions_may_be_silent_as_long_as_they_like(
    app: Flask, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task may use the same pool, and compute for long between two statements."""
    monkeypatch.setattr(database, "SILENCE_S", 1)
    make_job()  # the connection that the session gets next was a writer's
    before = db.session.scalar(select(func.count(Job.id)))
    threading.Event().wait(2.5)
    assert db.session.scalar(select(func.count(Job.id))) == before == 1


@servers
def test_of_two_use_cases_that_wait_for_each_other_both_succeed(app: Flask, make_job: MakeJob) -> None:
    first, second = make_job(name="first").id, make_job(name="second").id
    together = threading.Barrier(2, timeout=10)
    tries: list[str] = []

    @retried
    def rename(names: tuple[str, str]) -> None:
        with writing() as session:
            jobs.store.find(session, names[0], lock=True)
            tries.append(names[0])
            if len(tries) <= 2:
                together.wait()
            job = jobs.store.find(session, names[1], lock=True)
            assert job is not None
            job.name = f"renamed by the one that began with {names[0]}"

    def act(names: tuple[str, str]) -> None:
        with app.app_context():
            rename(names)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(act, [(first, second), (second, first)]))
    assert len(tries) >= 3, "they did not meet"
    db.session.rollback()
    db.session.expire_all()
    assert jobs.get(first).name.endswith(second)
    assert jobs.get(second).name.endswith(first)


def _number(connection: Any) -> int:
    """By which the server knows a session."""
    is_postgresql = db.engine.dialect.name == "postgresql"
    function = "pg_backend_pid" if is_postgresql else "connection_id"
    return int(connection.exec_driver_sql(f"SELECT {function}()").scalar_one())


def cut(number: int) -> None:
    """Let the server end this session; PostgreSQL says when it has."""
    with create_engine(db.engine.url, poolclass=NullPool).connect() as other:
        if db.engine.dialect.name == "postgresql":
            other.exec_driver_sql(f"SELECT pg_terminate_backend({number}, 5000)")
        else:
            other.exec_driver_sql(f"KILL {number}")


@servers
def test_a_connection_that_ended_in_the_pool_is_not_used_again(app: Flask) -> None:
    with db.engine.connect() as connection:
        dead = _number(connection)
    cut(dead)
    for _ in range(3):
        assert db.session.scalar(select(func.count()).select_from(Job)) == 0
        assert _number(db.session.connection()) != dead
        db.session.remove()


@pytest.mark.only_on("postgresql")
def test_a_server_that_has_said_nothing_is_not_asked_whether_it_is_there(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(db.engine.dialect, "do_ping", asked.append)
    for _ in range(3):
        db.session.scalar(select(func.count()).select_from(Job))
        db.session.remove()
    assert not asked
    db.engine.dispose()
    with db.engine.connect() as connection:
        connection.exec_driver_sql("LISTEN something")
        connection.commit()
        with create_engine(db.engine.url, poolclass=NullPool).begin() as other:
            other.exec_driver_sql("NOTIFY something")
        arrived, _, _ = select_module.select([connection.connection.dbapi_connection], [], [], 10)
        assert arrived
    with db.engine.connect():
        assert asked


@pytest.mark.only_on("postgresql")
def test_who_reads_has_no_transaction_and_who_writes_has_one(app: Flask) -> None:
    def status() -> TransactionStatus:
        connection: Any = db.session.connection().connection.dbapi_connection
        found: TransactionStatus = connection.info.transaction_status
        return found

    def rows() -> int | None:
        return db.session.scalar(select(func.count()).select_from(Installation).where(Installation.name == "half"))

    assert rows() == 0
    assert status() is TransactionStatus.IDLE
    with suppress(ZeroDivisionError), writing() as session:
        session.add(Installation(name="half", value="1", updated_at=NOW))
        session.flush()
        assert status() is TransactionStatus.INTRANS
        raise ZeroDivisionError
    assert rows() == 0
    assert status() is TransactionStatus.IDLE


@servers
def test_a_connection_that_breaks_before_the_commit_costs_nothing(app: Flask, make_job: MakeJob) -> None:
    job_id = make_job().id
    tries = []

    @retried
    def rename() -> None:
        with writing() as session:
            tries.append(1)
            if len(tries) == 1:
                cut(_number(session.connection()))
            session.execute(update(Job).where(Job.id == job_id).values(name="renamed"))

    rename()
    assert len(tries) == 2
    db.session.expire_all()
    assert jobs.get(job_id).name == "renamed"


@servers
def test_a_commit_whose_answer_is_lost_is_reported_and_not_done_again(app: Flask) -> None:
    tries = []

    @retried
    def note() -> None:
        with writing() as session:
            tries.append(1)
            session.add(Installation(name=f"try {len(tries)}", value="1", updated_at=NOW))
            session.flush()
            cut(_number(session.connection()))

    with pytest.raises(DBAPIError):
        note()
    assert len(tries) == 1


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({"sqlstate": "40001"}, True),
        ({"sqlstate": "40P01"}, True),
        ({"sqlstate": "55P03"}, False),  # it has waited long enough
        ({"sqlstate": "23505"}, False),
        ({"args": (1213, "Deadlock found")}, True),
        ({"args": (1205, "Lock wait timeout exceeded")}, False),
        ({"args": (1062, "Duplicate entry")}, False),
        ({"args": ()}, False),
    ],
)
def test_only_what_may_succeed_now_is_done_again(code: dict[str, Any], expected: bool) -> None:
    original = SimpleNamespace(**{"args": ("text",), **code})
    assert is_worth_retrying(DBAPIError("UPDATE", {}, original)) is expected  # type: ignore[arg-type]


def test_of_many_that_create_a_job_under_one_id_one_succeeds(app: Flask) -> None:
    together = threading.Barrier(6)
    raw = {"id": "the-one", "task": "demo.echo", "trigger": {"kind": "interval", "minutes": 1}}

    def create(number: int) -> str:
        with app.app_context():
            together.wait()
            try:
                jobs.create({**raw, "name": f"by {number}"}, actor=CODE, now=NOW)
            except Conflict:
                return "taken"
            return "stored"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(create, range(6))) == ["stored", *["taken"] * 5]
    assert db.session.scalar(select(func.count(JobRevision.id))) == 1


def test_edits_of_one_job_from_many_sides_are_all_kept_in_order(app: Flask, make_job: MakeJob) -> None:
    job_id = make_job().id

    def edit(number: int) -> None:
        with app.app_context():
            jobs.patch(job_id, {"name": f"name {number}"}, actor=CODE, now=NOW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(edit, range(12)))
    revisions = jobs.revisions(job_id)
    assert [each.revision for each in revisions] == list(range(13, 0, -1))
    assert [each.until_at is None for each in revisions] == [True, *[False] * 12]


def test_of_two_that_pause_everything_at_once_one_is_told(app: Flask) -> None:
    together = threading.Barrier(4)

    def hold(number: int) -> bool:
        with app.app_context():
            together.wait()
            try:
                control.hold(actor=CODE, now=NOW)
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(hold, range(4))) == 1


def test_the_databases_clock_is_utc(app: Flask) -> None:
    from webapp import clock

    zone = {"postgresql": "SET TIME ZONE 'Asia/Tokyo'", "mysql": "SET time_zone = '+09:00'"}
    statement = zone.get(db.engine.dialect.name)
    if statement:
        db.session.execute(text(statement))
    moment = database.read_database_now(db.session())
    assert abs((moment - clock.now()).total_seconds()) < 5
    db.session.rollback()
