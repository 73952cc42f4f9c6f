"""The values of a new ledger row: of a job's run, or of another one like an earlier run. One place for the copying."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from webapp.domain.states import RunState, RunTrigger
from webapp.store.models import Run

_COPIED = (
    "job_id", "job_name", "job_revision", "task", "args", "kwargs", "executor", "group", "rank", "timeout_s",
)  # fmt: skip


def wants_follow_up(job: Any) -> bool:
    """Whether something is to be done when a run of this job ends: retry, chain, pause after failures."""
    return bool(job.retry or job.chains or job.auto_pause_after)


def for_job(job: Any, trigger: RunTrigger, now: datetime, **values: Any) -> dict[str, Any]:
    """A queued run of ``job`` (a ``Job`` or a row with its columns); ``values`` override."""
    return {
        "job_id": job.id,
        "job_name": job.name,
        "job_revision": job.revision,
        "task": job.task,
        "args": job.args,
        "kwargs": job.kwargs,
        "executor": job.executor,
        "group": job.group,
        "rank": -job.priority,
        "timeout_s": job.timeout_s,
        "follow_up": wants_follow_up(job),
        **_fresh(trigger, now),
        **values,
    }


def like(run: Run, trigger: RunTrigger, now: datetime, **values: Any) -> dict[str, Any]:
    """A queued run of the same task with the same arguments as ``run``; ``values`` override."""
    return {**{name: getattr(run, name) for name in _COPIED}, **_fresh(trigger, now), **values}


def _fresh(trigger: RunTrigger, now: datetime) -> dict[str, Any]:
    return {
        "trigger": trigger.value,
        "state": RunState.QUEUED.value,
        "attempt": 1,
        "due_count": 1,
        "available_at": now,
        "queued_at": now,
        "updated_at": now,
        "log_lines": 0,
    }
