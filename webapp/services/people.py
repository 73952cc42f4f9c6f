"""What admins do with accounts: change a role, switch off and on, delete. One active admin always stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit, sessions, users
from webapp.services.actors import Actor
from webapp.store.database import retried, writing
from webapp.store.models import ApiToken, User, UserSession

USERS_MAX = 1000


def every() -> Sequence[User]:
    """All users, by name."""
    return db.session.scalars(select(User).order_by(User.name).limit(USERS_MAX)).all()


def counts() -> dict[int, tuple[int, int]]:
    """Sessions and tokens of each user, by the user's id; who has neither is absent."""
    found: dict[int, tuple[int, int]] = {}
    for place, column in enumerate((UserSession.user_id, ApiToken.user_id)):
        for user_id, number in db.session.execute(select(column, func.count()).group_by(column)):
            pair = list(found.get(user_id, (0, 0)))
            pair[place] = number
            found[user_id] = (pair[0], pair[1])
    return found


@retried
def set_role(user_id: int, role: Role | str, *, actor: Actor, now: datetime) -> User:
    """Give a user another role; their tokens may do no more than it. Raises Invalid, NotFound, Conflict, Forbidden."""
    actor.require(Role.ADMIN)
    if role not in set(Role):
        raise Invalid({"role": f"must be one of {', '.join(Role)}"})
    with writing() as session:
        user = _locked(session, user_id)
        if Role(role) is not Role.ADMIN:
            _require_another_admin(session, user)
        before, user.role = users.summary(user), Role(role).value
        if before != users.summary(user):
            audit.record(
                "user.role_changed", "user", user.id, actor=actor, now=now, before=before, after=users.summary(user)
            )
    return user


@retried
def set_active(user_id: int, active: bool, *, actor: Actor, now: datetime) -> User:
    """Switch an account off or on. Off: sessions end now, tokens stop working. Raises NotFound, Conflict, Forbidden."""
    actor.require(Role.ADMIN)
    with writing() as session:
        user = _locked(session, user_id)
        if not active:
            _require_another_admin(session, user)
            user.session_epoch += 1
            sessions.end_all(user.id)
        before, user.active = users.summary(user), active
        if before != users.summary(user):
            action = "user.enabled" if active else "user.disabled"
            audit.record(action, "user", user.id, actor=actor, now=now, before=before, after=users.summary(user))
    return user


@retried
def delete(user_id: int, *, actor: Actor, now: datetime) -> None:
    """Remove an account with its sessions and tokens; what it did stays in the audit. Raises NotFound, Conflict."""
    actor.require(Role.ADMIN)
    if actor.user_id == user_id:
        raise Conflict("Another admin must delete your account.")
    with writing() as session:
        user = _locked(session, user_id)
        _require_another_admin(session, user)
        before = users.summary(user)
        session.delete(user)
        audit.record("user.deleted", "user", user_id, actor=actor, now=now, before=before)


def _locked(session: Session, user_id: int) -> User:
    """The user, and all admins locked with them in one order, so that two changes cannot both take the last one."""
    ids = session.scalars(select(User.id).where((User.role == Role.ADMIN.value) | (User.id == user_id))).all()
    query = select(User).where(User.id.in_(ids)).order_by(User.id).with_for_update()
    found = {user.id: user for user in session.scalars(query.execution_options(populate_existing=True))}
    if user_id not in found:
        raise NotFound("There is no such user.")
    return found[user_id]


def _require_another_admin(session: Session, user: User) -> None:
    """Raise Conflict when this is the only admin who can log in."""
    if user.role != Role.ADMIN.value or not user.active:
        return
    others = select(User.id).where(User.role == Role.ADMIN.value, User.active.is_(True), User.id != user.id)
    if session.scalar(others.limit(1)) is None:
        raise Conflict(f"{user.name} is the last admin: make somebody else an admin first.")
