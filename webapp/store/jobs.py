"""Bounded reads of the catalogue and of its history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, func, select, update
from sqlalchemy.orm import Session

from webapp.domain.states import JobState
from webapp.store import job_pages
from webapp.store.filters import JobFilter
from webapp.store.models import Job, JobRevision
from webapp.store.types import UtcDateTime

_EVERY = 2**31 - 1


def find(session: Session, job_id: str, *, lock: bool = False) -> Job | None:
    """The job as it is now; with ``lock`` nobody else may change it before the transaction ends."""
    return session.get(Job, job_id, with_for_update=True if lock else None, populate_existing=lock)


def every(session: Session, filter: JobFilter, limit: int = _EVERY) -> list[Job]:
    """All jobs that the filter finds, or the first of them, in its order."""
    return [job for job, _ in job_pages.page(session, filter, limit=limit).jobs]


def rev(session: Session) -> str:
    """A text that changes whenever a job is added, changed or deleted by somebody."""
    changed = session.scalar(select(func.max(Job.updated_at)))
    return f"{session.scalar(select(func.max(JobRevision.id)))}-{changed.timestamp() if changed else 0}"


def declared(session: Session, state: JobState) -> Sequence[Job]:
    """Jobs in this state that code has declared."""
    return session.scalars(select(Job).where(Job.origin == "code", Job.state == state).order_by(Job.id)).all()


def count(session: Session, state: JobState | None = None, most: int | None = None) -> int:
    """How many jobs there are (in a state), counted up to ``most`` if it is given."""
    query = select(Job.id) if state is None else select(Job.id).where(Job.state == state)
    return session.scalar(select(func.count()).select_from(query.limit(most).subquery())) or 0


_TABLE: Any = Job.__table__
_DUE_COLUMNS = (
    "id", "name", "revision", "task", "args", "kwargs", "executor", "group", "priority", "timeout_s", "retry", "chains",
    "auto_pause_after", "trigger", "calendar_pins", "next_due_at", "coalesce", "misfire_grace_s", "overlap",
    "max_instances",
)  # fmt: skip
_DUE = (
    select(*(_TABLE.c[name] for name in _DUE_COLUMNS))
    .where(_TABLE.c.state == JobState.ACTIVE.value, _TABLE.c.next_due_at <= bindparam("now"))
    .order_by(_TABLE.c.next_due_at)
    .limit(bindparam("size", type_=Integer))
    .with_for_update(skip_locked=True)
)


def due(session: Session, now: datetime, limit: int, waiting: Collection[str] = ()) -> Sequence[Any]:
    """The columns that a due pass needs of the jobs that are due, the longest waiting first; locks their rows.

    Those of the job stores ``waiting`` are left out.
    """
    query = _DUE.where(_TABLE.c.jobstore.not_in(waiting)) if waiting else _DUE
    return session.connection().execute(query, {"now": now, "size": limit}).all()


def next_due_at(session: Session, waiting: Collection[str] = ()) -> datetime | None:
    """When the next job of the catalogue is due, but for those of the job stores ``waiting``."""
    query = select(func.min(Job.next_due_at)).where(Job.state == JobState.ACTIVE)
    return session.scalar(query.where(Job.jobstore.not_in(waiting)) if waiting else query)


def next_wake_at(session: Session, waiting: Collection[str] = ()) -> datetime | None:
    """When the leader has something to do: a job is due, or a pause ends."""
    resume_at = session.scalar(select(func.min(Job.resume_at)).where(Job.resume_at.is_not(None)))
    return min(filter(None, (next_due_at(session, waiting), resume_at)), default=None)


def to_resume(session: Session, now: datetime, limit: int) -> Sequence[Job]:
    """Paused jobs whose pause has ended; locks their rows."""
    query = select(Job).where(Job.resume_at <= now, Job.state == JobState.PAUSED).limit(limit).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).all()


def of_store(session: Session, jobstore: str, *, limit: int, lock: bool = False) -> Sequence[Job]:
    """Jobs of one job store; with ``lock`` nobody else may change them before the transaction ends."""
    query = select(Job).where(Job.jobstore == jobstore).order_by(Job.id).limit(limit)
    query = query.with_for_update() if lock else query
    return session.scalars(query.execution_options(populate_existing=lock)).all()


def due_in_store(session: Session, jobstore: str, now: datetime) -> Sequence[Job]:
    """Jobs of one job store that are due, the longest waiting first."""
    query = select(Job).where(Job.jobstore == jobstore, Job.state == JobState.ACTIVE, Job.next_due_at <= now)
    return session.scalars(query.order_by(Job.next_due_at, Job.id)).all()


def next_due_in_store(session: Session, jobstore: str) -> datetime | None:
    """When the next job of one job store is due."""
    query = select(func.min(Job.next_due_at)).where(Job.jobstore == jobstore, Job.state == JobState.ACTIVE)
    return session.scalar(query)


def upcoming(session: Session, limit: int) -> Sequence[Job]:
    query = select(Job).where(Job.state == JobState.ACTIVE, Job.next_due_at.is_not(None)).order_by(Job.next_due_at)
    return session.scalars(query.limit(limit)).all()


_SCHEDULES = (
    select(_TABLE.c.id, _TABLE.c.name, _TABLE.c.trigger, _TABLE.c.calendar_pins)
    .where(_TABLE.c.state == JobState.ACTIVE.value, _TABLE.c.next_due_at >= bindparam("moment", type_=UtcDateTime()))
    .order_by(_TABLE.c.next_due_at, _TABLE.c.id)
    .limit(bindparam("size", type_=Integer))
)


def schedules_from(session: Session, moment: datetime, limit: int) -> Sequence[Any]:
    """Active jobs that are next due at ``moment`` or later, the soonest first: id, name, trigger, calendar_pins."""
    return session.connection().execute(_SCHEDULES, {"moment": moment, "size": limit}).all()


def revisions(session: Session, job_id: str, limit: int = 100) -> Sequence[JobRevision]:
    """Newest first."""
    query = select(JobRevision).where(JobRevision.job_id == job_id).order_by(JobRevision.revision.desc())
    return session.scalars(query.limit(limit)).all()


def latest_revision(session: Session, job_id: str) -> int:
    """The highest revision number that this id ever had, also under a job that was deleted; 0 for none."""
    return session.scalar(select(func.max(JobRevision.revision)).where(JobRevision.job_id == job_id)) or 0


def close_revision(session: Session, job_id: str, until: datetime) -> None:
    """End the period that is open for this job."""
    session.execute(
        update(JobRevision).where(JobRevision.job_id == job_id, JobRevision.until_at.is_(None)).values(until_at=until)
    )
