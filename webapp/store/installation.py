"""Facts about the installation as a whole, by name."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from webapp.store.models import Installation
from webapp.store.runs import insert_new


def read(session: Session, name: str) -> Any:
    """The value, or None. Always asks the database, never what the session has seen before."""
    text = session.scalar(select(Installation.value).where(Installation.name == name))
    return None if text is None else json.loads(text)


def hold(session: Session, name: str, now: datetime) -> None:
    """Let nobody else change this fact before the transaction ends, also where it was never set."""
    insert_new(session, Installation.__table__, [{"name": name, "value": json.dumps(None), "updated_at": now}])
    session.execute(select(Installation.name).where(Installation.name == name).with_for_update())


def write(session: Session, name: str, value: Any, now: datetime) -> None:
    hold(session, name, now)
    row = session.get_one(Installation, name, populate_existing=True)
    row.value, row.updated_at = json.dumps(value), now


def forget(session: Session, name: str) -> None:
    session.execute(delete(Installation).where(Installation.name == name))
