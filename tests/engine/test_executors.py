"""Processes and the event loop: real limits, real aborts, and no neighbour who pays for a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.conftest import CODE
from webapp import clock
from webapp.domain.errors import Invalid
from webapp.domain.states import RunState
from webapp.engine.executors import AsyncIOExecutor
from webapp.engine.sink import BYTES_MAX
from webapp.extensions import db
from webapp.services import jobs, runs
from webapp.settings import Settings
from webapp.store.models import Run

Eventually = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        instance_path=tmp_path,
        task_modules=["tests.engine.child_tasks"],
        executors={
            "default": {"type": "threadpool", "max_workers": 4},
            "processpool": {"type": "processpool", "max_workers": 2},
            "asyncio": {"type": "asyncio"},
        },
        _env_file=None,
    )


@pytest.fixture
def begin(served: Flask) -> Callable[..., int]:
    """Start a task through a job of its own; the run's id."""

    def start(key: str, executor: str, **overrides: Any) -> int:
        raw = {"task": key, "executor": executor, "trigger": {"kind": "interval", "days": 1}, **overrides}
        job = jobs.create(raw, actor=CODE, now=clock.now())
        return jobs.run_now(job.id, actor=CODE, now=clock.now()).id

    return start


@pytest.fixture
def finish(begin: Callable[..., int], eventually: Eventually) -> Callable[..., Run]:
    """Run a task and return its row when it has ended."""

    def run(*args: Any, **overrides: Any) -> Run:
        run_id = begin(*args, **overrides)
        return eventually(lambda: final(run_id), 30)

    return run


def final(run_id: int) -> Run | None:
    run = runs.get(run_id)
    db.session.refresh(run)
    return run if RunState(run.state).is_final else None


def texts(run: Run) -> list[str]:
    return [line.text for line in runs.log(run.id).lines]


def test_a_process_run_is_elsewhere_and_says_the_same_things(finish: Callable[..., Run]) -> None:
    run = finish("child.pid", "processpool")
    assert run.state == RunState.SUCCEEDED, run.error
    assert json.loads(run.result or "") != os.getpid()
    assert texts(run) == ["from the child"]
    assert run.progress_text == "a quarter"


def test_a_process_run_has_an_app_context(finish: Callable[..., Run]) -> None:
    assert json.loads(finish("child.count_jobs", "processpool").result or "") == 1


def test_a_crash_ends_one_run_with_its_exit_code_and_no_neighbours(
    begin: Callable[..., int], eventually: Eventually
) -> None:
    neighbour = begin("child.plain_nap", "processpool", kwargs={"seconds": 2})
    crashed = begin("child.exit", "processpool")
    killed = begin("child.killed", "processpool")
    ended = {name: eventually(lambda i=i: final(i), 30) for name, i in
             (("exit", crashed), ("kill", killed), ("nap", neighbour))}  # fmt: skip
    assert ended["exit"].error == "Its process ended with exit code 7 before the task was done."
    assert ended["kill"].error == "Its process was killed by signal 9 (SIGKILL)."
    assert [ended[name].state for name in ("exit", "kill", "nap")] == ["failed", "failed", "succeeded"]


def test_a_process_over_its_time_limit_is_ended(finish: Callable[..., Run]) -> None:
    run = finish("child.forever", "processpool", timeout_s=1.0)
    assert run.state == RunState.TIMED_OUT
    assert "time limit is 1 s" in (run.error or "")


def test_an_abort_really_ends_a_process(begin: Callable[..., int], eventually: Eventually) -> None:
    run_id = begin("child.forever", "processpool")
    eventually(lambda: runs.log(run_id).lines)
    runs.stop(run_id, actor=CODE, now=clock.now())
    run = eventually(lambda: final(run_id))
    assert (run.state, run.stop_requested_by) == (RunState.CANCELLED, "test")


@pytest.mark.parametrize("executor", ["default", "processpool"])
def test_what_cannot_be_pickled_is_a_result_or_an_error_all_the_same(finish: Callable[..., Run], executor: str) -> None:
    assert "lock" in json.loads(finish("child.lock", executor).result or "")
    run = finish("child.raises", executor)
    assert (run.state, "only known here" in (run.error or "")) == (RunState.FAILED, True)


@pytest.mark.parametrize("executor", ["default", "processpool"])
def test_a_flood_of_prints_is_cut_with_a_mark(finish: Callable[..., Run], executor: str) -> None:
    run = finish("child.flood", executor, kwargs={"megabytes": 20})
    assert run.state == RunState.SUCCEEDED
    lines = runs.log(run.id, limit=100_000).lines
    assert "The log is cut here" in lines[-1].text
    assert sum(len(line.text) for line in lines) < BYTES_MAX + 10_000


def test_coroutines_share_one_loop(begin: Callable[..., int], eventually: Eventually) -> None:
    ids = [begin("child.napping", "asyncio", kwargs={"seconds": 0.5}) for _ in range(20)]
    ended = [eventually(lambda i=i: final(i), 20) for i in ids]
    assert {run.state for run in ended} == {RunState.SUCCEEDED}
    first, last = min(run.started_at for run in ended), max(run.finished_at for run in ended)
    assert (last - first).total_seconds() < 5  # one after the other they would take 10 s


def test_a_coroutine_is_cancelled_by_its_time_limit_and_by_an_abort(
    finish: Callable[..., Run], begin: Callable[..., int], eventually: Eventually
) -> None:
    assert finish("child.napping", "asyncio", kwargs={"seconds": 60}, timeout_s=0.2).state == RunState.TIMED_OUT
    run_id = begin("child.napping", "asyncio", kwargs={"seconds": 60})
    eventually(lambda: runs.get(run_id).state == RunState.RUNNING or db.session.expire_all())
    runs.stop(run_id, actor=CODE, now=clock.now())
    assert eventually(lambda: final(run_id)).state == RunState.CANCELLED


def test_a_plain_function_does_not_hold_up_the_loop(begin: Callable[..., int], eventually: Eventually) -> None:
    slow = begin("child.plain_nap", "asyncio", kwargs={"seconds": 2})
    quick = begin("child.napping", "asyncio")
    assert eventually(lambda: final(quick)).state == RunState.SUCCEEDED
    assert final(slow) is None
    assert eventually(lambda: final(slow)).state == RunState.SUCCEEDED


def test_an_executor_that_is_not_there_is_refused(app: Flask) -> None:
    raw = {"task": "child.pid", "executor": "gpu", "trigger": {"kind": "interval", "days": 1}}
    with pytest.raises(Invalid, match="'gpu' is none of default, processpool, asyncio"):
        jobs.create(raw, actor=CODE, now=clock.now())


@pytest.mark.parametrize("workers", [0, -1, True, "many", 20_000])
def test_a_pool_of_no_size_is_refused(workers: Any) -> None:
    with pytest.raises(ValueError, match="max_workers must be a whole number"):
        AsyncIOExecutor(max_workers=workers)
