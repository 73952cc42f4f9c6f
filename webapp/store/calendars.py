"""Reads of shared calendars, of the contents that they had, and of the jobs that use them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.store.models import Calendar, CalendarRevision, Job


def find(session: Session, name: str, *, lock: bool = False) -> Calendar | None:
    """The calendar as it is now; with ``lock`` nobody may change it or begin to use it before the transaction ends."""
    query = select(Calendar).where(Calendar.name == name).execution_options(populate_existing=lock)
    return session.scalar(query.with_for_update() if lock else query)


def find_id(session: Session, calendar_id: int) -> Calendar | None:
    return session.get(Calendar, calendar_id)


def every(session: Session, limit: int) -> Sequence[Calendar]:
    """By name."""
    return session.scalars(select(Calendar).order_by(Calendar.name).limit(limit)).all()


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Calendar)) or 0


def named(session: Session, names: Collection[str], *, hold: bool = False) -> Sequence[Calendar]:
    """Those of these names that exist; with ``hold`` none of them changes before the transaction ends."""
    if not names:
        return []
    query = select(Calendar).where(Calendar.name.in_(names)).order_by(Calendar.id)
    if hold:
        query = query.with_for_update(read=True).execution_options(populate_existing=True)
    return session.scalars(query).all()


def existing(session: Session, names: Collection[str]) -> set[str]:
    """Which of these names belong to a calendar now."""
    return set(session.scalars(select(Calendar.name).where(Calendar.name.in_(names))))


def contents(session: Session, digests: Collection[str]) -> Mapping[str, dict[str, Any]]:
    """Contents by their digests, also those that no calendar has any more."""
    query = select(CalendarRevision.digest, CalendarRevision.content).where(CalendarRevision.digest.in_(digests))
    return {row.digest: row.content for row in session.execute(query)}


def revisions(session: Session, calendar_id: int, limit: int = 100) -> Sequence[CalendarRevision]:
    """Newest first."""
    query = select(CalendarRevision).where(CalendarRevision.calendar_id == calendar_id)
    return session.scalars(query.order_by(CalendarRevision.revision.desc()).limit(limit)).all()


def revision(session: Session, calendar_id: int, number: int) -> CalendarRevision | None:
    query = select(CalendarRevision).where(CalendarRevision.calendar_id == calendar_id)
    return session.scalar(query.where(CalendarRevision.revision == number))


def revision_numbers(session: Session, digests: Collection[str]) -> dict[str, int]:
    """Which revision of its calendar each content was first."""
    columns = (CalendarRevision.digest, func.min(CalendarRevision.revision).label("number"))
    query = select(*columns).where(CalendarRevision.digest.in_(digests)).group_by(CalendarRevision.digest)
    return {row.digest: row.number for row in session.execute(query)}


def users(session: Session) -> dict[str, list[str]]:
    """The ids of the jobs that name each calendar, by the calendar's name."""
    found: dict[str, list[str]] = {}
    query = select(Job.id, Job.calendar_pins).where(Job.calendar_pins.is_not(None)).order_by(Job.id)
    for row in session.execute(query):
        for name in row.calendar_pins:
            found.setdefault(name, []).append(row.id)
    return found


def jobs_of(session: Session, ids: Collection[str], limit: int) -> Sequence[Job]:
    """These jobs, by name."""
    return session.scalars(select(Job).where(Job.id.in_(ids)).order_by(Job.name, Job.id).limit(limit)).all()
