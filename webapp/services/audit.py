"""The record of who changed what. Entries are added to the caller's transaction, so that a change and its entry stand
or fall together; nothing here changes or removes an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webapp.extensions import db
from webapp.services.actors import Actor
from webapp.store.models import AuditEntry


def record(
    action: str,
    object_type: str,
    object_id: object,
    *,
    actor: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Add an entry to the session; the caller commits.

    ``before`` and ``after`` must be JSON values without passwords, tokens or secrets.
    """
    entry = AuditEntry(
        at=now,
        actor=actor.name[:120],
        via=actor.via,
        address=None if actor.address is None else actor.address[:64],
        action=action,
        object_type=object_type,
        object_id=str(object_id)[:191],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
    )
    db.session.add(entry)
    return entry
