"""The leader's rounds of sending, with a broker that does as the test says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from tests.conftest import CODE, NOW
from webapp.domain.states import RunState
from webapp.engine.claims import Claim, Outcome
from webapp.engine.recorder import Recorder
from webapp.engine.sender import Sender
from webapp.extensions import db
from webapp.services import heartbeat, runs, sending, status
from webapp.settings import Settings
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import Job, Run, Sending, Worker

pytestmark = pytest.mark.only_on("sqlite")


class FakeCelery:
    """Takes messages, or does not."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.revoked: list[str] = []
        self.takes = 1_000
        self.conf = SimpleNamespace(task_default_queue="carillon")
        self.amqp = SimpleNamespace(Producer=lambda connection: SimpleNamespace(connection=connection))
        self.control = SimpleNamespace(revoke=lambda names, **_: self.revoked.extend(names))

    def connection_for_write(self) -> Any:
        def nothing(**options: Any) -> None:
            if not self.takes:
                raise ConnectionRefusedError("nobody there")

        return SimpleNamespace(ensure_connection=nothing, release=nothing, collect=nothing)

    def send_task(self, name: str, args: tuple[int], **options: Any) -> None:
        if not self.takes:
            raise ConnectionResetError("gone")
        self.takes -= 1
        self.sent.append(args[0])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    farm = {"type": "celery", "broker_url": "redis://127.0.0.1:1/0"}
    return Settings(instance_path=tmp_path, executors={"farm": farm}, _env_file=None)


@pytest.fixture
def celery() -> FakeCelery:
    return FakeCelery()


@pytest.fixture
def leader(app: Flask, lead: lease.Held) -> Any:
    return SimpleNamespace(app=app, held=lead, worker_id="test", tell_ended=lambda ended: None)


@pytest.fixture
def sender(leader: Any, celery: FakeCelery) -> Sender:
    return Sender("farm", 10, celery, leader)


@pytest.fixture
def queue(make_job: Callable[..., Job], make_run: Callable[..., Run]) -> Callable[..., int]:
    def make(**values: Any) -> int:
        empty = {"executor": "farm", "due_at": None, "first_due_at": None, "started_at": None, "finished_at": None}
        return make_run(make_job(executor="farm"), **{"state": RunState.QUEUED, **empty, **values}).id

    return make


def start(run_id: int) -> None:
    with writing() as session:
        worker = Worker(id="w1", host="there", pid=1, detail={"kind": "celery", "executors": {"farm": {}}})
        assert sending.start(session, [run_id], worker, NOW).rows


def test_what_is_queued_is_sent_once(sender: Sender, celery: FakeCelery, queue: Callable[..., int]) -> None:
    ids = [queue(), queue()]
    for second in range(3):
        sender.round(NOW + timedelta(seconds=second), float(second))
    assert celery.sent == ids
    assert {runs.get(run_id).state for run_id in ids} == {RunState.QUEUED}


def test_who_does_not_lead_sends_nothing(
    sender: Sender, celery: FakeCelery, leader: Any, queue: Callable[..., int]
) -> None:
    queue()
    leader.held = None
    sender.round(NOW, 0.0)
    assert celery.sent == []


def test_a_broker_that_is_not_there_leaves_runs_queued_and_is_noted_once(
    sender: Sender, celery: FakeCelery, queue: Callable[..., int]
) -> None:
    run_id = queue()
    celery.takes = 0
    for second in range(3):
        sender.round(NOW, float(second))
    assert (runs.get(run_id).state, db.session.query(Sending).count()) == (RunState.QUEUED, 0)
    assert [event.kind for event in status.events()].count("broker") == 1
    celery.takes = 10
    sender.round(NOW, 3.0)
    assert celery.sent == [run_id]
    assert "answers again" in status.events(1)[0].message


def test_what_a_broker_did_not_take_any_more_is_not_marked_as_sent(
    sender: Sender, celery: FakeCelery, queue: Callable[..., int]
) -> None:
    ids = [queue() for _ in range(4)]
    celery.takes = 2
    sender.round(NOW, 0.0)
    assert celery.sent == ids[:2]
    assert [row.run_id for row in db.session.query(Sending).order_by(Sending.run_id)] == ids[:2]


def test_a_new_leader_sends_what_its_predecessor_may_not_have_come_to_send(
    sender: Sender, celery: FakeCelery, leader: Any, lead: lease.Held, queue: Callable[..., int]
) -> None:
    earlier = NOW - timedelta(minutes=1)
    run_id, running = queue(available_at=earlier), queue(available_at=earlier)
    with writing() as session:  # the predecessor commits, and ends before it has sent anything
        sending.take(session, lead, "farm", 10, NOW - timedelta(seconds=1), {})
    start(running)
    sender.round(NOW, 0.0)
    assert celery.sent == [run_id]
    sender.round(NOW + timedelta(seconds=60), 60.0)
    assert celery.sent == [run_id]


def test_a_worker_that_waits_in_vain_makes_the_leader_send_again(
    sender: Sender, celery: FakeCelery, queue: Callable[..., int]
) -> None:
    run_id = queue()
    sender.round(NOW, 0.0)
    waits = {"kind": "celery", "free_s": sending.FREE_S, "executors": {"farm": {}}}
    heartbeat.alive(Worker(id="w1", host="there", pid=1, detail=waits))
    sender.round(NOW + timedelta(seconds=5), 5.0)
    assert celery.sent == [run_id]
    sender.round(NOW + timedelta(seconds=11), 11.0)
    assert celery.sent == [run_id, run_id]


def test_a_run_that_began_in_memory_ends_here_whatever_its_executor(
    app: Flask, lead: lease.Held, queue: Callable[..., int], eventually: Callable[..., Any]
) -> None:
    run_id = queue(state=RunState.RUNNING, worker="test")
    recorder = Recorder(app, "test", {}, lambda: None, lambda written: None)
    row = runs.get(run_id)
    recorder.receive(
        Claim(run_id, row.job_id, "A job", row.task, [], {}, "schedule", 1, None, None, "farm", NOW), lines=0
    )
    assert recorder.active == {"farm": 1}
    recorder.start()
    recorder.report(Outcome(run_id, RunState.SUCCEEDED, NOW))
    eventually(lambda: runs.get(run_id).state == RunState.SUCCEEDED)
    recorder.close(timeout_s=10)


def test_a_run_that_is_to_stop_is_revoked_once(sender: Sender, celery: FakeCelery, queue: Callable[..., int]) -> None:
    run_id = queue()
    sender.round(NOW, 0.0)
    start(run_id)
    runs.stop(run_id, actor=CODE, now=NOW)
    for second in range(3):
        sender.round(NOW, float(second))
    assert celery.revoked == [sending.task_id(run_id, runs.get(run_id).queued_at)]
