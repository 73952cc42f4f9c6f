"""Logging in with a name and a password, and what the audit keeps of it.

Whether a name is known, its password wrong or its user inactive makes no difference to the one who tries: the same
computation, the same write, the same answer. A name that nobody has is not kept, for it may be a password in the wrong
field.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit, users
from webapp.services.actors import Actor, Via
from webapp.store.database import retried, writing
from webapp.store.models import AuditEntry, User

FAILED, SUCCEEDED, ENDED = "login.failed", "login.succeeded", "login.ended"
FAILURES_PER_HOUR = 100
"""Failed logins that are kept one by one; the last of them says that there may be more."""
SCRIPT_NOTED_EVERY = timedelta(days=1)
"""A script that sends a password with each request logs in all the time; that it does from here is kept once a day."""
STRANGER = "(not logged in)"

log = logging.getLogger(__name__)


def log_in(name: str, password: str, *, via: Via, address: str | None, now: datetime) -> User | None:
    """The active user with this name and password, or None; kept in the audit either way."""
    user = users.authenticate(name, password, now=now)
    try:
        if user is None:
            _note_failure(name, via, address, now)
        else:
            _note_success(user, via, address, now)
    except OperationalError as error:  # a busy database must not refuse a login only because of this note
        log.warning("A login could not be kept in the audit: %s", error.orig)
    return user


def vouched(name: str, *, address: str | None, now: datetime) -> User | None:
    """The active user of this name, whom a login provider has made sure of; kept in the audit either way."""
    user = users.named(name)
    if user is None or not user.active:
        _note_failure(name, "web", address, now)
        return None
    _note_success(user, "web", address, now)
    users.note_login(user, now)
    return user


@retried
def log_out(*, actor: Actor, now: datetime) -> None:
    """Keep that a person ended their browser session."""
    with writing():
        audit.record(ENDED, "user", actor.user_id, actor=actor, now=now, after={"name": actor.name})


@retried
def _note_success(user: User, via: Via, address: str | None, now: datetime) -> None:
    if via == "api" and _was_noted(user, address, now):
        return
    with writing():
        actor = Actor(user.name, Role(user.role), via, address, user.id)
        audit.record(SUCCEEDED, "user", user.id, actor=actor, now=now, after={"name": user.name})


def _was_noted(user: User, address: str | None, now: datetime) -> bool:
    noted = select(AuditEntry.id).where(
        AuditEntry.object_type == "user",
        AuditEntry.object_id == str(user.id),
        AuditEntry.action == SUCCEEDED,
        AuditEntry.via == "api",
        AuditEntry.address == address,
        AuditEntry.at > now - SCRIPT_NOTED_EVERY,
    )
    return db.session.scalar(noted.limit(1)) is not None


@retried
def _note_failure(name: str, via: Via, address: str | None, now: datetime) -> None:
    with writing() as session:
        recent = select(AuditEntry.id).where(AuditEntry.action == FAILED, AuditEntry.at > now - timedelta(hours=1))
        kept = session.scalar(select(func.count()).select_from(recent.limit(FAILURES_PER_HOUR).subquery())) or 0
        user = users.named(name)
        if kept >= FAILURES_PER_HOUR:
            return
        after: dict[str, object] = {"name": user.name if user else "(nobody's)"}
        if kept == FAILURES_PER_HOUR - 1:
            after["note"] = "More failed logins within this hour are in the server's log only."
        actor = Actor(STRANGER, Role.VIEWER, via, address)
        audit.record(FAILED, "user", user.id if user else "unknown", actor=actor, now=now, after=after)
