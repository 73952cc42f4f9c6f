"""Whether due times are being served: read from the database, so that every process tells the same truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.domain.states import JobState, RunState
from webapp.extensions import db
from webapp.services import control
from webapp.store import jobs, lease, runs
from webapp.store.database import read_database_now
from webapp.store.models import EngineEvent, Worker

WORKER_GONE_S = 15.0
"""A worker that has not been heard of for so long is taken for dead."""
LATE_LOOP_S = 5.0
COUNTED = 10_000
"""So far runs that wait and runs that go on are counted."""


@dataclass(frozen=True)
class SchedulerStatus:
    """How the scheduler stands. ``state``: running, paused, stopped, or down (nobody leads, or the leader is stuck)."""

    state: str
    healthy: bool
    problem: str | None
    leader: str | None
    epoch: int
    heartbeat_at: datetime | None
    last_loop_at: datetime | None
    thread_alive: bool | None
    switch: control.Switch
    queued: int
    running: int
    jobs_total: int
    jobs_quarantined: int
    next_due_at: datetime | None
    overdue_s: float
    workers: Sequence[Worker]
    executors: dict[str, dict[str, int]]
    jobstores: dict[str, dict[str, Any]]
    database_now: datetime

    @property
    def stores_away(self) -> list[str]:
        """The job stores whose jobs wait."""
        return sorted(alias for alias, each in self.jobstores.items() if each["state"] != "ready")


def read() -> SchedulerStatus:
    """The present status; a handful of short reads."""
    session = db.session()
    now = read_database_now(session)
    row = lease.read(session)
    held = row is not None and row.holder is not None and row.expires_at is not None and row.expires_at > now
    workers = live_workers(session, now)
    leader = next((worker for worker in workers if row is not None and worker.id == row.holder), None)
    detail = leader.detail if leader is not None and held else {}
    last_loop_at = datetime.fromisoformat(detail["last_loop_at"]) if detail.get("last_loop_at") else None
    jobstores = detail.get("jobstores", {})
    next_due_at = jobs.next_due_at(session, [alias for alias, each in jobstores.items() if each["state"] != "ready"])
    overdue_s = max(0.0, (now - next_due_at).total_seconds()) if next_due_at else 0.0
    switch = control.read(session)
    state, problem = _judge(switch, held, leader, overdue_s)
    counts = _job_counts(session)
    return SchedulerStatus(
        state=state,
        healthy=problem is None and switch.mode is not control.Mode.STOPPED,
        problem=problem,
        leader=row.holder if row is not None and held else None,
        epoch=row.epoch if row is not None else 0,
        heartbeat_at=row.renewed_at if row is not None else None,
        last_loop_at=last_loop_at,
        thread_alive=detail.get("thread_alive"),
        switch=switch,
        queued=runs.count_in(session, RunState.QUEUED, COUNTED),
        running=runs.count_in(session, RunState.RUNNING, COUNTED),
        jobs_total=counts.total,
        jobs_quarantined=counts.quarantined,
        next_due_at=next_due_at,
        overdue_s=overdue_s,
        workers=workers,
        executors=detail.get("executors", {}),
        jobstores=jobstores,
        database_now=now,
    )


@dataclass(frozen=True)
class _JobCounts:
    """How many jobs there are, as of a revision of the catalogue."""

    rev: str
    total: int
    quarantined: int


def _job_counts(session: Session) -> _JobCounts:
    """Counted anew only when somebody has changed the catalogue since."""
    kept: _JobCounts | None = current_app.extensions.get("carillon_job_counts")
    rev = jobs.rev(session)
    if kept is None or kept.rev != rev:
        kept = _JobCounts(rev, jobs.count(session), jobs.count(session, JobState.QUARANTINED))
        current_app.extensions["carillon_job_counts"] = kept
    return kept


def _judge(switch: control.Switch, held: bool, leader: Worker | None, overdue_s: float) -> tuple[str, str | None]:
    """The state's word, and what is wrong if due times are not being served."""
    if switch.mode is control.Mode.STOPPED:
        return "stopped", None
    if not held or leader is None:
        return "down", "No process leads the schedule: due times wait until one is started."
    if leader.detail.get("thread_alive") is False:
        return "down", f"The scheduler thread of {leader.id} has ended."
    if overdue_s > LATE_LOOP_S:
        return "down", f"Due times have waited for {overdue_s:.0f} s; the scheduler does not get to them."
    return switch.mode.value, None


def live_workers(session: Session, now: datetime) -> Sequence[Worker]:
    """The processes heard of lately; ``now`` is the database's clock."""
    query = select(Worker).where(Worker.seen_at > now - timedelta(seconds=WORKER_GONE_S)).order_by(Worker.started_at)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def why_waiting(jobstore: str) -> str | None:
    """Why the jobs of a job store wait, as its leader tells; None: they do not, or nobody leads."""
    session = db.session()
    row = lease.read(session)
    leader = None if row is None or row.holder is None else session.get(Worker, row.holder, populate_existing=True)
    told = {} if leader is None else leader.detail.get("jobstores", {}).get(jobstore, {})
    return (told["problem"] or "It has not answered yet.") if told.get("state", "ready") != "ready" else None


def may_lead() -> list[str]:
    """The processes that lead or may lead: alive, and not just stopping."""
    session = db.session()
    workers = live_workers(session, read_database_now(session))
    return [each.id for each in workers if "thread_alive" in each.detail and not each.detail.get("stopping")]


def events(limit: int = 50) -> Sequence[EngineEvent]:
    """What happened to the scheduler itself, newest first."""
    return db.session.scalars(select(EngineEvent).order_by(EngineEvent.id.desc()).limit(limit)).all()
