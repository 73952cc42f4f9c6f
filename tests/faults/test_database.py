"""The database is locked, full or gone for a while: the loop lives, and nothing is lost."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from tests.conftest import CODE
from webapp import clock
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import jobs
from webapp.serving import scheduler_of
from webapp.store import database
from webapp.store.models import Job, Run

Eventually = Callable[..., Any]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers give up after half a second, so that a lock longer than that is soon over."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.5)


@pytest.fixture
def every_second(served: Flask) -> Job:
    raw = {"task": "demo.log", "kwargs": {"lines": 5, "interval_s": 0}, "trigger": {"kind": "interval", "seconds": 1}}
    return jobs.create({**raw, "coalesce": False}, actor=CODE, now=clock.now())


def succeeded() -> int:
    return db.session.scalar(select(func.count()).where(Run.state == RunState.SUCCEEDED)) or 0


def due_times(job: Job) -> list[Any]:
    return list(db.session.scalars(select(Run.due_at).where(Run.job_id == job.id).order_by(Run.due_at)))


def assert_whole(served: Flask, job: Job) -> None:
    """Every due time has one row, and both of the scheduler's threads live."""
    times = due_times(job)
    assert {late - early for early, late in pairwise(times)} == {timedelta(seconds=1)}
    assert scheduler_of(served).loop_alive


@pytest.mark.only_on("sqlite")
def test_a_write_lock_longer_than_the_wait_stops_nothing_for_good(
    served: Flask, every_second: Job, eventually: Eventually
) -> None:
    eventually(lambda: succeeded() >= 1)
    before = succeeded()
    locker = sqlite3.connect(db.engine.url.database or "", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    threading.Event().wait(2.5)
    assert scheduler_of(served).scheduler._failures > 0, "the lock was not felt"
    locker.execute("ROLLBACK")
    locker.close()
    eventually(lambda: succeeded() >= before + 4)
    assert_whole(served, every_second)


class Trouble:
    """Makes statements fail as a driver would, while it is on."""

    def __init__(self, message: str) -> None:
        self.on = False
        self.met = 0
        self._message = message

    def __call__(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if self.on and statement.startswith(("INSERT", "UPDATE", "BEGIN IMMEDIATE")):
            self.met += 1
            raise OperationalError(statement, {}, sqlite3.OperationalError(self._message))


@pytest.fixture
def trouble(served: Flask) -> Iterator[Trouble]:
    made = Trouble("database or disk is full")
    event.listen(db.engine, "before_cursor_execute", made)
    yield made
    event.remove(db.engine, "before_cursor_execute", made)


def test_a_full_disk_keeps_outcomes_and_logs_until_there_is_room(
    served: Flask, every_second: Job, trouble: Trouble, eventually: Eventually
) -> None:
    eventually(lambda: succeeded() >= 1)
    trouble.on = True
    threading.Event().wait(2.2)
    trouble.on = False
    assert trouble.met > 0
    before = succeeded()
    eventually(lambda: succeeded() >= before + 3)
    assert_whole(served, every_second)
    query = select(Run).where(Run.state == RunState.SUCCEEDED)
    assert {run.log_lines for run in db.session.scalars(query)} == {5}


def test_a_run_that_ends_while_nothing_can_be_written_keeps_its_outcome(
    served: Flask, trouble: Trouble, eventually: Eventually
) -> None:
    job = jobs.create(
        {"task": "demo.sleep", "kwargs": {"seconds": 0.5}, "trigger": {"kind": "interval", "days": 1}},
        actor=CODE, now=clock.now(),
    )  # fmt: skip
    run = jobs.run_now(job.id, actor=CODE, now=clock.now())
    query = select(Run.state).where(Run.id == run.id)
    eventually(lambda: db.session.scalar(query) == RunState.RUNNING)
    trouble.on = True
    eventually(lambda: trouble.met > 2)
    assert db.session.scalar(query) == RunState.RUNNING
    trouble.on = False
    eventually(lambda: db.session.scalar(query) == RunState.SUCCEEDED)


class LostAnswer:
    """Lets one commit through and then says that it failed, as when a connection breaks at that moment."""

    def __init__(self) -> None:
        self.on = False

    def __call__(self, connection: Any) -> None:
        if self.on and threading.current_thread().name == "carillon-recorder":
            self.on = False
            connection.connection.commit()
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("the connection was lost"))


def test_a_commit_whose_answer_is_lost_starts_each_run_once_and_writes_each_line_once(
    served: Flask, every_second: Job, eventually: Eventually
) -> None:
    fault = LostAnswer()
    event.listen(db.engine, "commit", fault)
    try:
        for _ in range(4):
            before = succeeded()
            fault.on = True
            eventually(lambda: not fault.on)
            eventually(lambda before=before: succeeded() > before + 1)
    finally:
        event.remove(db.engine, "commit", fault)
    assert_whole(served, every_second)
    rows = db.session.scalars(select(Run).where(Run.state == RunState.SUCCEEDED)).all()
    assert {run.log_lines for run in rows} == {5}


def test_twenty_due_at_once_with_two_workers_all_run(served: Flask, eventually: Eventually) -> None:
    served.extensions["carillon_scheduler"].scheduler._executors["default"].max_workers = 2
    start = clock.now()
    due = start + timedelta(seconds=2)
    for _ in range(20):
        jobs.create(
            {"task": "demo.sleep", "kwargs": {"seconds": 0.05, "steps": 1},
             "trigger": {"kind": "date", "run_date": due.isoformat()}},
            actor=CODE, now=start,
        )  # fmt: skip
    eventually(lambda: succeeded() == 20, 20)
    most = db.session.scalars(select(Run).order_by(Run.started_at)).all()
    for run in most:
        together = [each for each in most if each.started_at <= run.started_at < each.finished_at]
        assert len(together) <= 2


def test_a_trigger_that_raises_leaves_the_other_jobs_running(
    served: Flask, every_second: Job, eventually: Eventually
) -> None:
    bad = jobs.create({"task": "demo.echo", "trigger": {"kind": "interval", "seconds": 1}}, actor=CODE, now=clock.now())
    with database.writing() as session:
        job = session.get(Job, bad.id)
        assert job is not None
        job.trigger = {"kind": "interval", "seconds": -5}
    eventually(lambda: jobs.get(bad.id).state == "quarantined")
    before = succeeded()
    eventually(lambda: succeeded() >= before + 2)
    assert_whole(served, every_second)
