"""Setup: the one-time link that makes the first admin."""

from __future__ import annotations

from tests.conftest import NOW, PASSWORD
from tests.web.conftest import PageClient, soup, text
from webapp.extensions import db
from webapp.services import setup, users
from webapp.store.models import User

FORM = {"name": "ada", "password": PASSWORD, "repeat": PASSWORD}


def test_the_link_makes_the_first_admin_and_logs_them_in(client: PageClient) -> None:
    token = setup.issue(NOW)
    page = client.page(f"/setup?token={token}")
    assert page.select_one("input[name=token]")["value"] == token  # type: ignore[index]
    answer = client.post("/setup", data={**FORM, "token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert client.get("/").status_code == 200
    assert db.session.query(User).one().role == "admin"


def test_the_link_works_once(client: PageClient, app: object) -> None:
    token = setup.issue(NOW)
    client.post("/setup", data={**FORM, "token": token})
    answer = client.post("/setup", data={**FORM, "name": "eve", "token": token})
    assert answer.headers["Location"] == "/login"
    assert db.session.query(User).count() == 1


def test_without_the_link_there_is_no_form(client: PageClient) -> None:
    setup.issue(NOW)
    assert not client.page("/setup").select("form")


def test_a_wrong_link_makes_nobody(client: PageClient) -> None:
    setup.issue(NOW)
    answer = client.post("/setup", data={**FORM, "token": "guessed"})
    assert answer.status_code == 403
    assert "not valid" in text(soup(answer).select_one(".notice"))
    assert not users.any_user()


def test_a_bad_password_keeps_the_name_and_the_link(client: PageClient) -> None:
    token = setup.issue(NOW)
    answer = client.post("/setup", data={"name": "ada", "password": "short", "repeat": "short", "token": token})
    page = soup(answer)
    assert answer.status_code == 422
    assert page.select_one("#name")["value"] == "ada"  # type: ignore[index]
    assert page.select_one("#password")["aria-invalid"] == "true"  # type: ignore[index]
    assert text(page.select_one("#password-err")) == "Needs at least 8 characters."
    assert client.post("/setup", data={**FORM, "token": token}).status_code == 303


def test_two_different_passwords_are_refused(client: PageClient) -> None:
    token = setup.issue(NOW)
    answer = client.post("/setup", data={**FORM, "repeat": "another one", "token": token})
    assert "differ" in text(soup(answer).select_one("#repeat-err"))


def test_once_there_is_somebody_the_setup_is_closed(client: PageClient, admin: User) -> None:
    assert client.get("/setup?token=x").headers["Location"] == "/login"
