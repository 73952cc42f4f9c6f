"""People who may log in: names, passwords, sessions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from webapp.domain.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import users
from webapp.services.actors import Actor
from webapp.store.models import AuditEntry, User

ADMIN = Actor("root", Role.ADMIN, "cli")
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def anna(context: None, now: datetime) -> User:
    return users.create("anna", PASSWORD, Role.EDITOR, actor=ADMIN, now=now)


def as_self(user: User) -> Actor:
    return Actor(user.name, Role(user.role), "web", user_id=user.id)


def test_the_right_password_gives_the_user_and_a_wrong_one_nobody(anna: User, now: datetime) -> None:
    assert users.authenticate("anna", PASSWORD, now=now) is anna
    assert users.authenticate("anna", PASSWORD + "x", now=now) is None
    assert users.authenticate("Anna", PASSWORD, now=now) is None
    assert users.authenticate("", "", now=now) is None


def test_passwords_are_stored_as_scrypt_hashes_only(anna: User) -> None:
    assert anna.password_hash.startswith("scrypt:")
    assert PASSWORD not in anna.password_hash


@pytest.mark.parametrize("name", ["nobody", "", "x" * 100_000, "a:b", "\ud800", "anna\n"])
def test_an_unknown_name_costs_the_same_hash_computation(
    anna: User, now: datetime, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(users, "check_password_hash", lambda stored, given: bool(checked.append(stored)))
    assert users.authenticate(name, "whatever it is", now=now) is None
    assert [stored.split("$")[0] for stored in checked] == [anna.password_hash.split("$")[0]]


def test_an_inactive_user_cannot_log_in(anna: User, now: datetime) -> None:
    anna.active = False
    db.session.commit()
    assert users.authenticate("anna", PASSWORD, now=now) is None
    assert users.load(anna.get_id()) is None


def test_letters_composed_in_two_ways_are_the_same_name_and_password(now: datetime) -> None:
    composed = users.create("J\u00f6rg", "pass\u00e4wort", Role.VIEWER, actor=ADMIN, now=now)
    assert users.authenticate("Jo\u0308rg", "passa\u0308wort", now=now) is composed


def test_a_password_that_is_no_text_is_refused_and_breaks_no_login(anna: User, now: datetime) -> None:
    assert users.authenticate("anna", "\ud800" * 10, now=now) is None
    with pytest.raises(Invalid) as caught:
        users.create("ben", "\ud800" * 10, Role.VIEWER, actor=ADMIN, now=now)
    assert list(caught.value.fields) == ["password"]


@pytest.mark.parametrize(
    ("name", "password", "role", "field"),
    [
        ("", PASSWORD, "viewer", "name"),
        ("   ", PASSWORD, "viewer", "name"),
        (" anna", PASSWORD, "viewer", "name"),
        ("a:b", PASSWORD, "viewer", "name"),
        ("a\x00b", PASSWORD, "viewer", "name"),
        ("a\u200bb", PASSWORD, "viewer", "name"),
        ("x" * 81, PASSWORD, "viewer", "name"),
        ("anna", "short12", "viewer", "password"),
        ("anna", "x" * 1001, "viewer", "password"),
        ("anna", PASSWORD, "owner", "role"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_stored(
    name: str, password: str, role: str, field: str, now: datetime
) -> None:
    with pytest.raises(Invalid) as caught:
        users.create(name, password, role, actor=ADMIN, now=now)
    assert list(caught.value.fields) == [field]
    assert not users.any_user()


def test_a_name_is_given_once(anna: User, now: datetime) -> None:
    with pytest.raises(Conflict):
        users.create("anna", "another one", Role.VIEWER, actor=ADMIN, now=now)
    assert users.authenticate("anna", PASSWORD, now=now) is not None


def test_only_an_admin_makes_users(now: datetime) -> None:
    with pytest.raises(Forbidden):
        users.create("ben", PASSWORD, Role.VIEWER, actor=Actor("eve", Role.EDITOR, "web"), now=now)
    assert not users.any_user()


def test_a_new_password_ends_every_session_of_the_user(anna: User, now: datetime) -> None:
    session = anna.get_id()
    assert users.load(session) is anna
    users.set_password(anna.id, PASSWORD, "battery staple", actor=as_self(anna), now=now)
    assert users.load(session) is None
    assert users.load(anna.get_id()) is anna
    assert users.authenticate("anna", PASSWORD, now=now) is None
    assert users.authenticate("anna", "battery staple", now=now) is anna


def test_a_password_change_needs_the_old_password_and_a_good_new_one(anna: User, now: datetime) -> None:
    for old, new, field in ((PASSWORD + "x", "battery staple", "old"), (PASSWORD, "short", "new")):
        with pytest.raises(Invalid) as caught:
            users.set_password(anna.id, old, new, actor=as_self(anna), now=now)
        assert list(caught.value.fields) == [field]
    assert users.authenticate("anna", PASSWORD, now=now) is anna


def test_an_admin_sets_the_password_of_others_and_nobody_else_does(anna: User, now: datetime) -> None:
    editor = Actor("eve", Role.EDITOR, "web", user_id=99)
    for old in (None, PASSWORD):
        with pytest.raises(Forbidden):
            users.set_password(anna.id, old, "battery staple", actor=editor, now=now)
    users.set_password(anna.id, None, "battery staple", actor=ADMIN, now=now)
    assert users.authenticate("anna", "battery staple", now=now) is anna


def test_an_admins_stolen_session_cannot_skip_the_old_password(now: datetime) -> None:
    root = users.create("root", PASSWORD, Role.ADMIN, actor=ADMIN, now=now)
    with pytest.raises(Forbidden):
        users.set_password(root.id, None, "battery staple", actor=as_self(root), now=now)


@pytest.mark.parametrize("cookie", ["", "1", "1.", ".1", "x.y", "1.1.1", "-1.1", "\u0661.1", "9" * 30 + ".1", "2.1"])
def test_a_malformed_or_foreign_session_is_nobody(anna: User, cookie: str) -> None:
    assert users.load(cookie) is None


def test_the_last_login_is_noted_at_most_once_a_minute(anna: User, now: datetime) -> None:
    for seconds in (0, 59, 61):
        users.authenticate("anna", PASSWORD, now=now + timedelta(seconds=seconds))
        db.session.refresh(anna)
        assert anna.last_login_at == now + timedelta(seconds=0 if seconds < 60 else 61)


def test_users_choose_the_zone_in_which_they_read_times(anna: User, now: datetime) -> None:
    users.set_timezone(anna.id, "Europe/Berlin", actor=as_self(anna), now=now)
    assert users.get(anna.id).timezone == "Europe/Berlin"
    for wrong in ("Mars/Olympus", "/etc/passwd", "../UTC", ""):
        with pytest.raises(Invalid) as caught:
            users.set_timezone(anna.id, wrong, actor=as_self(anna), now=now)
        assert list(caught.value.fields) == ["timezone"]
    with pytest.raises(Forbidden):
        users.set_timezone(anna.id, "UTC", actor=Actor("eve", Role.EDITOR, "web", user_id=99), now=now)
    users.set_timezone(anna.id, None, actor=as_self(anna), now=now)
    assert users.get(anna.id).timezone is None


def test_an_unknown_user_is_not_found(now: datetime) -> None:
    with pytest.raises(NotFound):
        users.set_password(7, None, "battery staple", actor=ADMIN, now=now)


def test_changes_to_users_are_audited_without_passwords_or_hashes(anna: User, now: datetime) -> None:
    users.set_password(anna.id, PASSWORD, "battery staple", actor=as_self(anna), now=now)
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.actor, entry.object_id) for entry in entries] == [
        ("user.created", "root", str(anna.id)),
        ("user.password_changed", "anna", str(anna.id)),
    ]
    assert entries[0].after == {"name": "anna", "role": "editor", "active": True}
