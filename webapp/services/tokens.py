"""API tokens: keys for scripts, shown once. The database holds their SHA-256: a slow hash would protect 256 random
bits no better.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import OperationalError

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit
from webapp.services.actors import Actor
from webapp.store.database import retried, writing
from webapp.store.models import ApiToken, User

MARK = "car_"
PREFIX_LENGTH = 12
NAME_LENGTH = 80
TOKENS_PER_USER = 100
NOTED_EVERY = timedelta(minutes=1)

log = logging.getLogger(__name__)


@retried
def create(
    user: User,
    name: str,
    role: Role | str,
    expires_at: datetime | None,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[ApiToken, str]:
    """Make a token and return it with its plain text, which is never to be had again.

    Its role is at most its user's. Raises Invalid by field (name, role, expires_at), Conflict at the limit.
    """
    _require_owner(user.id, actor)
    _check(user, name, role, expires_at, now)
    plain = MARK + secrets.token_urlsafe(32)
    token = ApiToken(
        user_id=user.id,
        name=name.strip(),
        token_hash=_hash(plain),
        prefix=plain[:PREFIX_LENGTH],
        role=Role(role).value,
        created_at=now,
        expires_at=expires_at,
    )
    with writing() as session:
        held = session.scalar(select(func.count()).where(ApiToken.user_id == user.id)) or 0
        if held >= TOKENS_PER_USER:
            raise Conflict(f"A user may hold {TOKENS_PER_USER} tokens. Revoke one first.")
        session.add(token)
        session.flush()
        audit.record("token.created", "token", token.id, actor=actor, now=now, after=_summary(token, user))
    return token, plain


def of(user: User) -> Sequence[ApiToken]:
    """The user's tokens, newest first, at most TOKENS_PER_USER of them; expired ones too."""
    return db.session.scalars(select(ApiToken).where(ApiToken.user_id == user.id).order_by(ApiToken.id.desc())).all()


@retried
def revoke(token_id: int, *, actor: Actor, now: datetime) -> None:
    """End a token at once. Raises NotFound, also for a token of somebody else unless the actor is an admin."""
    with writing() as session:
        token = session.get(ApiToken, token_id, with_for_update=True, populate_existing=True)
        if token is None or not _may_touch(token.user_id, actor):
            raise NotFound("There is no such token.")
        before = _summary(token, session.get(User, token.user_id))
        session.delete(token)
        audit.record("token.revoked", "token", token_id, actor=actor, now=now, before=before)


def authenticate(plain: str, *, now: datetime) -> tuple[User, Role] | None:
    """The token's user and what the token may do; None when it is unknown, expired or its user inactive.

    A user whose role was lowered lowers the tokens too.
    """
    if not plain.startswith(MARK):
        return None
    row = db.session.execute(
        select(ApiToken, User).join(User, User.id == ApiToken.user_id).where(ApiToken.token_hash == _hash(plain))
    ).first()
    if row is None:
        return None
    token, user = row
    if not user.active or (token.expires_at is not None and token.expires_at <= now):
        return None
    role = min(Role(token.role), Role(user.role), key=lambda role: role.rank)
    _note_use(token, now)
    return user, role


def _note_use(token: ApiToken, now: datetime) -> None:
    """Keep the time of the last use, at most once a minute, so that reading through the API writes next to nothing.

    A busy database must not refuse a request only because this note cannot be written.
    """
    if token.last_used_at is not None and token.last_used_at >= now - NOTED_EVERY:
        return
    due = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < now - NOTED_EVERY)
    try:
        with writing() as session:
            session.execute(update(ApiToken).where(ApiToken.id == token.id, due).values(last_used_at=now))
    except OperationalError as error:
        log.warning("The time of a token's use could not be noted: %s", error.orig)


def _check(user: User, name: str, role: Role | str, expires_at: datetime | None, now: datetime) -> None:
    problems: dict[str, str] = {}
    if not name.strip():
        problems["name"] = "must not be empty"
    elif len(name.strip()) > NAME_LENGTH or not name.strip().isprintable():
        problems["name"] = f"must have at most {NAME_LENGTH} characters, all of them visible"
    if role not in set(Role):
        problems["role"] = f"must be one of {', '.join(Role)}"
    elif not Role(user.role).includes(Role(role)):
        problems["role"] = f"cannot be more than the user's own role, {user.role}"
    if expires_at is not None and expires_at <= now:
        problems["expires_at"] = "must be in the future"
    if problems:
        raise Invalid(problems)


def _require_owner(user_id: int, actor: Actor) -> None:
    if not _may_touch(user_id, actor):
        actor.require(Role.ADMIN)


def _may_touch(user_id: int, actor: Actor) -> bool:
    return actor.user_id == user_id or actor.role is Role.ADMIN


def _summary(token: ApiToken, user: User | None) -> dict[str, object]:
    return {
        "name": token.name,
        "user": None if user is None else user.name,
        "role": token.role,
        "prefix": token.prefix,
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
    }


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
