"""What the leader may send, and who may start it: compare-and-set in the ledger, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CODE, NOW
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import heartbeat, ledger, runs, sending
from webapp.settings import Settings
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import Job, Run, Sending, Worker

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    farm = {"type": "celery", "broker_url": "redis://127.0.0.1:1/0"}
    return Settings(instance_path=tmp_path, executors={"farm": farm}, _env_file=None)


@pytest.fixture
def queued(make_job: Callable[..., Job], make_run: Callable[..., Run]) -> Callable[..., int]:
    """A queued run of the executor ``farm``, of a job of its own unless one is given; its number."""

    def make(job: Job | None = None, **values: Any) -> int:
        job = job or make_job(executor="farm")
        empty = {"executor": "farm", "due_at": None, "first_due_at": None, "started_at": None, "finished_at": None}
        return make_run(job, state=RunState.QUEUED, **{**empty, **values}).id

    return make


def take(held: lease.Held, slots: int = 10, **limits: int) -> list[int]:
    with writing() as session:
        return [message.run_id for message in sending.take(session, held, "farm", slots, NOW, limits).messages]


def worker(name: str) -> Worker:
    return Worker(id=name, host="there", pid=1, detail={"kind": "celery", "executors": {"farm": {}}})


def start(run_ids: list[int], name: str = "w1", now: Any = NOW) -> ledger.Claimed:
    with writing() as session:
        return sending.start(session, run_ids, worker(name), now)


def started(run_ids: list[int], name: str = "w1") -> list[int]:
    return [row["run_id"] for row in start(run_ids, name).rows]


def test_a_run_is_taken_once_and_stays_queued(lead: lease.Held, queued: Callable[..., int]) -> None:
    first, second = queued(), queued()
    assert take(lead) == [first, second]
    assert take(lead) == []
    assert {runs.get(run_id).state for run_id in (first, second)} == {RunState.QUEUED}


def test_only_so_many_are_with_the_broker(lead: lease.Held, queued: Callable[..., int]) -> None:
    ids = [queued() for _ in range(5)]
    assert sending.room(db.session(), "farm", 3, NOW) == 3
    assert take(lead, 3) == ids[:3]
    assert sending.room(db.session(), "farm", 3, NOW) == 0
    started(ids[:1])
    assert sending.room(db.session(), "farm", 3, NOW) == 0
    assert sending.room(db.session(), "farm", 4, NOW) == 1


def test_who_does_not_lead_any_more_takes_nothing(lead: lease.Held, queued: Callable[..., int]) -> None:
    queued()
    assert take(lease.Held(lead.holder, lead.epoch + 1)) == []


def test_of_two_workers_with_the_same_message_one_starts_it(lead: lease.Held, queued: Callable[..., int]) -> None:
    run_id = queued()
    take(lead)
    assert started([run_id, run_id], "w1") == [run_id]
    assert started([run_id], "w2") == started([run_id], "w1") == []
    run = runs.get(run_id)
    assert (run.state, run.worker, run.started_at) == (RunState.RUNNING, "w1", NOW)
    assert db.session.query(Sending).count() == 0


def test_a_worker_starts_nothing_of_an_executor_that_it_does_not_serve(
    lead: lease.Held, queued: Callable[..., int]
) -> None:
    run_id = queued(executor="barn")
    with writing() as session:
        sending.take(session, lead, "barn", 1, NOW, {})
    assert started([run_id]) == []
    assert runs.get(run_id).state == RunState.QUEUED


def test_a_message_alone_starts_nothing(lead: lease.Held, queued: Callable[..., int]) -> None:
    run_id = queued()
    assert started([run_id, 4711]) == []
    take(lead)
    with writing() as session:
        sending.take_back(session, [run_id])
    assert started([run_id]) == []
    assert take(lead) == [run_id]


def test_a_start_shows_the_worker_so_that_its_run_is_not_taken_for_an_orphan(
    lead: lease.Held, queued: Callable[..., int]
) -> None:
    run_id = queued()
    take(lead)
    started([run_id], "w9")
    assert heartbeat.keep(Worker(id="test", host="here", pid=1, detail={}), lead, NOW)
    assert db.session.get(Worker, "w9") is not None
    assert runs.get(run_id).state == RunState.RUNNING


def test_what_arrives_too_late_is_missed(lead: lease.Held, queued: Callable[..., int]) -> None:
    run_id = queued(start_by_at=NOW + timedelta(seconds=30))
    take(lead)
    claimed = start([run_id], now=LATER)
    run = runs.get(run_id)
    assert (claimed.rows, [each.run_id for each in claimed.ended]) == ([], [run_id])
    assert (run.state, "waited for a free worker" in (run.reason or "")) == (RunState.MISSED, True)


def test_a_worker_without_the_task_says_so_and_the_job_stays(
    lead: lease.Held, queued: Callable[..., int], make_job: Callable[..., Job]
) -> None:
    job = make_job(executor="farm")
    run_id = queued(job)
    take(lead)
    with writing():
        runs.get(run_id).task = "only.elsewhere"
    start([run_id])
    run = runs.get(run_id)
    assert (run.state, "has no task 'only.elsewhere'" in (run.error or "")) == (RunState.FAILED, True)
    db.session.refresh(job)
    assert job.state == "active"


def test_what_is_with_the_broker_counts_for_its_job_and_its_group(
    lead: lease.Held, queued: Callable[..., int], make_job: Callable[..., Job]
) -> None:
    job = make_job(executor="farm")
    first, second = (queued(job, instances_max=1) for _ in range(2))
    assert take(lead) == [first]
    started([first])
    assert take(lead) == []
    with writing():
        runs.get(first).state = RunState.SUCCEEDED
    assert take(lead) == [second]
    grouped = [queued(group="wh") for _ in range(3)]
    assert take(lead, wh=2) == grouped[:2]
    assert take(lead, wh=2) == []
    started(grouped[:1])
    assert take(lead, wh=2) == []
    assert take(lead, wh=3) == grouped[2:]


def test_what_did_not_arrive_is_sent_again_when_a_worker_waits(lead: lease.Held, queued: Callable[..., int]) -> None:
    run_id = queued()
    take(lead)
    assert [m.run_id for m in sending.overdue(db.session(), "farm", LATER)] == [run_id]
    assert sending.overdue(db.session(), "farm", NOW) == []
    assert not sending.workers_wait(db.session(), "farm")
    for free_s, waits in ((0.0, False), (sending.FREE_S, True)):
        busy = {"kind": "celery", "free_s": free_s, "executors": {"farm": {}}}
        heartbeat.alive(Worker(id="w1", host="there", pid=1, detail=busy))
        assert sending.workers_wait(db.session(), "farm") is waits
        assert not sending.workers_wait(db.session(), "other")
    with writing() as session:
        assert sending.sent_again(session, lead, [run_id], LATER)
    assert sending.overdue(db.session(), "farm", LATER) == []


def test_what_was_cancelled_on_its_way_is_forgotten(lead: lease.Held, queued: Callable[..., int]) -> None:
    run_id = queued()
    take(lead)
    assert sending.leftovers(db.session(), "farm") == []
    runs.stop(run_id, actor=CODE, now=NOW)
    assert sending.leftovers(db.session(), "farm") == [run_id]
    assert started([run_id]) == []


def test_a_start_that_nobody_knows_of_is_undone_or_cancelled_if_somebody_asked_for_it(
    lead: lease.Held, queued: Callable[..., int]
) -> None:
    first, second = queued(), queued()
    take(lead)
    started([first, second])
    runs.stop(second, actor=CODE, now=NOW)
    assert [message.run_id for message in sending.stops(db.session(), "farm")] == [second]
    with writing() as session:
        ledger.undo_claims(session, "w1", [], NOW)
    db.session.expire_all()
    assert [runs.get(run_id).state for run_id in (first, second)] == [RunState.QUEUED, RunState.CANCELLED]
    assert take(lead) == [first]


def test_a_run_that_the_ledger_gave_up_is_told_to_stop(lead: lease.Held, queued: Callable[..., int]) -> None:
    run_id = queued()
    take(lead)
    started([run_id])
    assert ledger.stop_requests([run_id]) == []
    with writing():
        runs.get(run_id).state = RunState.LOST
    assert ledger.stop_requests([run_id]) == [run_id]


def test_the_name_at_celery_is_the_same_each_time_and_another_for_another_installation() -> None:
    assert sending.task_id(7, NOW) == sending.task_id(7, NOW)
    assert sending.task_id(7, NOW) != sending.task_id(7, LATER)
