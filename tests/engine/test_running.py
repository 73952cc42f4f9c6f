"""The scheduler as it really runs: threads, log, errors, stop, restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import CODE
from webapp import clock
from webapp.domain.errors import Conflict
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import jobs, runs, status
from webapp.serving import scheduler_of
from webapp.store.models import Job, Run, SchedulerLease
from webapp.tasks import current_run, registry

Eventually = Callable[..., Any]
gates: dict[str, Any] = {}


def speak(lines: int = 3) -> dict[str, int]:
    """Log, print and return."""
    import logging

    logging.getLogger("a.user.module").info("from logging")
    print("from print")
    for number in range(lines):
        current_run().log(f"line {number}")
    current_run().progress(0.5, "half way")
    return {"lines": lines}


def raise_error() -> None:
    raise ValueError("the report is empty")


def leave() -> None:
    raise SystemExit(3)


def unserializable() -> object:
    return object()


STRANGE = "nul \x00 half \ud83d whole 🔔 back\\slash 100% {braces} %(name)s :name 'quotes' \u2028 end"


def say_strange_things(fails: bool = False) -> dict[str, str]:
    """Put into every text what some database or driver would not take as it is."""
    current_run().log(STRANGE)
    print(STRANGE)
    current_run().progress(0.5, STRANGE)
    if fails:
        raise ValueError(STRANGE)
    return {STRANGE: STRANGE}


async def asynchronous() -> str:
    return "awaited"


def touch_database() -> int:
    return len(db.session.scalars(select(Job)).all())


def wait_for_stop() -> None:
    run = current_run()
    gates["started"] = True
    while not run.should_stop():
        pass
    run.check_stop()


def ignore_stop() -> str:
    gates["started"] = True
    while not gates.get("open"):
        pass
    return "went on"


@pytest.fixture(autouse=True)
def tasks(app: Flask) -> Iterator[None]:
    gates.clear()
    with registry.temporary():
        for function in (speak, raise_error, leave, unserializable, asynchronous, touch_database, wait_for_stop,
                         ignore_stop, say_strange_things):  # fmt: skip
            registry.register(function, key=f"test.{function.__name__}")
        yield
    gates["open"] = True


@pytest.fixture
def run_task(served: Flask, eventually: Eventually) -> Callable[..., Run]:
    """Run a task once through a job and return its row when it has ended."""

    def run(key: str, **overrides: Any) -> Run:
        raw = {"task": f"test.{key}", "trigger": {"kind": "interval", "days": 1}, **overrides}
        job = jobs.create(raw, actor=CODE, now=clock.now())
        row = jobs.run_now(job.id, actor=CODE, now=clock.now())
        return eventually(lambda: final(row.id))

    return run


def final(run_id: int) -> Run | None:
    run = runs.get(run_id)
    db.session.refresh(run)
    return run if RunState(run.state).is_final else None


def test_a_due_time_runs_by_itself_and_is_recorded_whole(served: Flask, eventually: Eventually) -> None:
    raw = {"task": "demo.echo", "trigger": {"kind": "interval", "seconds": 1}, "coalesce": False, "max_instances": 9}
    job = jobs.create(raw, actor=CODE, now=clock.now())
    query = select(Run).where(Run.job_id == job.id, Run.state == RunState.SUCCEEDED).order_by(Run.id)
    rows = eventually(lambda: (found := db.session.scalars(query).all()) and len(found) >= 2 and found)
    first, second = rows[:2]
    assert second.due_at - first.due_at == timedelta(seconds=1)
    assert first.due_at <= first.queued_at <= first.started_at <= first.finished_at
    assert json.loads(first.result)["message"] == "Hello"
    assert first.worker == scheduler_of(served).scheduler.worker_id


def test_a_run_keeps_its_log_its_progress_and_its_result(run_task: Callable[..., Run]) -> None:
    run = run_task("speak", kwargs={"lines": 2})
    assert (run.state, json.loads(run.result or ""), run.progress_text) == (
        RunState.SUCCEEDED, {"lines": 2}, "half way",
    )  # fmt: skip
    log = runs.log(run.id)
    assert [line.text for line in log.lines] == ["from logging", "from print", "line 0", "line 1"]
    assert log.complete
    assert [line.text for line in runs.log(run.id, from_line=2, limit=1).lines] == ["line 0"]
    assert [line.text for line in runs.log(run.id, from_line=-1).lines] == ["line 1"]


@pytest.mark.parametrize("fails", [False, True])
def test_whatever_a_task_says_can_be_stored(run_task: Callable[..., Run], fails: bool) -> None:
    run = run_task("say_strange_things", kwargs={"fails": fails})
    assert run.state == (RunState.FAILED if fails else RunState.SUCCEEDED)
    texts = [run.progress_text, *(line.text for line in runs.log(run.id).lines)]
    texts += [run.error, run.traceback] if fails else [run.result]
    assert len(texts) >= 4
    for text in texts:
        assert text is not None
        assert "whole 🔔" in text
        assert "100% {braces} %(name)s :name 'quotes'" in text


def test_a_task_that_raises_is_a_failed_run_with_its_traceback(run_task: Callable[..., Run]) -> None:
    run = run_task("raise_error")
    assert (run.state, run.error) == (RunState.FAILED, "ValueError: the report is empty")
    assert 'raise ValueError("the report is empty")' in (run.traceback or "")
    assert "runner.py" not in (run.traceback or "")


def test_system_exit_fails_the_run_and_nothing_else(run_task: Callable[..., Run]) -> None:
    assert (run_task("leave").state, run_task("speak").state) == (RunState.FAILED, RunState.SUCCEEDED)


def test_a_result_that_json_cannot_say_is_kept_as_text(run_task: Callable[..., Run]) -> None:
    run = run_task("unserializable")
    assert run.state == RunState.SUCCEEDED
    assert json.loads(run.result or "").startswith("<object object")


def test_a_coroutine_function_is_awaited(run_task: Callable[..., Run]) -> None:
    assert json.loads(run_task("asynchronous").result or "") == "awaited"


def test_a_task_finds_the_app_context(run_task: Callable[..., Run]) -> None:
    assert json.loads(run_task("touch_database").result or "") == 1


def test_a_run_that_is_asked_to_stop_ends_as_cancelled(served: Flask, eventually: Eventually) -> None:
    job = jobs.create(
        {"task": "test.wait_for_stop", "trigger": {"kind": "interval", "days": 1}}, actor=CODE, now=clock.now()
    )
    run = jobs.run_now(job.id, actor=CODE, now=clock.now())
    eventually(lambda: gates.get("started"))
    with pytest.raises(Conflict, match="One run of this job had not ended yet"):
        jobs.run_now(job.id, actor=CODE, now=clock.now())
    runs.stop(run.id, actor=CODE, now=clock.now())
    ended = eventually(lambda: final(run.id))
    assert (ended.state, ended.stop_requested_by) == (RunState.CANCELLED, "test")
    with pytest.raises(Conflict, match="has ended already"):
        runs.stop(run.id, actor=CODE, now=clock.now())


def test_a_run_over_its_time_limit_is_told_and_recorded_as_timed_out(run_task: Callable[..., Run]) -> None:
    run = run_task("wait_for_stop", timeout_s=0.3)
    assert run.state == RunState.TIMED_OUT
    assert "time limit" in (run.error or "")


def test_a_run_that_does_not_end_is_lost_when_the_server_stops(served: Flask, eventually: Eventually) -> None:
    job = jobs.create(
        {"task": "test.ignore_stop", "trigger": {"kind": "interval", "days": 1}}, actor=CODE, now=clock.now()
    )
    run = jobs.run_now(job.id, actor=CODE, now=clock.now())
    eventually(lambda: gates.get("started"))
    scheduler_of(served).scheduler.stop_wait_s = 0.2
    scheduler_of(served).shutdown(wait=True)
    ended = final(run.id)
    assert ended is not None
    assert ended.state == RunState.LOST
    assert (ended.reason or "").startswith("stopped")


def test_after_a_stop_the_lease_is_free_and_a_second_start_works(served: Flask, eventually: Eventually) -> None:
    eventually(lambda: status.read().state == "running")
    epoch = status.read().epoch
    scheduler_of(served).shutdown()
    db.session.rollback()
    assert db.session.get(SchedulerLease, 1).holder is None
    assert status.read().state == "down"
    scheduler_of(served).start()
    eventually(lambda: status.read().state == "running")
    assert status.read().epoch == epoch + 1
    job = jobs.create({"task": "demo.echo", "trigger": {"kind": "interval", "days": 1}}, actor=CODE, now=clock.now())
    run = jobs.run_now(job.id, actor=CODE, now=clock.now())
    assert eventually(lambda: final(run.id)).state == RunState.SUCCEEDED


def test_building_the_app_starts_nothing(app: Flask) -> None:
    assert not scheduler_of(app).running
    assert not scheduler_of(app).loop_alive
    assert status.read().state == "down"
