"""Runs at a Celery worker over Redis: the same things as with any executor, and what may go wrong on the way."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

from tests.celery.conftest import Farm, celery, is_alive, iso, processes_of, send
from tests.conftest import CODE
from webapp import clock
from webapp.domain.states import RunState
from webapp.engine.runner import RESULT_MAX
from webapp.extensions import db
from webapp.services import balance, jobs, runs, sending, status
from webapp.serving import scheduler_of
from webapp.store.models import Run, Sending

pytestmark = pytest.mark.services


@pytest.mark.parametrize("executor", ["light", "heavy"])
def test_a_run_is_elsewhere_and_says_what_it_does_while_it_does_it(farm: Farm, executor: str) -> None:
    run_id = farm.begin("far.slowly", executor, kwargs={"seconds": 2.5})
    farm.eventually(lambda: farm.texts(run_id))
    row = runs.get(run_id)
    assert (row.state, farm.texts(run_id)) == (RunState.RUNNING, ["begun"])
    assert (row.progress, row.progress_text) == (0.5, "half")
    run = farm.ended(run_id)
    assert (run.state, farm.texts(run_id)) == (RunState.SUCCEEDED, ["begun", "done"]), run.error
    worker = farm.row(farm.worker)
    assert worker is not None
    assert run.worker == worker.id
    assert os.getpid() != json.loads(run.result or "")["pid"]


def test_what_a_run_returns_is_bounded_and_what_it_raises_is_kept(farm: Farm) -> None:
    assert len(farm.ended(farm.begin("far.large")).result or "") <= RESULT_MAX
    run = farm.ended(farm.begin("far.broken"))
    assert (run.state, run.error) == (RunState.FAILED, "LookupError: nothing there")
    assert "far.broken" not in (run.traceback or "")
    assert "raise LookupError" in (run.traceback or "")


def test_retries_and_chains_follow_as_everywhere(farm: Farm) -> None:
    raw = {"id": "after", "task": "demo.echo", "executor": "light", "trigger": {"kind": "interval", "days": 1}}
    jobs.create(raw, actor=CODE, now=clock.now())
    retry = {"max_attempts": 2, "delay_s": 0.1, "backoff": "fixed"}
    run_id = farm.begin("far.broken", retry=retry, chains=[{"job_id": "after", "on": "success"}])
    farm.ended(run_id)
    second = farm.eventually(lambda: runs.get(runs.get(run_id).next_id or 0) if runs.get(run_id).next_id else None)
    assert farm.ended(second.id).state == RunState.SUCCEEDED
    chained = farm.eventually(lambda: db.session.query(Run).filter_by(cause_id=second.id).first())
    assert farm.ended(chained.id).state == RunState.SUCCEEDED


def test_a_time_limit_is_certain_in_a_process(farm: Farm) -> None:
    run = farm.ended(farm.begin("far.forever", "heavy", timeout_s=1.0))
    assert (run.state, "time limit is 1 s" in (run.error or "")) == (RunState.TIMED_OUT, True)


def test_an_abort_ends_a_process_and_says_who_wanted_it(farm: Farm) -> None:
    run_id = farm.begin("far.forever", "heavy")
    said = farm.eventually(lambda: farm.texts(run_id))
    runs.stop(run_id, actor=CODE, now=clock.now())
    run = farm.ended(run_id)
    assert (run.state, run.stop_requested_by) == (RunState.CANCELLED, "test")
    assert run.stop_requested_at is not None
    farm.eventually(lambda: not is_alive(int(said[0].split()[1])))


def test_a_run_may_be_revoked_at_celery_itself(farm: Farm) -> None:
    run_id = farm.begin("far.forever", "heavy")
    farm.eventually(lambda: farm.texts(run_id))
    queued_at = runs.get(run_id).queued_at
    with celery(farm) as other:
        other.control.revoke(sending.task_id(run_id, queued_at), terminate=True)
    run = farm.ended(run_id)
    assert (run.state, run.stop_requested_by) == (RunState.CANCELLED, "celery")


def test_a_message_that_comes_more_than_once_starts_its_run_once(farm: Farm) -> None:
    farm.signal(signal.SIGSTOP)
    try:
        run_id = farm.begin("far.trace", kwargs={"path": str(farm.trace), "seconds": 1.0})
        farm.eventually(lambda: db.session.get(Sending, run_id))
        for _ in range(3):
            send(farm, run_id)
    finally:
        farm.signal(signal.SIGCONT)
    farm.running(run_id)
    send(farm, run_id)
    assert farm.ended(run_id).state == RunState.SUCCEEDED
    send(farm, run_id)
    assert farm.ended(farm.begin("demo.echo")).state == RunState.SUCCEEDED  # the queue is through
    assert farm.starts().count(run_id) == 1
    assert db.session.query(Sending).count() == 0


def test_a_run_that_is_cancelled_on_its_way_does_not_start(farm: Farm) -> None:
    farm.signal(signal.SIGSTOP)
    try:
        run_id = farm.begin("far.trace", kwargs={"path": str(farm.trace)})
        farm.eventually(lambda: db.session.get(Sending, run_id))
        runs.stop(run_id, actor=CODE, now=clock.now())
    finally:
        farm.signal(signal.SIGCONT)
    assert farm.ended(farm.begin("demo.echo")).state == RunState.SUCCEEDED
    assert (farm.state(run_id), farm.starts().count(run_id)) == (RunState.CANCELLED, 0)
    farm.eventually(lambda: db.session.query(Sending).count() == 0)


def test_the_system_page_knows_the_workers_and_what_they_run(farm: Farm) -> None:
    run_id = farm.begin("far.slowly", kwargs={"seconds": 5})
    found = farm.eventually(lambda: [worker for worker in status.read().workers if worker.detail.get("runs")])
    assert (found[0].detail["kind"], found[0].detail["runs"]) == ("celery", [run_id])
    runs.stop(run_id, actor=CODE, now=clock.now())


def test_while_the_broker_is_away_runs_stay_queued_and_others_go_on(farm: Farm) -> None:
    server = farm.broker
    server.stop()
    waiting = [farm.begin("demo.echo") for _ in range(5)]
    here = farm.begin("demo.echo", "default")
    assert farm.ended(here).state == RunState.SUCCEEDED
    farm.eventually(lambda: "does not answer" in status.events(1)[0].message)
    assert {farm.state(run_id) for run_id in waiting} == {RunState.QUEUED}
    assert status.read().state == "running"
    server.start()
    assert {farm.ended(run_id).state for run_id in waiting} == {RunState.SUCCEEDED}
    farm.eventually(lambda: "answers again" in status.events(1)[0].message)


def test_what_the_broker_forgot_is_sent_again(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    with celery(farm) as other:
        control = other.control
        assert control.cancel_consumer("carillon-test-light", reply=True, timeout=10, limit=1)
        run_id = farm.begin("far.trace", kwargs={"path": str(farm.trace)})
        farm.eventually(lambda: control.purge() == 1)
        monkeypatch.setattr(sending, "RESEND_S", 0.5)
        monkeypatch.setattr(sending, "FREE_S", 0.0)
        assert control.add_consumer("carillon-test-light", reply=True, timeout=10, limit=1)
    assert farm.ended(run_id).state == RunState.SUCCEEDED
    assert farm.starts().count(run_id) == 1


def test_a_killed_worker_loses_each_of_its_runs_once_or_they_are_run_again(farm: Farm) -> None:
    since = clock.now()
    due_at = since.replace(microsecond=0).timestamp() + 3
    kwargs = {"path": str(farm.trace), "seconds": 60}
    for number in range(20):
        raw = {
            "id": f"killed-{number}", "task": "far.trace", "kwargs": kwargs,
            "executor": "heavy" if number in (0, 10) else "light", "rerun_if_lost": number < 10,
            "trigger": {"kind": "date", "run_date": iso(due_at)},
        }  # fmt: skip
        jobs.create(raw, actor=CODE, now=clock.now())
    mine = db.session.query(Run).filter(Run.job_id.like("killed-%")).order_by(Run.id)
    first = farm.eventually(lambda: ids if len(ids := [r.id for r in mine if r.state == RunState.RUNNING]) == 20 else 0)
    farm.eventually(lambda: set(first) <= set(farm.starts()))
    children = processes_of(farm)
    assert len(children) >= 2  # those of the two heavy runs, and who makes them
    farm.signal(signal.SIGKILL)
    farm.start_worker()
    lost = {run_id: farm.ended(run_id) for run_id in first}
    assert {run.state for run in lost.values()} == {RunState.LOST}
    again = [run for run in lost.values() if run.next_id is not None]
    assert {run.job_id for run in again} == {f"killed-{number}" for number in range(10)}
    for run in again:
        assert farm.ended(run.next_id or 0).state == RunState.SUCCEEDED
    assert mine.count() == 30
    assert set(Counter(farm.starts()).values()) == {1}
    found = balance.read(since, clock.now())
    assert found.adds_up, found
    farm.eventually(lambda: not any(is_alive(pid) for pid in children))


def test_a_worker_that_is_told_to_stop_lets_runs_end_and_records_the_rest(farm: Farm) -> None:
    quick = farm.begin("far.slowly", kwargs={"seconds": 1.0})
    stubborn = farm.begin("far.slowly", kwargs={"seconds": 30})
    farm.running(quick)
    farm.running(stubborn)
    assert farm.worker.stop() == 0
    assert farm.row(farm.worker) is None
    assert farm.state(quick) == RunState.SUCCEEDED
    run = farm.ended(stubborn)
    assert (run.state, run.reason) == (
        RunState.LOST, "stopped: the worker was stopped and did not wait any longer for this run.",
    )  # fmt: skip
    later = farm.begin("demo.echo")
    farm.eventually(lambda: db.session.get(Sending, later))
    assert farm.state(later) == RunState.QUEUED
    farm.start_worker()
    assert farm.ended(later).state == RunState.SUCCEEDED


def test_a_worker_never_leads(farm: Farm) -> None:
    assert status.read().leader == scheduler_of(farm.app).scheduler.worker_id
    assert "leads the schedule" not in farm.worker.log.read_text()
