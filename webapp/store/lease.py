"""The lease: which process leads the schedule. The database's clock judges expiry, so leaders need not agree on it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.store.database import database_now, read_database_now
from webapp.store.models import SchedulerLease, SchedulerSpan
from webapp.store.runs import insert_new

TTL_S = 10.0
RENEW_EVERY_S = 2.0
_ROW = 1


@dataclass(frozen=True)
class Held:
    """A lease in hand: who holds it and in which epoch."""

    holder: str
    epoch: int


def read(session: Session) -> SchedulerLease | None:
    """The lease as it stands in the database now."""
    return session.get(SchedulerLease, _ROW, populate_existing=True)


def is_free(session: Session, row: SchedulerLease | None, holder: str) -> bool:
    """Whether ``holder`` may take the lease, as far as one can tell without a lock."""
    return row is None or row.holder in (None, holder) or not _is_good(row.expires_at, read_database_now(session))


def acquire(session: Session, holder: str, dead: Collection[str] = ()) -> Held | None:
    """Take the lease if it is free, ours, run out, or held by one of the ``dead``; else None.

    Each change of holder starts a new epoch.
    """
    row = session.get(SchedulerLease, _ROW, with_for_update=True, populate_existing=True)
    if row is None:  # the very first time; of several processes one inserts it
        insert_new(session, SchedulerLease.__table__, [{"id": _ROW, "epoch": 0}])
        row = session.get_one(SchedulerLease, _ROW, with_for_update=True, populate_existing=True)
    now = read_database_now(session)
    if row.holder not in (None, holder, *dead) and _is_good(row.expires_at, now):
        return None
    if row.holder != holder or not _is_good(row.expires_at, now):
        row.epoch += 1
        session.add(SchedulerSpan(holder=holder, epoch=row.epoch, from_at=now, until_at=now))
    row.holder, row.renewed_at, row.expires_at = holder, now, now + timedelta(seconds=TTL_S)
    return Held(holder, row.epoch)


def renew(session: Session, held: Held) -> bool:
    """Extend the lease and its span; False when another epoch has begun or ours has run out."""
    if not confirm(session, held):
        return False
    now = read_database_now(session)
    session.execute(
        update(SchedulerLease)
        .where(SchedulerLease.id == _ROW)
        .values(renewed_at=now, expires_at=now + timedelta(seconds=TTL_S))
    )
    _extend_span(session, held, now)
    return True


_CONFIRM = (
    select(SchedulerLease.holder, SchedulerLease.epoch, SchedulerLease.expires_at, database_now().label("now"))
    .where(SchedulerLease.id == _ROW)
    .with_for_update()
)


def confirm(session: Session, held: Held) -> bool:
    """Whether ``held`` is still good, asked inside the caller's transaction; locks the row until its end."""
    row = session.connection().execute(_CONFIRM).first()  # asked in every round: past the ORM
    if row is None or row.holder != held.holder or row.epoch != held.epoch:
        return False
    return _is_good(row.expires_at, row.now)


def release(session: Session, held: Held) -> None:
    """Give the lease up at once, so that a standby need not wait for it to run out."""
    if confirm(session, held):
        now = read_database_now(session)
        session.execute(update(SchedulerLease).where(SchedulerLease.id == _ROW).values(holder=None, expires_at=None))
        _extend_span(session, held, now)


def _is_good(expires_at: datetime | None, now: datetime) -> bool:
    """Whether a lease is in force. One that would last longer than any can was given before the clock went back."""
    return expires_at is not None and now < expires_at <= now + timedelta(seconds=2 * TTL_S)


def _extend_span(session: Session, held: Held, now: datetime) -> None:
    session.execute(
        update(SchedulerSpan)
        .where(SchedulerSpan.holder == held.holder, SchedulerSpan.epoch == held.epoch)
        .values(until_at=now)
    )
