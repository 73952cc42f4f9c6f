"""While the database is away, declared jobs run from memory if the settings allow it, and the ledger learns of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from tests.conftest import CODE
from webapp import clock
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import balance, jobs
from webapp.serving import scheduler_of
from webapp.settings import Settings, SettingsError, load
from webapp.store.models import Job, Run

Eventually = Callable[..., Any]
DECLARED = [
    {"id": "tick", "func": "demo.log", "kwargs": {"lines": 2, "interval_s": 0}, "trigger": "interval", "seconds": 1,
     "coalesce": False, "max_instances": 5},
]  # fmt: skip


@pytest.fixture
def kind() -> str:
    """The outage is injected into the driver's calls, which are SQLite's here."""
    return "sqlite"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance_path=tmp_path, memory_fallback=True, jobs=DECLARED, _env_file=None)


class Outage:
    """Refuses every statement while it is on, as a server that is gone would."""

    def __init__(self) -> None:
        self.on = False

    def __call__(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if self.on:
            raise OperationalError(statement, {}, sqlite3.OperationalError("the server is gone"))


@pytest.fixture
def outage(app: Flask) -> Iterator[Outage]:
    made = Outage()
    event.listen(db.engine, "before_cursor_execute", made)
    yield made
    made.on = False
    event.remove(db.engine, "before_cursor_execute", made)


def count(*where: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(Run).where(*where)) or 0


def test_what_ran_from_memory_is_in_the_ledger_when_the_database_is_back(
    outage: Outage, served: Flask, eventually: Eventually
) -> None:
    eventually(lambda: count(Run.state == RunState.SUCCEEDED) >= 1)
    fallback = scheduler_of(served).scheduler.fallback
    outage.on = True
    wait = threading.Event()
    for _ in range(100):
        if fallback.is_serving and sum(len(job.runs) for job in fallback._jobs) >= 2:
            break
        wait.wait(0.1)
    outage.on = False
    from_memory = Run.reason.like("It ran from memory%")
    eventually(lambda: count(from_memory) >= 2)
    newest = db.session.scalar(select(func.max(Run.id)))
    eventually(lambda: count(Run.id > newest, Run.state == RunState.SUCCEEDED) >= 2)
    scheduler_of(served).shutdown()
    db.session.rollback()
    rows = db.session.scalars(select(Run).where(Run.job_id == "tick").order_by(Run.due_at)).all()
    assert {run.state for run in rows} == {RunState.SUCCEEDED}
    assert {run.log_lines for run in rows} == {2}
    assert len({run.due_at for run in rows}) == len(rows), "a due time has two runs"
    now = clock.now()
    assert balance.read(now - timedelta(minutes=5), rows[-1].due_at).adds_up


def test_a_job_that_a_person_paused_does_not_run_from_memory(
    outage: Outage, served: Flask, eventually: Eventually
) -> None:
    scheduler = scheduler_of(served)
    eventually(lambda: count(Run.state == RunState.SUCCEEDED) >= 1)
    jobs.pause("tick", actor=CODE, now=clock.now())
    eventually(lambda: scheduler._last_seen == [])
    outage.on = True
    eventually_failing = threading.Event()
    for _ in range(100):
        if scheduler.scheduler._failures > 5:
            break
        eventually_failing.wait(0.1)
    assert not scheduler.scheduler.fallback.is_serving
    outage.on = False
    eventually(lambda: scheduler.scheduler._failures == 0)
    assert count(Run.reason.like("It ran from memory%")) == 0
    assert db.session.get(Job, "tick").state == "paused"


def test_a_server_that_never_saw_its_database_serves_what_the_code_says(
    outage: Outage, app: Flask, eventually: Eventually
) -> None:
    scheduler = scheduler_of(app)
    outage.on = True
    scheduler.fall_back()
    fallback = scheduler.scheduler.fallback
    wait = threading.Event()
    for _ in range(100):
        if any(run.values["state"] == "succeeded" for job in fallback._jobs for run in job.runs):
            break
        wait.wait(0.1)
    outage.on = False
    scheduler.start()
    eventually(lambda: count(Run.reason.like("It ran from memory%"), Run.state == RunState.SUCCEEDED) >= 1)
    eventually(lambda: db.session.get(Job, "tick") is not None)
    scheduler.shutdown()
    assert not fallback.is_serving


def test_without_the_setting_nothing_runs_from_memory(app: Flask) -> None:
    plain = Settings(instance_path=app.config["CARILLON"].instance_path, _env_file=None)
    assert plain.memory_fallback is False


def test_more_than_one_process_may_not_run_from_memory(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CARILLON_MEMORY_FALLBACK needs CARILLON_WORKERS=1"):
        load(instance_path=tmp_path, memory_fallback=True, workers=2)
