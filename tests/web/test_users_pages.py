"""Accounts in the hands of an admin, and browser sessions in everybody's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import PageClient, soup, text
from webapp import clock
from webapp.domain.errors import Conflict
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import people, sessions, tokens, users
from webapp.store.models import AuditEntry, User, UserSession

everywhere = pytest.mark.only_on("sqlite", "postgresql", "mariadb")


def fresh(user: User) -> User:
    db.session.rollback()
    db.session.refresh(user)
    return user


def actions() -> list[str]:
    return [entry.action for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def other_client(app: Flask) -> PageClient:
    client = app.test_client()
    assert isinstance(client, PageClient)
    return client


def test_an_admin_adds_a_user_who_logs_in(app: Flask, admin_client: PageClient) -> None:
    form = {"name": "berta", "password": PASSWORD, "role": "editor"}
    assert admin_client.post("/users", data=form).status_code == 303
    client = other_client(app)
    assert client.post("/login", data={"name": "berta", "password": PASSWORD}).status_code == 303
    assert client.get("/jobs/new").status_code == 200
    assert client.get("/users").status_code == 403
    page = admin_client.page("/users")
    assert [text(name) for name in page.select("tbody .name")] == ["admin", "berta"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": ""}, "name"), ({"name": "a:b"}, "name"), ({"name": "admin"}, "name"),
     ({"password": "short"}, "password"),
     ({"role": "king"}, "role")],
)  # fmt: skip
def test_what_is_wrong_with_a_new_user_stands_at_its_field(
    admin_client: PageClient, change: dict[str, str], field: str
) -> None:
    answer = admin_client.post("/users", data={"name": "berta", "password": PASSWORD, "role": "viewer", **change})
    assert answer.status_code == 422
    assert soup(answer).select_one(f"#{field}-err")
    assert PASSWORD not in answer.text
    assert db.session.query(User).count() == 1


def test_a_changed_role_counts_at_once(admin_client: PageClient, app: Flask, login_as: Any) -> None:
    client = other_client(app)
    user = login_as(client, "viewer")
    admin_client.post(f"/users/{user.id}/role", data={"role": "editor"})
    assert client.get("/jobs/new").status_code == 200
    assert fresh(user).role == "editor"
    assert admin_client.post(f"/users/{user.id}/role", data={"role": "king"}).status_code == 422
    assert actions()[-1] == "user.role_changed"


def test_a_user_who_is_switched_off_is_out_at_once_and_can_come_back(
    admin_client: PageClient, app: Flask, login_as: Any
) -> None:
    client = other_client(app)
    user = login_as(client, "viewer")
    _, plain = tokens.create(user, "script", "viewer", None, actor=CODE, now=NOW)
    admin_client.post(f"/users/{user.id}/disable")
    assert client.get("/jobs").headers["Location"].startswith("/login")
    db.session.rollback()
    db.session.expire_all()
    assert tokens.authenticate(plain, now=NOW) is None
    assert client.post("/login", data={"name": "viewer", "password": PASSWORD}).status_code == 422
    admin_client.post(f"/users/{user.id}/enable")
    assert client.get("/jobs").headers["Location"].startswith("/login"), "the old session stays ended"
    assert client.post("/login", data={"name": "viewer", "password": PASSWORD}).status_code == 303


def test_a_reset_password_ends_sessions(admin_client: PageClient, app: Flask, login_as: Any) -> None:
    client = other_client(app)
    user = login_as(client, "viewer")
    assert admin_client.post(f"/users/{user.id}/password", data={"new": "short"}).status_code == 422
    assert client.get("/jobs").status_code == 200
    admin_client.post(f"/users/{user.id}/password", data={"new": "another password"})
    assert client.get("/jobs").status_code == 303
    assert client.post("/login", data={"name": "viewer", "password": PASSWORD}).status_code == 422
    assert client.post("/login", data={"name": "viewer", "password": "another password"}).status_code == 303


def test_ones_own_password_is_not_reset_without_the_old_one(admin: User, admin_client: PageClient) -> None:
    assert admin_client.post(f"/users/{admin.id}/password", data={"new": "another password"}).status_code == 403


def test_a_deleted_user_is_gone_with_sessions_and_tokens(admin_client: PageClient, app: Flask, login_as: Any) -> None:
    client = other_client(app)
    user = login_as(client, "viewer")
    tokens.create(user, "script", "viewer", None, actor=CODE, now=NOW)
    assert admin_client.post(f"/users/{user.id}/delete").status_code == 303
    db.session.rollback()
    assert [each.name for each in people.every()] == ["admin"]
    assert client.get("/jobs").status_code == 303
    assert admin_client.get(f"/users/{user.id}").status_code == 404
    assert "user.deleted" in actions()


def test_the_last_admin_stays(admin: User, admin_client: PageClient) -> None:
    for verb, data in (("role", {"role": "viewer"}), ("disable", {}), ("delete", {})):
        answer = admin_client.post(f"/users/{admin.id}/{verb}", data=data, follow_redirects=True)
        assert "admin" in text(soup(answer).select_one(".notice--bad"))
    assert (fresh(admin).role, admin.active) == ("admin", True)
    other = users.create("other", PASSWORD, Role.ADMIN, actor=CODE, now=NOW)
    people.set_active(other.id, False, actor=CODE, now=NOW)
    with pytest.raises(Conflict, match="last admin"):  # one who is switched off cannot log in
        people.set_role(admin.id, Role.VIEWER, actor=CODE, now=NOW)
    people.set_active(other.id, True, actor=CODE, now=NOW)
    people.set_role(admin.id, Role.VIEWER, actor=CODE, now=NOW)


@everywhere
def test_two_admins_cannot_switch_each_other_off_at_once(app: Flask) -> None:
    ids = [users.create(name, PASSWORD, Role.ADMIN, actor=CODE, now=NOW).id for name in ("a", "b")]
    db.session.rollback()

    def switch_off(user_id: int) -> str:
        with app.app_context():
            try:
                people.set_active(user_id, False, actor=CODE, now=NOW)
            except Conflict:
                return "refused"
            finally:
                db.session.remove()
            return "off"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(switch_off, ids)) == ["off", "refused"]


def test_sessions_are_listed_and_ended_from_another_one(app: Flask, client: PageClient, login_as: Any) -> None:
    login_as(client, "viewer")
    elsewhere = other_client(app)
    agent = {"User-Agent": "Old <b>Browser</b>"}
    elsewhere.post("/login", data={"name": "viewer", "password": PASSWORD}, headers=agent)
    page = client.page("/account")
    rows = page.select('section[aria-labelledby="sessions-title"] tbody tr')
    assert len(rows) == 2
    assert not page.select("section b b")
    row = next(row for row in rows if "Old <b>" in text(row))
    client.post(str(row.select_one("form")["action"]))  # type: ignore[index]
    assert elsewhere.get("/jobs").status_code == 303
    assert client.get("/jobs").status_code == 200
    assert "session.ended" in actions()


def test_a_session_of_somebody_else_is_ended_by_admins_only(app: Flask, client: PageClient, login_as: Any) -> None:
    admin = other_client(app)
    login_as(admin, "admin")
    login_as(client, "viewer")
    admins, viewers = (
        db.session.query(UserSession).join(User, User.id == UserSession.user_id).filter(User.name == name).one().id
        for name in ("admin", "viewer")
    )
    assert client.post(f"/account/sessions/{admins}/end").status_code == 404
    assert admin.get("/jobs").status_code == 200
    user_id = db.session.query(User).filter_by(name="viewer").one().id
    assert admin.post(f"/users/{user_id}/sessions/{viewers}/end").status_code == 303
    assert client.get("/jobs").status_code == 303


def test_logging_out_ends_the_session_also_for_a_stolen_cookie(app: Flask, admin_client: PageClient) -> None:
    thief = other_client(app)
    cookie = admin_client.get_cookie("carillon")
    assert cookie is not None
    thief.set_cookie("carillon", cookie.value)
    assert thief.get("/jobs").status_code == 200
    admin_client.post("/logout")
    assert thief.get("/jobs").status_code == 303


def test_a_login_begins_a_new_session_and_ends_the_one_before(app: Flask, client: PageClient, login_as: Any) -> None:
    """No session id that somebody planted in a browser survives the login (fixation)."""
    login_as(client, "viewer")
    planted = client.get_cookie("carillon")
    assert planted is not None
    login_as(client, "admin")
    thief = other_client(app)
    thief.set_cookie("carillon", planted.value)
    assert thief.get("/jobs").status_code == 303
    now_open = client.get_cookie("carillon")
    assert now_open is not None
    assert now_open.value != planted.value


def test_a_session_that_nobody_uses_ends_by_itself(
    admin: User, admin_client: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=300))
    assert admin_client.get("/jobs").status_code == 200  # notes the use
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=600))
    assert admin_client.get("/jobs").status_code == 200
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=600 + 337))
    assert admin_client.get("/jobs").status_code == 303
    assert sessions.of(admin, now=NOW + timedelta(hours=937)) == []


def test_the_cookie_is_sent_anew_when_its_use_is_noted_and_not_with_each_poll(
    admin_client: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Set-Cookie" not in admin_client.get("/runs/fragment").headers
    monkeypatch.setattr(clock, "now", lambda: NOW + sessions.NOTED_EVERY)
    assert "carillon=" in admin_client.get("/runs/fragment").headers["Set-Cookie"]
    assert "Set-Cookie" not in admin_client.get("/runs/fragment").headers


def test_one_user_holds_so_many_sessions_and_no_more(app: Flask, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER", 3)
    ids = [
        sessions.begin(admin, address="a", agent="b", now=NOW + timedelta(seconds=n)) for n in range(5)
    ]  # fmt: skip
    assert [row.id for row in sessions.of(admin, now=NOW)] == ids[:1:-1]
