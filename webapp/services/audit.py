"""The record of who changed what. Entries are added to the caller's transaction, so that a change and its entry stand
or fall together; nothing here changes or removes an entry.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.domain.errors import Invalid, NotFound
from webapp.extensions import db
from webapp.services.actors import Actor
from webapp.store import audit as store
from webapp.store.filters import AuditFilter
from webapp.store.models import AuditEntry

EXPORT_BATCH = 500


@dataclass(frozen=True)
class AuditPage:
    """Some entries, newest first. ``older`` and ``newer`` are cursors for ``page``; None: there are none that way."""

    rows: list[AuditEntry]
    older: str | None
    newer: str | None


def record(
    action: str,
    object_type: str,
    object_id: object,
    *,
    actor: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Let an entry be chained at the end of the caller's transaction, which must be one of ``writing``.

    ``before`` and ``after`` must be JSON values without passwords, tokens or secrets.
    """
    entry = AuditEntry(
        at=now,
        actor=_storable(actor.name)[:120],
        via=actor.via,
        address=None if actor.address is None else actor.address[:64],
        action=action,
        object_type=object_type,
        object_id=_storable(str(object_id))[:191],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
    )
    store.put(db.session(), entry)


def page(filter: AuditFilter, *, cursor: str | None = None, limit: int = 50) -> AuditPage:
    """A page of the audit; ``cursor`` comes from another page, None is the newest. Raises Invalid for a bad one."""
    before, after = _cursor(cursor)
    rows = store.page(db.session(), filter, before=before, after=after, limit=limit + 1)
    if after is not None:
        more_newer, rows, more_older = len(rows) > limit, rows[-limit:], True
        if not more_newer and len(rows) < limit:  # the newest page is always a full one
            return page(filter, limit=limit)
    else:
        more_older, rows, more_newer = len(rows) > limit, rows[:limit], before is not None
    older = f"b{rows[-1].id}" if rows and more_older else None
    newer = f"a{rows[0].id}" if rows and more_newer else None
    return AuditPage(rows, older, newer)


def get(entry_id: int) -> tuple[AuditEntry, AuditEntry | None]:
    """An entry and the one before it. Raises NotFound."""
    session = db.session()
    entry = session.get(AuditEntry, entry_id) if 0 < entry_id < 2**63 else None
    if entry is None:
        raise NotFound(f"There is no audit entry {entry_id}.")
    return entry, session.get(AuditEntry, entry_id - 1)


def every(filter: AuditFilter) -> Iterator[AuditEntry]:
    """All entries that the filter matches, newest first, read a batch at a time."""
    before: int | None = None
    while rows := store.page(db.session(), filter, before=before, after=None, limit=EXPORT_BATCH):
        yield from rows
        before = rows[-1].id
        db.session.expunge_all()


def told(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON values, with the hash that covers exactly the others and the hash of the entry before."""
    return {**store.content(entry), "hash": entry.hash}


def choices() -> tuple[Sequence[str], Sequence[str]]:
    """The actors and the actions that the audit knows, for lists to choose from."""
    session = db.session()
    return store.distinct(session, AuditEntry.actor), store.distinct(session, AuditEntry.action)


def _cursor(cursor: str | None) -> tuple[int | None, int | None]:
    if not cursor:
        return None, None
    way, number = cursor[0], cursor[1:]
    if way not in "ab" or not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise Invalid({"cursor": "This is not a cursor that a page gave out."})
    return (int(number), None) if way == "b" else (None, int(number))


def _storable(text: str) -> str:
    """Text as every database takes it, on one line: what cannot be seen becomes the replacement character."""
    return "".join("\ufffd" if unicodedata.category(letter)[0] == "C" else letter for letter in text)
