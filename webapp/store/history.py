"""Reads of what was in force and of what became of it: for the balance, for explanations and for catching up.

The functions take what executes statements: a session, or the connection of a ``snapshot`` where several answers must
be of one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, false, func, or_, select
from sqlalchemy.orm import Session

from webapp.domain.states import JobState
from webapp.store.models import Job, JobRevision, Run

Reader = Session | Connection

_FRESH = {"populate_existing": True}
"""Rows that the session has read before are read anew: others change them with statements of their own."""

_RUN: Any = Run.__table__
_PERIOD: Any = JobRevision.__table__
_JOB: Any = Job.__table__


@dataclass(frozen=True)
class Outcomes:
    """Due times of one job that ended in one state, by the rows that lie in a window as a whole."""

    job_id: str
    state: str
    number: int


def latest_due_at(reader: Reader, job_id: str, until: datetime) -> datetime | None:
    """The last due time of a job up to ``until`` that has a row."""
    return reader.scalar(select(func.max(Run.due_at)).where(Run.job_id == job_id, Run.due_at <= until))


def latest_from_at(reader: Reader, job_id: str, until: datetime) -> datetime | None:
    """The last moment up to ``until`` at which a period of a job began."""
    period = JobRevision
    return reader.scalar(select(func.max(period.from_at)).where(period.job_id == job_id, period.from_at <= until))


def count_served_periods(reader: Reader, since: datetime, until: datetime, job_id: str | None, most: int) -> int:
    """How many periods ``served_periods`` would give, counted up to ``most``."""
    found = 0
    for condition in _serving(since, until, job_id):
        inner = select(_PERIOD.c.id).where(*condition).limit(most - found).subquery()
        found += reader.scalar(select(func.count()).select_from(inner)) or 0
    return found


def served_periods(reader: Reader, since: datetime, until: datetime, job_id: str | None) -> Sequence[Any]:
    """Periods that overlap (since, until] and in which a job was served, in no particular order.

    Each has job_id, revision, definition, from_at and until_at.
    """
    columns = (_PERIOD.c.job_id, _PERIOD.c.revision, _PERIOD.c.definition, _PERIOD.c.from_at, _PERIOD.c.until_at)
    found: list[Any] = []
    for condition in _serving(since, until, job_id):
        found += reader.execute(select(*columns).where(*condition)).all()
    return found


def _serving(since: datetime, until: datetime, job_id: str | None) -> list[list[Any]]:
    """Two conditions for open and for ended periods: each is answered from one end of the index."""
    both = [_PERIOD.c.serving, _PERIOD.c.from_at < until]
    if job_id is not None:  # by this job's own index: the other one lists the periods of all jobs
        both = [func.coalesce(_PERIOD.c.serving, false()), _PERIOD.c.from_at < until, _PERIOD.c.job_id == job_id]
    return [[*both, _PERIOD.c.until_at.is_(None)], [*both, _PERIOD.c.until_at > since]]


def _in_window(since: datetime, until: datetime, job_id: str | None) -> list[Any]:
    """The rows whose state is the outcome of due times of which the last is in the window."""
    found = [_RUN.c.due_at > since, _RUN.c.due_at <= until, _RUN.c.next_id.is_(None)]
    return found if job_id is None else [*found, _RUN.c.job_id == job_id]


def outcomes(reader: Reader, since: datetime, until: datetime, job_id: str | None) -> tuple[list[Outcomes], bool]:
    """Due times in (since, until] by job and outcome, without rows that began earlier; and whether there are such."""
    inside = case((_RUN.c.first_due_at <= since, 0), else_=1)
    query = (
        select(_RUN.c.job_id, _RUN.c.state, inside.label("inside"), func.sum(_RUN.c.due_count).label("number"))
        .where(*_in_window(since, until, job_id))
        .group_by(_RUN.c.job_id, _RUN.c.state, inside)
    )
    rows = reader.execute(query).all()
    return [Outcomes(row.job_id, row.state, int(row.number)) for row in rows if row.inside], any(
        not row.inside for row in rows
    )


def sums(reader: Reader, since: datetime, until: datetime, job_id: str | None) -> dict[str, int]:
    """Due times by outcome, of the rows whose last due time is in (since, until]."""
    query = select(_RUN.c.state, func.sum(_RUN.c.due_count)).where(*_in_window(since, until, job_id))
    return {state: int(number) for state, number in reader.execute(query.group_by(_RUN.c.state))}


_FOLDED = (_RUN.c.job_id, _RUN.c.state, _RUN.c.first_due_at, _RUN.c.due_at)


def begun_before(reader: Reader, since: datetime, until: datetime, job_id: str | None) -> Sequence[Any]:
    """Rows that began before the window and end in it: job_id, state, first_due_at, due_at."""
    query = select(*_FOLDED).where(*_in_window(since, until, job_id), _RUN.c.first_due_at <= since)
    return reader.execute(query.where(_RUN.c.due_count > 0)).all()


def any_due_after(reader: Reader, until: datetime) -> bool:
    """Whether any due time later than this has a row."""
    return reader.scalar(select(_RUN.c.id).where(_RUN.c.due_at > until).limit(1)) is not None


def ending_after(reader: Reader, until: datetime, job_id: str) -> Any | None:
    """The row of a job that began at or before ``until`` and ends later; rows of a job follow each other."""
    query = (
        select(*_FOLDED)
        .where(_RUN.c.job_id == job_id, _RUN.c.due_at > until, _RUN.c.next_id.is_(None), _RUN.c.due_count > 0)
        .order_by(_RUN.c.due_at)
        .limit(1)
    )
    row = reader.execute(query).first()
    return row if row is not None and row.first_due_at <= until else None


def waiting_jobs(reader: Reader, until: datetime, job_id: str | None) -> Sequence[Any]:
    """Jobs with due times up to ``until`` that no due pass has taken yet: id, next_due_at."""
    query = select(_JOB.c.id, _JOB.c.next_due_at).where(
        _JOB.c.state == JobState.ACTIVE.value, _JOB.c.next_due_at <= until
    )
    return reader.execute(query if job_id is None else query.where(_JOB.c.id == job_id)).all()


def periods(reader: Session, job_id: str, since: datetime, until: datetime) -> Sequence[JobRevision]:
    """The periods of a job's life that overlap (since, until], oldest first, served or not."""
    query = select(JobRevision).where(
        JobRevision.job_id == job_id,
        JobRevision.from_at < until,
        or_(JobRevision.until_at.is_(None), JobRevision.until_at > since),
    )
    return reader.scalars(query.order_by(JobRevision.revision).execution_options(**_FRESH)).all()


def last_attempts(reader: Session, job_id: str, moments: Sequence[datetime]) -> dict[datetime, Run]:
    """The rows that end at these due times, by due time: the last attempt of each."""
    query = select(Run).where(Run.job_id == job_id, Run.due_at.in_(moments), Run.next_id.is_(None))
    return {run.due_at: run for run in reader.scalars(query.execution_options(**_FRESH)) if run.due_at is not None}


def next_row(reader: Session, job_id: str, moment: datetime) -> Run | None:
    """The first row that ends at this moment or later, the last attempt of it; rows of a job follow each other."""
    query = (
        select(Run)
        .where(Run.job_id == job_id, Run.due_at >= moment, Run.next_id.is_(None), Run.due_count > 0)
        .order_by(Run.due_at)
        .limit(1)
    )
    return reader.scalar(query.execution_options(**_FRESH))


def covers(run: Run, moment: datetime) -> bool:
    """Whether this moment lies between the first and the last due time of a row."""
    return run.first_due_at is not None and run.due_at is not None and run.first_due_at <= moment <= run.due_at


_REVISIONS_MAX = 200


def deletion(reader: Session, job_id: str, until: datetime) -> JobRevision | None:
    """The last time up to ``until`` that the job was deleted."""
    query = select(JobRevision).where(
        JobRevision.job_id == job_id, JobRevision.change == "deleted", JobRevision.from_at <= until
    )
    return reader.scalar(query.order_by(JobRevision.revision.desc()).limit(1))


def next_period(reader: Session, job_id: str, since: datetime) -> JobRevision | None:
    """The first period that began at ``since`` or later."""
    query = select(JobRevision).where(JobRevision.job_id == job_id, JobRevision.from_at >= since)
    return reader.scalar(query.order_by(JobRevision.revision).limit(1))


def rest(reader: Session, job_id: str, revision: int) -> list[JobRevision]:
    """The periods up to this one, newest first, in which the job was not served without a break."""
    query = select(JobRevision).where(JobRevision.job_id == job_id, JobRevision.revision <= revision)
    found: list[JobRevision] = []
    for period in reader.scalars(query.order_by(JobRevision.revision.desc()).limit(_REVISIONS_MAX)):
        if period.serving or period.change in ("deleted", "resumed"):
            break
        found.append(period)
    return found


def end_of_rest(reader: Session, job_id: str, revision: int) -> JobRevision | None:
    """The first period after this one in which the job was served again, or its deletion."""
    again = or_(JobRevision.serving, JobRevision.change.in_(("deleted", "resumed")))
    query = select(JobRevision).where(JobRevision.job_id == job_id, JobRevision.revision > revision, again)
    return reader.scalar(query.order_by(JobRevision.revision).limit(1))


def revisions_around(reader: Session, job_id: str, revision: int) -> Sequence[JobRevision]:
    """The periods shortly before and after this one, in order."""
    low, high = revision - _REVISIONS_MAX // 2, revision + _REVISIONS_MAX // 2
    query = select(JobRevision).where(JobRevision.job_id == job_id, JobRevision.revision.between(low, high))
    return reader.scalars(query.order_by(JobRevision.revision)).all()


def requested(reader: Session, job_id: str, since: datetime, until: datetime, limit: int) -> Sequence[Run]:
    """Runs of a job that somebody or another run asked for in this time, beside the schedule."""
    query = select(Run).where(
        Run.job_id == job_id, Run.due_at.is_(None), Run.queued_at >= since, Run.queued_at <= until
    )
    return reader.scalars(query.order_by(Run.id).limit(limit)).all()
