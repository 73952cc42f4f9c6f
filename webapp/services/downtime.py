"""When nobody served due times: no process led the schedule, or somebody had stopped it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.store.models import AuditEntry, SchedulerSpan

TOLERANCE = timedelta(seconds=5)
"""A span is extended every two seconds, so a shorter gap between two leaders is none."""
_SPANS_MAX = 1_000


@dataclass(frozen=True)
class Gap:
    """Nobody led from ``since`` (None: nobody ever had) to ``until`` (None: nobody does yet)."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Stop:
    """Somebody stopped the scheduler at ``since``; it was started again at ``until`` (None: it was not yet)."""

    by: str
    since: datetime
    until: datetime | None


def gap(session: Session, first: datetime, last: datetime) -> Gap | None:
    """The first gap that overlaps the time from ``first`` to ``last``, of more than TOLERANCE."""
    before = session.scalars(
        select(SchedulerSpan).where(SchedulerSpan.from_at <= first).order_by(SchedulerSpan.until_at.desc()).limit(1)
    ).first()
    covered = None if before is None else before.until_at
    later = select(SchedulerSpan).where(SchedulerSpan.from_at > first).order_by(SchedulerSpan.from_at)
    for span in session.scalars(later.limit(_SPANS_MAX)):
        if covered is None or (span.from_at - covered > TOLERANCE and span.from_at > first):
            return Gap(covered, span.from_at)
        if span.from_at >= last:
            return None
        covered = max(covered, span.until_at)
    if covered is None or last - covered > TOLERANCE:
        return Gap(covered, None)
    return None


def gaps(session: Session, first: datetime, last: datetime) -> list[Gap]:
    """Every gap between two leaders from ``first`` to ``last``, oldest first; before the first leader there is none."""
    spans = (
        select(SchedulerSpan.from_at, SchedulerSpan.until_at)
        .where(SchedulerSpan.until_at > first, SchedulerSpan.from_at < last)
        .order_by(SchedulerSpan.from_at)
    )
    found: list[Gap] = []
    covered: datetime | None = None
    for from_at, until_at in session.execute(spans.limit(_SPANS_MAX)):
        if covered is not None and from_at - covered > TOLERANCE:
            found.append(Gap(covered, from_at))
        covered = until_at if covered is None else max(covered, until_at)
    return found


def stop(session: Session, first: datetime, last: datetime) -> Stop | None:
    """The last time that somebody had stopped the scheduler between ``first`` and ``last``."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.object_type == "scheduler", AuditEntry.at <= last)
        .order_by(AuditEntry.id.desc())
        .limit(100)
    )
    until: datetime | None = None
    for entry in session.scalars(query):
        if entry.action == "scheduler.stopped":
            return Stop(entry.actor, entry.at, until)
        if entry.at <= first:
            return None  # the switch stood so, at the beginning
        until = entry.at
    return None
