"""The clock goes forward and back by an hour: noticed, written down, and nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import NOW
from webapp.engine.scheduler import CarillonScheduler
from webapp.extensions import db
from webapp.serving import scheduler_of
from webapp.store.models import EngineEvent, Job, Run

HOUR = timedelta(hours=1)


@pytest.fixture
def loop(app: Flask) -> CarillonScheduler:
    """The scheduler as ``start`` makes it, without its threads: the test makes its rounds."""
    scheduler: CarillonScheduler = scheduler_of(app).scheduler
    scheduler.begin()
    return scheduler


def rounds(loop: CarillonScheduler, start: datetime, mono: float, seconds: int) -> tuple[datetime, float]:
    """A round each second, both clocks in step; where they stand at the end."""
    for second in range(seconds):
        loop.round(start + timedelta(seconds=second), mono + second)
    return start + timedelta(seconds=seconds), mono + seconds


def due_times(job: Job) -> list[datetime]:
    db.session.rollback()
    return list(db.session.scalars(select(Run.due_at).where(Run.job_id == job.id).order_by(Run.id)))


def events() -> list[str]:
    return list(db.session.scalars(select(EngineEvent.message).where(EngineEvent.kind == "clock")))


def test_a_clock_that_goes_forward_loses_no_due_time(loop: CarillonScheduler, make_job: Callable[..., Job]) -> None:
    job = make_job(overlap="together", max_instances=1000)
    now, mono = rounds(loop, NOW, 0.0, 61)
    rounds(loop, now + HOUR, mono, 1)
    assert events() == ["The clock went forward by 3600 s (set, or the machine slept)."]
    (first, second) = db.session.scalars(select(Run).order_by(Run.id)).all()
    assert (first.due_at, first.due_count) == (NOW + timedelta(minutes=1), 1)
    assert (second.due_at, second.due_count) == (NOW + timedelta(minutes=61), 60)
    assert job.id == second.job_id


def test_a_clock_that_goes_back_runs_no_due_time_twice(loop: CarillonScheduler, make_job: Callable[..., Job]) -> None:
    job = make_job(overlap="together", max_instances=1000, trigger={"kind": "interval", "seconds": 30})
    now, mono = rounds(loop, NOW, 0.0, 95)
    assert len(due_times(job)) == 3
    now, mono = rounds(loop, now - HOUR, mono, 5)
    assert events() == ["The clock went back by 3600 s (set, or the machine slept)."]
    # An hour later the same due times come again; only the first one without an outcome is acted on.
    loop.round(NOW + timedelta(seconds=95), mono + 3600)
    assert due_times(job) == [NOW + timedelta(seconds=second) for second in (30, 60, 90)]
    loop.round(NOW + timedelta(seconds=120), mono + 3625)
    assert due_times(job)[-1] == NOW + timedelta(seconds=120)


def test_small_differences_of_the_clocks_are_no_jump(loop: CarillonScheduler) -> None:
    for second in range(100):
        loop.round(NOW + timedelta(seconds=second * 1.01), float(second))
    assert events() == []
