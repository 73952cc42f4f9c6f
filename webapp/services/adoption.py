"""Runs that were started from memory while the database was away are written into the ledger when it is back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from webapp.domain.states import JobState, RunState
from webapp.services.definitions import Definition
from webapp.services.due import settle_job
from webapp.store import jobs, runs
from webapp.store.database import writing
from webapp.store.models import Job, Run, RunLog


@dataclass
class MemoryRun:
    """A ledger row that could not be written yet; ``key`` is its number in memory, below zero."""

    key: int
    values: dict[str, Any]
    lines: list[str] = field(default_factory=list)


@dataclass
class MemoryJob:
    """A job that was served from memory: every due time in (since, until] has its run in ``runs``."""

    definition: Definition
    next_due_at: datetime | None
    runs: list[MemoryRun] = field(default_factory=list)


def adopt(served: Sequence[MemoryJob], since: datetime, until: datetime, worker_id: str) -> Mapping[int, int]:
    """Write these runs; the ledger's id of each, by its number in memory.

    What was due before ``since`` is settled by the usual rules, and the schedule goes on after ``until``. A job that
    the catalogue serves in another way than the code declares it (edited, paused, gone) keeps its own due times: its
    runs stand beside them, without one.
    """
    ids: dict[int, int] = {}
    with writing() as session:
        for each in served:
            job = jobs.find(session, each.definition.id, lock=True)
            takes_over = job is not None and job.state == JobState.ACTIVE and job.trigger == each.definition.trigger
            if job is not None and takes_over:
                settle_job(session, job, since)
                job.next_due_at = each.next_due_at
                if job.next_due_at is None:
                    job.state = JobState.FINISHED
                session.flush()
            for made in each.runs:
                ids[made.key] = _write(session, made, job, takes_over, until, worker_id)
    return ids


def _write(
    session: Session, made: MemoryRun, job: Job | None, takes_over: bool, until: datetime, worker_id: str
) -> int:
    values = {**made.values, "job_revision": job.revision if job is not None else 0, "updated_at": until}
    due_at = values["due_at"]
    if not takes_over or runs.of_due_time(session, values["job_id"], due_at):
        values |= {"due_at": None, "first_due_at": None, "due_count": 1}
        values["reason"] = f"{values['reason']} It was due at {due_at:%Y-%m-%d %H:%M:%S} UTC by the code."[:500]
    if values["state"] in (RunState.RUNNING, RunState.SUCCEEDED) or values.get("started_at"):
        values["worker"] = worker_id
    run = Run(**{**values, "log_lines": len(made.lines)})
    session.add(run)
    session.flush()
    if made.lines:
        session.add(RunLog(run_id=run.id, first_line=0, lines=len(made.lines), text="\n".join(made.lines)))
        session.flush()
    return run.id
