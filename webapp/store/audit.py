"""The audit's table: entries wait in the session and are chained at the end of its transaction; bounded reads.

One row says where the chain ends. It is locked only from there to the commit, so writers in any number of processes
make one chain, and hold each other up for no longer than a commit takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from webapp.domain import chain
from webapp.store import installation
from webapp.store.filters import AuditFilter
from webapp.store.models import AuditEntry, Installation

ROW = "audit"
RESEALED = "audit.resealed"
_PENDING = "carillon_audit"
_BATCH = 500


@dataclass(frozen=True)
class Head:
    """Where the chain ends: how many entries, the last one's hash, and the seal over both."""

    count: int
    hash: str
    seal: str

    @property
    def is_sealed(self) -> bool:
        """Whether this installation's key sealed it."""
        return chain.is_seal(self.seal, key(), self.count, self.hash)


def key() -> str:
    """The key of the seal, which does not stand in the database."""
    found: str = current_app.config["CARILLON"].signing_key
    return found


def content(row: Any) -> dict[str, Any]:
    """What an entry's hash covers: all that it says, its number included."""
    return {
        "id": row.id,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": row.actor,
        "via": row.via,
        "address": row.address,
        "action": row.action,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "before": row.before,
        "after": row.after,
    }


# -- writing ---------------------------------------------------------------------------------------------------------


def put(session: Session, entry: AuditEntry) -> None:
    """Let ``entry`` stand at the end of the chain when this transaction commits."""
    session.info.setdefault(_PENDING, []).append(entry)


def drop(session: Session) -> None:
    """Forget what was put: the transaction has failed."""
    session.info.pop(_PENDING, None)


def append(session: Session) -> list[AuditEntry]:
    """Chain what was put. The last statements of a transaction, so that the lock on the chain's end is short.

    When the end was not sealed by us, somebody has been at the table: an entry that says so comes first, for ever.
    """
    entries: list[AuditEntry] = session.info.pop(_PENDING, [])
    if not entries:
        return []
    session.flush()
    row = session.get(Installation, ROW, with_for_update=True, populate_existing=True)
    if row is None:  # the very first time
        installation.hold(session, ROW, entries[0].at)
        row = session.get_one(Installation, ROW, populate_existing=True)
    head, note = _end(session, entries[0].at)
    if note is not None:
        entries.insert(0, note)
    count, last_hash = head.count, head.hash
    for entry in entries:
        count += 1
        entry.id = count
        entry.hash = last_hash = chain.link(last_hash, content(entry))
    session.add_all(entries)
    write_head(session, count, last_hash, entries[0].at)
    return entries


def write_head(session: Session, count: int, last_hash: str, now: datetime) -> None:
    """Say where the chain ends, and seal it."""
    value = {"count": count, "hash": last_hash, "seal": chain.seal(key(), count, last_hash)}
    installation.write(session, ROW, value, now)


def _end(session: Session, now: datetime) -> tuple[Head, AuditEntry | None]:
    """Where to go on, and the entry that tells what is wrong with it.

    An end that we sealed counts even when entries before it are gone, so that they stay missing. Any other is not
    believed: the chain goes on after what stands in the table.
    """
    head = _head(installation.read(session, ROW))
    last = session.execute(select(AuditEntry.id, AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1)).first()
    stands = Head(0, chain.GENESIS, "") if last is None else Head(last.id, last.hash, "")
    if head is None and last is None:
        return stands, None
    if head is None:
        return stands, _resealed("The record of where the audit ends was missing.", now)
    if not head.is_sealed:
        text = f"The record of where the audit ends ({head.count} entries) was not sealed with this installation's key."
        return stands, _resealed(text, now)
    if stands.count > head.count:
        return stands, _resealed(f"Entries after {head.count} were added past Carillon.", now)
    return head, None


def _resealed(reason: str, now: datetime) -> AuditEntry:
    return AuditEntry(
        at=now, actor="carillon", via="engine", action=RESEALED, object_type="audit", object_id="audit",
        after={"reason": reason},
    )  # fmt: skip


# -- reading ---------------------------------------------------------------------------------------------------------


def read_head(session: Session) -> Head | None:
    """Where the chain ends now; None before the first entry."""
    return _head(installation.read(session, ROW))


def _head(value: Mapping[str, Any] | None) -> Head | None:
    try:
        return None if value is None else Head(int(value["count"]), str(value["hash"]), str(value["seal"]))
    except (KeyError, TypeError, ValueError):
        return Head(0, chain.GENESIS, "")  # somebody wrote nonsense there; it has no seal


def page(
    session: Session, filter: AuditFilter, *, before: int | None, after: int | None, limit: int
) -> list[AuditEntry]:
    """Entries newest first: those numbered below ``before``, or the ones next above ``after``."""
    query = filter.apply(select(AuditEntry))
    if after is not None:
        rows = session.scalars(query.where(AuditEntry.id > after).order_by(AuditEntry.id.asc()).limit(limit)).all()
        return list(reversed(rows))
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)))


def distinct(session: Session, column: Any, limit: int = 200) -> list[str]:
    """The values that stand in this column, each found by one step in its index."""
    values: list[str] = []
    query = select(column).order_by(column).limit(1)
    value = session.scalar(query)
    while value is not None and len(values) < limit:
        values.append(value)
        value = session.scalar(query.where(column > value))
    return values


def walk(connection: Connection, first: int = 1) -> Iterator[Any]:
    """Every entry from number ``first`` on, oldest first, a batch at a time."""
    table: Any = AuditEntry.__table__
    query = select(table).order_by(table.c.id).limit(_BATCH)
    least = first
    while rows := connection.execute(query.where(table.c.id >= least)).all():
        yield from rows
        least = rows[-1].id + 1
