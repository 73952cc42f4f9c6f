"""Browser sessions: each login is a row, so that it can be listed, and ended from another place.

The cookie is signed and names the row; the row decides. A session that nobody used for as long as the settings say has
ended, whatever its cookie says.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import OperationalError

from webapp.domain.errors import NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit
from webapp.services.actors import Actor
from webapp.settings import Settings
from webapp.store.database import retried, writing
from webapp.store.models import User, UserSession

NOTED_EVERY = timedelta(minutes=5)
SESSIONS_PER_USER = 100

log = logging.getLogger(__name__)


@retried
def begin(user: User, *, address: str | None, agent: str, now: datetime) -> str:
    """Open a session and return its id for the cookie. Of very many, the ones that were used longest ago end."""
    row = UserSession(
        id=secrets.token_urlsafe(24),
        user_id=user.id,
        created_at=now,
        seen_at=now,
        address=None if address is None else address[:64],
        agent="".join(letter for letter in agent if letter.isprintable())[:200],
    )
    with writing() as session:
        session.execute(delete(UserSession).where(UserSession.seen_at < now - _lifetime()))
        ids = select(UserSession.id).where(UserSession.user_id == user.id).order_by(UserSession.seen_at.desc())
        surplus = session.scalars(ids.offset(SESSIONS_PER_USER - 1).limit(SESSIONS_PER_USER)).all()
        if surplus:
            session.execute(delete(UserSession).where(UserSession.id.in_(surplus)))
        session.add(row)
    return row.id


def find(session_id: str) -> tuple[UserSession, User] | None:
    """A session and its user, in one read: every page asks for both."""
    found = db.session().execute(_FIND, {"id": session_id}).first()
    return None if found is None else (found[0], found[1])


_FIND = select(UserSession, User).join(User, User.id == UserSession.user_id).where(UserSession.id == bindparam("id"))


def is_open(row: UserSession, *, now: datetime) -> bool:
    """Whether a session goes on."""
    return row.seen_at >= now - _lifetime()


def of(user: User, *, now: datetime) -> Sequence[UserSession]:
    """The user's open sessions, the last used first."""
    query = select(UserSession).where(UserSession.user_id == user.id, UserSession.seen_at >= now - _lifetime())
    return db.session.scalars(query.order_by(UserSession.seen_at.desc()).limit(SESSIONS_PER_USER)).all()


@retried
def end(session_id: str, *, actor: Actor, now: datetime) -> None:
    """End a session at once. Raises NotFound, also for somebody else's unless the actor is an admin."""
    with writing() as session:
        row = session.get(UserSession, session_id, with_for_update=True, populate_existing=True)
        if row is None or (row.user_id != actor.user_id and actor.role is not Role.ADMIN):
            raise NotFound("There is no such session.")
        user = session.get(User, row.user_id)
        before = {"name": user.name if user else None, "address": row.address, "browser": row.agent}
        session.delete(row)
        audit.record("session.ended", "user", row.user_id, actor=actor, now=now, before=before)


@retried
def close(session_id: object) -> None:
    """Forget a session whose own browser logs out."""
    if isinstance(session_id, str):
        with writing() as session:
            session.execute(delete(UserSession).where(UserSession.id == session_id))


def end_all(user_id: int) -> None:
    """End every session of a user, inside the caller's transaction."""
    db.session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def note_use(row: UserSession, now: datetime) -> bool:
    """Keep when a session was last used, to five minutes; True when it is time to, and for a new cookie.

    A busy database must not refuse a page because of it.
    """
    if row.seen_at > now - NOTED_EVERY:
        return False
    due = UserSession.seen_at <= now - NOTED_EVERY
    try:
        with writing() as session:
            session.execute(update(UserSession).where(UserSession.id == row.id, due).values(seen_at=now))
    except OperationalError as error:
        log.warning("The use of a session could not be noted: %s", error.orig)
    return True


def _lifetime() -> timedelta:
    settings: Settings = current_app.config["CARILLON"]
    return timedelta(hours=settings.session_hours)
