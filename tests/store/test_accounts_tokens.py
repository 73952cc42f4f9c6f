"""API tokens: what they allow, for how long, and what is kept of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from webapp.domain.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import tokens, users
from webapp.services.actors import Actor
from webapp.store.models import ApiToken, AuditEntry, User

ADMIN = Actor("root", Role.ADMIN, "cli")


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def anna(context: None, now: datetime) -> User:
    return users.create("anna", "correct horse", Role.EDITOR, actor=ADMIN, now=now)


@pytest.fixture
def herself(anna: User) -> Actor:
    return Actor("anna", Role.EDITOR, "web", user_id=anna.id)


def test_a_token_stands_for_its_user_with_its_own_role(anna: User, herself: Actor, now: datetime) -> None:
    token, plain = tokens.create(anna, "nightly", Role.OPERATOR, None, actor=herself, now=now)
    assert tokens.authenticate(plain, now=now) == (anna, Role.OPERATOR)
    assert tokens.of(anna) == [token]


def test_only_the_hash_and_a_prefix_are_kept(anna: User, herself: Actor, now: datetime) -> None:
    token, plain = tokens.create(anna, "nightly", Role.VIEWER, None, actor=herself, now=now)
    assert plain.startswith("car_")
    assert len(plain) == 47  # the mark and 32 random bytes
    assert token.token_hash == hashlib.sha256(plain.encode()).hexdigest()
    assert token.prefix == plain[:12]
    kept = [str(value) for value in db.session.execute(select(ApiToken.__table__)).one()]
    assert plain not in " ".join(kept)


@pytest.mark.parametrize("plain", ["", "car_", "car_unknown", "Bearer", "car_\ud800", "car_" + "x" * 100_000])
def test_an_unknown_token_is_nobody(anna: User, plain: str, now: datetime) -> None:
    assert tokens.authenticate(plain, now=now) is None


def test_a_token_ends_at_its_expiry(anna: User, herself: Actor, now: datetime) -> None:
    ends = now + timedelta(days=1)
    _, plain = tokens.create(anna, "short", Role.VIEWER, ends, actor=herself, now=now)
    assert tokens.authenticate(plain, now=ends - timedelta(seconds=1)) is not None
    assert tokens.authenticate(plain, now=ends) is None


def test_a_revoked_token_is_nobody(anna: User, herself: Actor, now: datetime) -> None:
    token, plain = tokens.create(anna, "gone", Role.VIEWER, None, actor=herself, now=now)
    tokens.revoke(token.id, actor=herself, now=now)
    assert tokens.authenticate(plain, now=now) is None
    assert tokens.of(anna) == []


def test_a_token_of_an_inactive_user_is_nobody(anna: User, herself: Actor, now: datetime) -> None:
    _, plain = tokens.create(anna, "idle", Role.VIEWER, None, actor=herself, now=now)
    anna.active = False
    db.session.commit()
    assert tokens.authenticate(plain, now=now) is None


def test_lowering_a_users_role_lowers_their_tokens(anna: User, herself: Actor, now: datetime) -> None:
    _, plain = tokens.create(anna, "edit", Role.EDITOR, None, actor=herself, now=now)
    anna.role = "viewer"
    db.session.commit()
    assert tokens.authenticate(plain, now=now) == (anna, Role.VIEWER)


@pytest.mark.parametrize(
    ("name", "role", "hours", "field"),
    [
        ("", "viewer", 1, "name"),
        ("x" * 81, "viewer", 1, "name"),
        ("a\nb", "viewer", 1, "name"),
        ("t", "owner", 1, "role"),
        ("t", "admin", 1, "role"),
        ("t", "viewer", 0, "expires_at"),
    ],
)
def test_a_bad_token_is_refused_by_field(
    anna: User, herself: Actor, name: str, role: str, hours: int, field: str, now: datetime
) -> None:
    with pytest.raises(Invalid) as caught:
        tokens.create(anna, name, role, now + timedelta(hours=hours), actor=herself, now=now)
    assert list(caught.value.fields) == [field]
    assert tokens.of(anna) == []


def test_nobody_touches_the_tokens_of_others_but_an_admin(anna: User, herself: Actor, now: datetime) -> None:
    token, _ = tokens.create(anna, "mine", Role.VIEWER, None, actor=herself, now=now)
    stranger = Actor("eve", Role.EDITOR, "web", user_id=anna.id + 1)
    with pytest.raises(Forbidden):
        tokens.create(anna, "theirs", Role.VIEWER, None, actor=stranger, now=now)
    with pytest.raises(NotFound):
        tokens.revoke(token.id, actor=stranger, now=now)
    tokens.revoke(token.id, actor=ADMIN, now=now)
    assert tokens.of(anna) == []


def test_a_user_holds_a_bounded_number_of_tokens(
    anna: User, herself: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TOKENS_PER_USER", 2)
    for name in ("a", "b"):
        tokens.create(anna, name, Role.VIEWER, None, actor=herself, now=now)
    with pytest.raises(Conflict):
        tokens.create(anna, "c", Role.VIEWER, None, actor=herself, now=now)


def test_the_last_use_is_noted_at_most_once_a_minute(anna: User, herself: Actor, now: datetime) -> None:
    token, plain = tokens.create(anna, "t", Role.VIEWER, None, actor=herself, now=now)
    for seconds, noted in ((0, 0), (59, 0), (61, 61)):
        tokens.authenticate(plain, now=now + timedelta(seconds=seconds))
        db.session.refresh(token)
        assert token.last_used_at == now + timedelta(seconds=noted)


def test_tokens_are_audited_without_the_token(anna: User, herself: Actor, now: datetime) -> None:
    token, plain = tokens.create(anna, "t", Role.VIEWER, None, actor=herself, now=now)
    tokens.revoke(token.id, actor=herself, now=now)
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.object_type == "token")).all()
    assert [entry.action for entry in entries] == ["token.created", "token.revoked"]
    assert plain not in str([(entry.before, entry.after) for entry in entries])
