"""Secrets by name: encrypted at rest, never shown again, handed to a run when it starts.

The keys are those of the settings, or stand in the instance folder. They are read anew inside each transaction that
writes, under a lock that rotation takes too, so that nothing is encrypted with a key that is about to go.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app
from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.phrases import join
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit
from webapp.services.actors import Actor
from webapp.settings import Settings, kept_secret_keys, write_secret_keys
from webapp.store import installation
from webapp.store.database import retried, writing
from webapp.store.job_words import escape_like
from webapp.store.models import Job, Secret
from webapp.tasks import Task, references
from webapp.tasks.redaction import SHORTEST

LOCK = "secrets"
KEY_FILE = "secrets_key"
LONGEST = 16_384
ABOUT_LENGTH = 200
SECRETS_MAX = 1000


# -- reading ---------------------------------------------------------------------------------------------------------


def every() -> Sequence[Secret]:
    """All of them, by name; their values stay sealed."""
    return db.session.scalars(select(Secret).order_by(Secret.name).limit(SECRETS_MAX)).all()


def get(name: str) -> Secret:
    """Raises NotFound."""
    found = db.session.scalar(select(Secret).where(Secret.name == name))
    if found is None:
        raise NotFound(f"There is no secret named {name}.")
    return found


def names() -> list[str]:
    """The names to choose from."""
    return list(db.session.scalars(select(Secret.name).order_by(Secret.name).limit(SECRETS_MAX)))


def users_of(name: str, limit: int = 200) -> Sequence[Job]:
    """The jobs whose arguments refer to this secret, by name."""
    like = f"%{escape_like(references.reference(name))}%"
    uses = or_(cast(Job.kwargs, Text).like(like, escape="\\"), cast(Job.args, Text).like(like, escape="\\"))
    return db.session.scalars(select(Job).where(uses).order_by(Job.name).limit(limit)).all()


def unknown(wanted: Collection[str]) -> list[str]:
    """Those of these names that no secret has."""
    if not wanted:
        return []
    known = set(db.session.scalars(select(Secret.name).where(Secret.name.in_(wanted))))
    return sorted(set(wanted) - known)


def check_known(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise Invalid, at the argument, when one refers to a secret that is not there."""
    missing = unknown(references.names_for(task, args, kwargs))
    for argument, value in task.by_name(args, kwargs).items():
        for name in references.names_in(value).intersection(missing):
            raise Invalid({argument: f"refers to a secret that is not there: {name}"})


def reveal(wanted: Collection[str]) -> dict[str, str]:
    """The values by name, for a run that starts. Raises Invalid that names those that are missing or unreadable."""
    if not wanted:
        return {}
    found = {row.name: row.sealed for row in db.session.scalars(select(Secret).where(Secret.name.in_(wanted)))}
    db.session.commit()  # a run may take hours: it must not hold a transaction open
    missing = sorted(set(wanted) - found.keys())
    if missing:
        raise Invalid({"": f"There is no secret named {join(missing)}, which the arguments refer to."})
    fernet = _fernet()
    values: dict[str, str] = {}
    for name, sealed in found.items():
        try:
            values[name] = fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Invalid({"": f"The secret {name} cannot be read with the keys of this installation."}) from None
    return values


# -- changing --------------------------------------------------------------------------------------------------------


@retried
def create(name: str, value: str, about: str, *, actor: Actor, now: datetime) -> Secret:
    """Store a new secret. Raises Invalid by field (name, value, about), Conflict when the name is taken."""
    actor.require(Role.ADMIN)
    name, about = name.strip(), about.strip()
    _check({"name": _name_problem(name), "value": _value_problem(value), "about": _about_problem(about)})
    with writing() as session:
        installation.hold(session, LOCK, now)
        if session.scalar(select(Secret.id).where(Secret.name == name)) is not None:
            raise Conflict(f"There is already a secret named {name}.")
        row = Secret(
            name=name, about=about, sealed=_seal(value), version=1, created_at=now, created_by=actor.name,
            updated_at=now, updated_by=actor.name,
        )  # fmt: skip
        session.add(row)
        session.flush()
        audit.record("secret.created", "secret", name, actor=actor, now=now, after=_summary(row))
    return row


@retried
def replace(name: str, value: str | None, about: str, *, actor: Actor, now: datetime) -> Secret:
    """Give a secret another value (None: keep it) and description; the next run that starts gets it.

    Raises NotFound, Invalid by field (value, about).
    """
    actor.require(Role.ADMIN)
    about = about.strip()
    _check({"value": None if value is None else _value_problem(value), "about": _about_problem(about)})
    with writing() as session:
        installation.hold(session, LOCK, now)
        row = _locked(session, name)
        before = _summary(row)
        row.about, row.updated_at, row.updated_by = about, now, actor.name
        if value is not None:
            row.sealed, row.version = _seal(value), row.version + 1
        audit.record("secret.replaced", "secret", name, actor=actor, now=now, before=before, after=_summary(row))
    return row


@retried
def delete(name: str, *, actor: Actor, now: datetime) -> None:
    """Forget a secret, whoever uses it: their runs fail with this reason from now on. Raises NotFound."""
    actor.require(Role.ADMIN)
    with writing() as session:
        row = _locked(session, name)
        before = _summary(row)
        session.delete(row)
        audit.record("secret.deleted", "secret", name, actor=actor, now=now, before=before)


@retried
def rotate(*, actor: Actor, now: datetime) -> int:
    """Encrypt every secret anew with the newest key, and return how many. Raises Conflict when one cannot be read.

    Keys of the settings stay as they are. In the instance folder a new key is made, and the earlier ones go when
    nothing needs them any more; a crash in between leaves both there.
    """
    actor.require(Role.ADMIN)
    path = None if _settings().secret_keys else _path()
    with writing() as session:
        installation.hold(session, LOCK, now)
        if path is not None:
            write_secret_keys(path, [Fernet.generate_key().decode(), *kept_secret_keys(path)])
        fernet = _fernet()
        rows = session.scalars(select(Secret).order_by(Secret.name).with_for_update()).all()
        for row in rows:
            try:
                row.sealed = fernet.rotate(row.sealed.encode()).decode()
            except InvalidToken:
                raise Conflict(f"The secret {row.name} cannot be read with any key; replace or delete it.") from None
        audit.record("secret.rotated", "secret", "secret", actor=actor, now=now, after={"secrets": len(rows)})
    if path is not None:
        with writing() as session:
            installation.hold(session, LOCK, now)
            write_secret_keys(path, kept_secret_keys(path)[:1])
    return len(rows)


def _locked(session: Session, name: str) -> Secret:
    row = session.scalar(
        select(Secret).where(Secret.name == name).with_for_update().execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound(f"There is no secret named {name}.")
    return row


def _check(problems: Mapping[str, str | None]) -> None:
    found = {field: text for field, text in problems.items() if text}
    if found:
        raise Invalid(found)


def _name_problem(name: str) -> str | None:
    if not re.fullmatch(references.NAME, name):
        return "must begin with a letter or digit and have only letters, digits and . _ - (at most 64)"
    return None


def _value_problem(value: str) -> str | None:
    if len(value) < SHORTEST:
        return f"needs at least {SHORTEST} characters: shorter text could not be masked in logs"
    if len(value) > LONGEST:
        return f"must have at most {LONGEST} characters"
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return "contains a character that is not text"
    return None


def _about_problem(about: str) -> str | None:
    if len(about) > ABOUT_LENGTH or not about.isprintable():
        return f"must have at most {ABOUT_LENGTH} characters, all of them visible"
    return None


def _summary(row: Secret) -> dict[str, object]:
    """What the audit keeps: that the value is another one, never the value."""
    return {"name": row.name, "about": row.about, "version": row.version}


def _seal(value: str) -> str:
    return _fernet().encrypt(value.encode()).decode()


def _fernet() -> MultiFernet:
    given = [key.get_secret_value() for key in _settings().secret_keys]
    return MultiFernet([Fernet(key) for key in given or kept_secret_keys(_path())])


def _path() -> Path:
    return _settings().instance_path / KEY_FILE


def _settings() -> Settings:
    found: Settings = current_app.config["CARILLON"]
    return found
