"""The lease: one leader at a time, judged by the database's clock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from tests.conftest import NOW
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import heartbeat, liveness
from webapp.store import lease
from webapp.store.database import read_database_now, writing
from webapp.store.models import Job, Run, SchedulerLease, SchedulerSpan, Worker


def worker(name: str, **detail: object) -> Worker:
    return Worker(id=name, host="here", pid=1, detail=detail)


def take(name: str) -> lease.Held | None:
    return heartbeat.take(worker(name), NOW)


def move_expiry(seconds: float) -> None:
    """Let the lease run out so many seconds from now, by the database's clock."""
    with writing() as session:
        expires_at = read_database_now(session) + timedelta(seconds=seconds)
        session.execute(update(SchedulerLease).values(expires_at=expires_at))


def test_only_one_process_holds_the_lease(app: Flask) -> None:
    assert take("first") is not None
    assert take("second") is None


def test_a_lease_that_ran_out_is_taken_over_in_a_new_epoch(app: Flask) -> None:
    first = take("first")
    assert first is not None
    move_expiry(-1)
    second = take("second")
    assert second == lease.Held("second", first.epoch + 1)
    assert not heartbeat.keep(worker("first"), first, NOW)


def test_a_released_lease_is_free_at_once(app: Flask) -> None:
    first = take("first")
    assert first is not None
    heartbeat.release(first)
    assert take("second") is not None


def test_renewing_keeps_the_epoch_and_lengthens_the_span(app: Flask) -> None:
    held = take("first")
    assert held is not None
    assert heartbeat.keep(worker("first"), held, NOW)
    (span,) = db.session.query(SchedulerSpan).all()
    assert (span.holder, span.epoch) == ("first", held.epoch)
    assert span.until_at >= span.from_at


def test_a_lease_from_before_the_clock_went_back_can_be_taken(app: Flask) -> None:
    take("first")
    move_expiry(3600)
    assert take("second") is not None


def test_the_lease_of_a_dead_process_of_this_machine_is_free_at_once(app: Flask) -> None:
    identity = liveness.identity()
    if not identity:
        pytest.skip("this system does not tell which process is which")
    take("first")
    with writing() as session:
        session.execute(update(Worker).values(detail={"identity": {**identity, "started": identity["started"] - 1}}))
    assert take("second") is not None


def silence(name: str, seconds: float, in_touch_s: float = 0.0) -> None:
    """Let a process have been heard of last so long ago, and have been in touch for so long before that."""
    with writing() as session:
        row = session.get_one(Worker, name)
        row.seen_at = read_database_now(session) - timedelta(seconds=seconds)
        since = row.seen_at - timedelta(seconds=in_touch_s)
        row.detail = {**row.detail, "in_touch_since": since.isoformat()}


def test_after_an_outage_nobody_is_given_up_for_lost_before_they_could_speak(
    app: Flask, make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    take("first")
    run = make_run(make_job(), state=RunState.RUNNING, finished_at=None, worker="first")
    heartbeat.alive(worker("second"))
    for name in ("first", "second"):  # the database was away
        silence(name, 20, in_touch_s=60)
    move_expiry(-5)
    held = take("second")
    assert held is not None
    db.session.refresh(run)
    assert run.state == RunState.RUNNING

    silence("second", 1, in_touch_s=16)  # the first had time enough
    assert heartbeat.keep(worker("second"), held, NOW)
    db.session.refresh(run)
    assert run.state == RunState.LOST


def test_a_standby_that_may_not_take_the_lease_writes_nothing(app: Flask) -> None:
    assert heartbeat.may_take("first")
    take("first")
    assert heartbeat.may_take("first")
    assert not heartbeat.may_take("second")
    move_expiry(-1)
    assert heartbeat.may_take("second")
    assert db.session.query(Worker.id).all() == [("first",)]


def test_of_many_that_race_for_the_first_lease_one_gets_it(app: Flask) -> None:
    together = threading.Barrier(6)

    def race(name: str) -> lease.Held | None:
        with app.app_context():
            together.wait()
            return take(name)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(race, [f"process {number}" for number in range(6)]))
    assert [held.epoch for held in found if held is not None] == [1]


def test_a_process_is_dead_when_its_number_belongs_to_another() -> None:
    identity = liveness.identity()
    if not identity:
        pytest.skip("this system does not tell which process is which")
    assert not liveness.is_dead(identity)
    assert liveness.is_dead({**identity, "started": identity["started"] + 1})
    assert not liveness.is_dead({**identity, "place": "another machine"})
    assert not liveness.is_dead({})
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert liveness.is_dead({**identity, "pid": ended.pid})
    assert os.getpid() == identity["pid"]
