"""A job's past as pieces of time, each with the schedule that was in force, whether the job was served by it or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from webapp.domain.schedules import Schedule
from webapp.services.schedule_cache import schedule_of, schedule_of_period
from webapp.store import history
from webapp.store.models import Job, JobRevision

STEP = timedelta(microseconds=1)


@dataclass(frozen=True)
class Piece:
    """The time ``after < t <= until``. ``period`` is None where there was no such job.

    ``schedule`` is then that of the present job, and None where there is none or where it cannot be read.
    """

    after: datetime
    until: datetime
    period: JobRevision | None
    schedule: Schedule | None

    def has(self, moment: datetime) -> bool:
        """Whether the schedule is due at this moment of the piece."""
        if self.schedule is None or not self.after < moment <= self.until:
            return False
        last = self.schedule.span(moment - STEP, moment).last
        return last is not None and last.astimezone(UTC) == moment.astimezone(UTC)


def pieces(session: Session, job_id: str, job: Job | None, since: datetime, until: datetime) -> list[Piece]:
    """The pieces that make up (since, until], oldest first; between two lives of an id there is a piece as well."""
    present = None if job is None else schedule_in(job)
    found: list[Piece] = []
    reached = since
    for period in history.periods(session, job_id, since, until):
        begin, end = max(period.from_at, reached), until if period.until_at is None else min(period.until_at, until)
        if end <= begin:
            continue
        if begin > reached:
            found.append(Piece(reached, begin, None, present))
        found.append(Piece(begin, end, period, schedule_in(period)))
        reached = end
    if reached < until:
        found.append(Piece(reached, until, None, present))
    return found


def due_times(parts: Sequence[Piece], limit: int) -> Iterator[datetime]:
    """The times (UTC) that these pieces' schedules name, oldest first, served or not; at most ``limit``."""
    for piece in parts:
        if limit <= 0:
            return
        if piece.schedule is not None:
            for moment in piece.schedule.between(piece.after, piece.until, limit):
                limit -= 1
                yield moment.astimezone(UTC)


def schedule_in(source: Job | JobRevision) -> Schedule | None:
    """The schedule of a job or of a period; None where it cannot be read."""
    try:
        return schedule_of(source) if isinstance(source, Job) else schedule_of_period(source)
    except Exception:  # stored rubbish; who explains or lists the past says that nothing is known
        return None
