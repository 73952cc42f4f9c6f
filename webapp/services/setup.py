"""The first admin: made through a one-time link that the server prints, or from the settings."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from webapp.domain.errors import Conflict, Forbidden
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit, users
from webapp.services.actors import ENGINE, Actor
from webapp.settings import Settings
from webapp.store import installation
from webapp.store.database import retried, writing
from webapp.store.models import Installation, User

ROW = "setup"

log = logging.getLogger(__name__)


def needed() -> bool:
    """Whether the first admin is still to be made."""
    return not users.any_user()


@retried
def issue(now: datetime) -> str:
    """A new one-time token in plain text; it replaces any earlier one. Only its hash is stored.

    Raises Conflict when there is a user already.
    """
    token = secrets.token_urlsafe(32)
    with writing() as session:
        _require_nobody()
        installation.write(session, ROW, _hash(token), now)
    return token


@retried
def redeem(token: str, name: str, password: str, *, now: datetime, address: str | None) -> User:
    """Make the first admin and use the token up. Of two that redeem at once, one succeeds.

    Raises Forbidden for a wrong or used token, Conflict when a user exists, Invalid by field (name, password);
    after Invalid the token is still good.
    """
    _check(token)
    user = users.build(name, password, Role.ADMIN, now=now)
    with writing() as session:
        row = session.get(Installation, ROW, with_for_update=True, populate_existing=True)
        _check(token)
        session.delete(row)
        _add(user, Actor(user.name, Role.ADMIN, "web", address=address), now)
    return user


@retried
def create_from_settings(settings: Settings, now: datetime) -> User | None:
    """Make the first admin from ``admin_user`` and ``admin_password``, unless one is not given or a user exists.

    Safe when several processes start at once. Raises Invalid when the name cannot be used.
    """
    password = settings.admin_password.get_secret_value()
    if not settings.admin_user or not password or not needed():
        return None
    user = users.build(settings.admin_user, password, Role.ADMIN, now=now)
    try:
        with writing() as session:
            _require_nobody()
            installation.forget(session, ROW)
            _add(user, ENGINE, now)
    except (Conflict, IntegrityError):
        return None  # another process was faster
    log.info("The admin %s was created from the settings.", user.name)
    return user


def _check(token: str) -> None:
    """Raise Conflict when there is a user, Forbidden unless this is the token that is stored."""
    _require_nobody()
    # The hashes of two secrets are compared, so the time that it takes tells nothing about either.
    if installation.read(db.session(), ROW) != _hash(token):
        raise Forbidden("This setup link is not valid. Start the server again to get a new one.")


def _require_nobody() -> None:
    if not needed():
        raise Conflict("Carillon is set up already.")


def _add(user: User, actor: Actor, now: datetime) -> None:
    db.session.add(user)
    db.session.flush()
    audit.record("user.created", "user", user.id, actor=actor, now=now, after=users.summary(user))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
