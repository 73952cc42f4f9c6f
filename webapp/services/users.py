"""People who may log in. Passwords are kept as scrypt hashes; names and passwords are compared in Unicode form NFC,
so that the same letters typed on two systems are the same.
"""

from __future__ import annotations

import logging
import unicodedata
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import available_timezones

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.security import check_password_hash, generate_password_hash

from webapp.domain.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit
from webapp.services.actors import Actor
from webapp.store.database import retried, writing
from webapp.store.models import User, UserSession

NAME_LENGTH = 80
PASSWORD_LENGTH = (8, 1000)
NOTED_EVERY = timedelta(minutes=1)

log = logging.getLogger(__name__)


def any_user() -> bool:
    """Whether somebody can log in at all; until then only the setup page opens."""
    return db.session.scalar(select(User.id).limit(1)) is not None


def get(user_id: int) -> User:
    """Raise NotFound when there is no such user."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def load(session_id: str) -> User | None:
    """The user of a browser session, from what ``User.get_id`` put into its cookie: ``<id>.<epoch>``.

    None when the session was ended (a newer epoch), the user is inactive or gone, or the text is malformed.
    """
    number, _, epoch = session_id.partition(".")
    if not (_is_number(number) and _is_number(epoch)):
        return None
    user = db.session.get(User, int(number))
    if user is None or not user.active or user.session_epoch != int(epoch):
        return None
    return user


def authenticate(name: str, password: str, *, now: datetime) -> User | None:
    """The active user with this name and password, or None.

    An unknown name costs the same scrypt computation as a known one, so that the time does not tell them apart.
    """
    user = named(name)
    stored = user.password_hash if user is not None and user.password_hash.startswith("scrypt:") else _dummy_hash()
    right = check_password_hash(stored, _prepared(password))
    if user is None or not right or not user.active:
        return None
    note_login(user, now)
    return user


def named(name: str) -> User | None:
    """The user of this name, active or not."""
    name = unicodedata.normalize("NFC", name)
    return None if name_problem(name) else db.session.scalar(select(User).where(User.name == name))


@retried
def create(name: str, password: str, role: Role | str, *, actor: Actor, now: datetime) -> User:
    """Add a user. Raises Invalid by field (name, password, role), Conflict when the name is taken."""
    actor.require(Role.ADMIN)
    user = build(name, password, role, now=now)
    try:
        with writing() as session:
            session.add(user)
            session.flush()
            audit.record("user.created", "user", user.id, actor=actor, now=now, after=summary(user))
    except IntegrityError:
        raise Conflict(f"There is already a user named {name}.") from None
    return user


def build(name: str, password: str, role: Role | str, *, now: datetime) -> User:
    """A checked user that is not stored yet. Raises Invalid by field (name, password, role)."""
    name = unicodedata.normalize("NFC", name)
    problems = {
        "name": name_problem(name),
        "password": password_problem(password),
        "role": None if role in set(Role) else f"must be one of {', '.join(Role)}",
    }
    found = {field: text for field, text in problems.items() if text}
    if found:
        raise Invalid(found)
    return User(
        name=name,
        password_hash=_hash(password),
        role=Role(role).value,
        active=True,
        session_epoch=1,
        created_at=now,
    )


@retried
def set_password(user_id: int, old: str | None, new: str, *, actor: Actor, now: datetime) -> User:
    """Change a password and end every browser session of that user; the caller may begin a new one.

    Users give their ``old`` password; only an admin may set another user's with ``old`` None.
    Raises Invalid by field (old, new), Forbidden, NotFound; Conflict when it was changed a moment ago.
    """
    user = get(user_id)
    checked = user.password_hash
    if actor.user_id != user.id or old is None:
        actor.require(Role.ADMIN)
        if actor.user_id == user.id:
            raise Forbidden("Your own password is changed by giving the old one.")
    elif not check_password_hash(checked, _prepared(old)):
        raise Invalid({"old": "is not your present password"})
    problem = password_problem(new)
    if problem:
        raise Invalid({"new": problem})
    hashed = _hash(new)  # takes long, so before the transaction
    with writing() as session:
        session.refresh(user, with_for_update=True)
        if user.password_hash != checked:
            raise Conflict("The password was changed a moment ago.")
        user.password_hash = hashed
        user.session_epoch += 1
        session.execute(delete(UserSession).where(UserSession.user_id == user.id))
        audit.record("user.password_changed", "user", user.id, actor=actor, now=now)
    return user


@retried
def set_timezone(user_id: int, timezone: str | None, *, actor: Actor, now: datetime) -> User:
    """Choose the zone in which this user reads times (an IANA name); None: the browser's. Users choose their own.

    Raises Invalid at ``timezone``, Forbidden, NotFound.
    """
    user = get(user_id)
    if actor.user_id != user.id:
        actor.require(Role.ADMIN)
    if timezone is not None and timezone not in available_timezones():
        raise Invalid({"timezone": f"{timezone[:64]!r} is not an IANA time zone such as Europe/Berlin."})
    with writing() as session:
        session.refresh(user, with_for_update=True)
        before = {"timezone": user.timezone}
        user.timezone = timezone
        after = {"timezone": timezone}
        audit.record("user.timezone_changed", "user", user.id, actor=actor, now=now, before=before, after=after)
    return user


def name_problem(name: str) -> str | None:
    """What is wrong with a user's name, or None. A colon would end the name in HTTP Basic authentication."""
    if not name.strip():
        return "must not be empty"
    if name != name.strip():
        return "must not begin or end with a space"
    if len(name) > NAME_LENGTH:
        return f"must have at most {NAME_LENGTH} characters"
    if ":" in name or not name.isprintable():
        return "must not contain a colon or invisible characters"
    return None


def password_problem(password: str) -> str | None:
    """What is wrong with a new password, or None."""
    shortest, longest = PASSWORD_LENGTH
    if len(password) < shortest:
        return f"needs at least {shortest} characters"
    if len(password) > longest:
        return f"must have at most {longest} characters"
    if any("\ud800" <= letter <= "\udfff" for letter in password):
        return "contains a character that is not text"
    return None


def summary(user: User) -> dict[str, object]:
    """What the audit keeps of a user: no hash."""
    return {"name": user.name, "role": user.role, "active": user.active}


def note_login(user: User, now: datetime) -> None:
    """Keep the time of the last login, at most once a minute: a script may log in with every request.

    A busy database must not refuse a login only because this note cannot be written.
    """
    if user.last_login_at is not None and user.last_login_at >= now - NOTED_EVERY:
        return
    due = or_(User.last_login_at.is_(None), User.last_login_at < now - NOTED_EVERY)
    try:
        with writing() as session:
            session.execute(update(User).where(User.id == user.id, due).values(last_login_at=now))
    except OperationalError as error:
        log.warning("The time of a login could not be noted: %s", error.orig)


def _prepared(password: str) -> str:
    """A password as it is hashed. Cut one over the limit, so that a huge one costs no huge normalisation.

    What is no text (a lone surrogate from JSON) is replaced; ``password_problem`` lets no such password be set.
    """
    cut = password[: PASSWORD_LENGTH[1] + 1].encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", cut)


def _hash(password: str) -> str:
    return generate_password_hash(_prepared(password), method="scrypt")


@cache
def _dummy_hash() -> str:
    return _hash("nobody has this password")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
