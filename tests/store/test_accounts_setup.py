"""The first admin, from a one-time link or from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select

from webapp.domain.errors import Conflict, Forbidden, Invalid
from webapp.extensions import db
from webapp.services import setup, users
from webapp.settings import Settings
from webapp.store.models import AuditEntry, Installation

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def redeem(token: str, now: datetime, name: str = "anna", password: str = PASSWORD) -> None:
    setup.redeem(token, name, password, now=now, address="10.0.0.9")


def test_the_link_makes_one_admin_and_is_used_up(now: datetime) -> None:
    assert setup.needed()
    token = setup.issue(now)
    redeem(token, now)
    user = users.authenticate("anna", PASSWORD, now=now)
    assert user is not None
    assert user.role == "admin"
    assert not setup.needed()
    with pytest.raises(Conflict):
        redeem(token, now, name="eve")
    assert db.session.get(Installation, "setup") is None


def test_a_wrong_link_makes_nobody(now: datetime) -> None:
    for token in ("", "anything", "\ud800"):
        with pytest.raises(Forbidden):
            redeem(token, now)
    setup.issue(now)
    with pytest.raises(Forbidden):
        redeem("anything", now)
    assert setup.needed()


def test_a_new_link_replaces_the_old_one(now: datetime) -> None:
    old = setup.issue(now)
    new = setup.issue(now)
    with pytest.raises(Forbidden):
        redeem(old, now)
    redeem(new, now)


def test_a_bad_password_leaves_the_link_good(now: datetime) -> None:
    token = setup.issue(now)
    with pytest.raises(Invalid) as caught:
        redeem(token, now, password="short")
    assert list(caught.value.fields) == ["password"]
    redeem(token, now)


def test_only_the_hash_of_the_link_is_stored(now: datetime) -> None:
    token = setup.issue(now)
    assert token not in db.session.scalars(select(Installation.value)).one()


def test_of_two_that_redeem_at_once_only_one_becomes_admin(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    token = setup.issue(now)
    build = users.build

    def overtaken(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(users, "build", build)
        redeem(token, now, name="first")
        return build(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(users, "build", overtaken)
    with pytest.raises(Conflict):
        redeem(token, now, name="second")
    assert users.authenticate("first", PASSWORD, now=now) is not None
    assert users.authenticate("second", PASSWORD, now=now) is None


def test_no_link_is_issued_once_there_is_a_user(now: datetime) -> None:
    redeem(setup.issue(now), now)
    with pytest.raises(Conflict):
        setup.issue(now)


def with_admin(app: Flask, name: str, password: str) -> Settings:
    given: Settings = app.config["CARILLON"]
    return given.model_copy(update={"admin_user": name, "admin_password": SecretStr(password)})


def test_the_settings_make_the_first_admin_once(app: Flask, now: datetime) -> None:
    token = setup.issue(now)
    first = setup.create_from_settings(with_admin(app, "root", PASSWORD), now)
    assert first is not None
    assert first.role == "admin"
    assert setup.create_from_settings(with_admin(app, "other", PASSWORD), now) is None
    with pytest.raises(Conflict):
        redeem(token, now)


def test_settings_without_a_name_or_a_password_make_nobody(app: Flask, now: datetime) -> None:
    assert setup.create_from_settings(with_admin(app, "root", ""), now) is None
    assert setup.create_from_settings(with_admin(app, "", PASSWORD), now) is None
    assert setup.needed()


def test_two_processes_that_start_at_once_make_one_admin(
    app: Flask, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_admin(app, "root", PASSWORD)
    assert setup.create_from_settings(settings, now) is not None
    monkeypatch.setattr(setup, "needed", lambda: True)
    assert setup.create_from_settings(settings, now) is None


def test_the_first_admin_is_audited_with_the_address(now: datetime) -> None:
    redeem(setup.issue(now), now)
    entry = db.session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor, entry.address) == ("user.created", "anna", "10.0.0.9")
