"""Who may open what."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.domain.states import Role
from webapp.services import users
from webapp.settings import Settings
from webapp.web import urls

OPEN = {"/login", "/setup", "/health/live", "/login/oidc", "/login/oidc/back"}
VALUES = {
    "job_id": "nobody", "run_id": 1, "number": 1, "token_id": 1, "calendar_id": 1, "entry_id": 1, "user_id": 1,
    "name": "nobody", "key": "x",
}  # fmt: skip


def addresses(method: str) -> list[str]:
    rules = [route.rule for routes in urls.ROUTES.values() for route in routes if route.method == method]
    filled = []
    for rule in rules:
        for name, value in VALUES.items():
            rule = rule.replace(f"<int:{name}>", str(value)).replace(f"<{name}>", str(value))
        rule = rule.replace("<any(csv, json):format>", "csv")
        filled.append(rule)
    return filled


@pytest.mark.parametrize("url", addresses("GET"))
def test_a_stranger_sees_nothing_but_the_doors(client: PageClient, admin: Any, url: str) -> None:
    answer = client.get(url)
    if url in OPEN:
        assert answer.status_code in ((404,) if "oidc" in url else (200, 303))  # off by default
    elif url.startswith("/health/"):
        assert answer.status_code == 401
        assert "Log in" in answer.get_json()["error_message"]
    else:
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login")


@pytest.mark.parametrize("url", [url for url in addresses("POST") if url not in OPEN])
def test_a_stranger_changes_nothing(client: PageClient, admin: Any, url: str) -> None:
    answer = client.post(url)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


def test_a_stranger_comes_back_to_the_page_they_wanted(client: PageClient, admin: Any) -> None:
    answer = client.get("/runs?state=failed")
    assert answer.headers["Location"] == "/login?next=/runs?state%3Dfailed"
    answer = client.post("/login", data={"name": "admin", "password": PASSWORD, "next": "/runs?state=failed"})
    assert answer.headers["Location"] == "/runs?state=failed"


def test_a_poll_after_the_session_ended_sends_the_whole_page_to_the_login(client: PageClient, admin: Any) -> None:
    answer = client.get("/runs/fragment", headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.text) == (401, "/login", "")


def test_while_there_is_nobody_everything_leads_to_the_setup(client: PageClient) -> None:
    assert client.get("/jobs").headers["Location"] == "/setup"
    assert client.get("/login").headers["Location"] == "/setup"


def test_a_page_that_is_not_in_the_table_is_closed_to_everybody(app: Flask, admin_client: PageClient) -> None:
    app.view_functions["extra"] = lambda: "secret"
    app.url_map.add(app.url_rule_class("/extra", endpoint="extra"))
    assert admin_client.get("/extra").status_code == 403


@pytest.mark.parametrize(
    ("role", "url", "status"),
    [
        ("viewer", "/jobs", 200),
        ("viewer", "/jobs/new", 403),
        ("viewer", "/account", 200),
        ("operator", "/jobs/new", 403),
        ("editor", "/jobs/new", 200),
    ],
)
def test_pages_open_by_role(client: PageClient, login_as: Any, role: str, url: str, status: int) -> None:
    login_as(client, role)
    assert client.get(url).status_code == status


def test_a_viewer_presses_no_button(client: PageClient, login_as: Any, make_job: Any, app: Flask) -> None:
    job = make_job()
    login_as(client, "viewer")
    for verb in ("run", "pause", "resume", "delete"):
        assert client.post(f"/jobs/{job.id}/{verb}").status_code == 403
    assert client.post("/system/hold").status_code == 403
    page = client.page(f"/jobs/{job.id}")
    assert not page.select("main button")
    assert not page.select(f'a[href="/jobs/{job.id}/edit"]')


def test_an_operator_runs_and_pauses_but_does_not_edit(client: PageClient, login_as: Any, make_job: Any) -> None:
    job = make_job()
    login_as(client, Role.OPERATOR)
    assert client.post(f"/jobs/{job.id}/run").status_code == 303
    assert client.post(f"/jobs/{job.id}", data={}).status_code == 403
    page = client.page(f"/jobs/{job.id}")
    assert page.select("#run-now")
    assert not page.select("#edit")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "http:evil.example",
        "javascript:alert(1)", "/\tevil", "/%0d%0aSet-Cookie: a=b\r\n", "evil.example", "",
    ],
)  # fmt: skip
def test_a_login_leads_to_no_other_site(client: PageClient, admin: Any, target: str) -> None:
    answer = client.post("/login", data={"name": "admin", "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_an_unknown_name_and_a_wrong_password_look_the_same(client: PageClient, admin: Any) -> None:
    wrong = client.post("/login", data={"name": "admin", "password": "wrong password"})
    unknown = client.post("/login", data={"name": "nobody", "password": "wrong password"})
    assert wrong.status_code == unknown.status_code == 422
    assert text(soup(wrong).select_one(".error")) == text(soup(unknown).select_one(".error"))
    assert soup(wrong).select_one("#password")["value"] == ""  # type: ignore[index]


def test_a_login_begins_a_new_session(client: PageClient, admin: Any) -> None:
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    client.post("/login", data={"name": "admin", "password": PASSWORD})
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session.permanent


def test_logging_out_ends_the_session(admin_client: PageClient) -> None:
    assert admin_client.post("/logout").headers["Location"] == "/login"
    assert admin_client.get("/jobs").status_code == 303


def test_a_logged_in_user_is_not_asked_again(admin_client: PageClient) -> None:
    assert admin_client.get("/login?next=/tasks").headers["Location"] == "/tasks"


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(app: Flask, admin_client: PageClient) -> None:
    other = app.test_client()
    other.post("/login", data={"name": "admin", "password": PASSWORD})
    assert other.get("/jobs").status_code == 200
    form = {"old": PASSWORD, "new": "a longer horse", "repeat": "a longer horse"}
    assert admin_client.post("/account/password", data=form).status_code == 303
    assert admin_client.get("/jobs").status_code == 200
    assert other.get("/jobs").status_code == 303


def test_a_deleted_session_epoch_is_no_way_in(client: PageClient, admin_client: PageClient, make_user: Any) -> None:
    user = make_user(Role.ADMIN, "second")
    users.set_password(user.id, None, "another password", actor=CODE, now=NOW)
    with client.session_transaction() as session:
        session["_user_id"] = f"{user.id}.1"
    assert client.get("/jobs").status_code == 303


class TestThrottle:
    @pytest.fixture
    def settings(self, tmp_path: Any) -> Settings:
        return Settings(instance_path=tmp_path, login_rate="3 per minute", _env_file=None)

    def attempt(self, client: PageClient, name: str, password: str, address: str = "10.0.0.1") -> int:
        data = {"name": name, "password": password}
        return client.post("/login", data=data, environ_base={"REMOTE_ADDR": address}).status_code

    def test_wrong_attempts_from_one_address_are_slowed_down(self, client: PageClient, admin: Any) -> None:
        assert [self.attempt(client, f"name{n}", "wrong password") for n in range(4)] == [422, 422, 422, 429]
        assert self.attempt(client, "admin", PASSWORD) == 429
        assert self.attempt(client, "admin", PASSWORD, "10.0.0.2") == 303

    def test_wrong_attempts_at_one_account_are_slowed_down_whatever_the_address(
        self, client: PageClient, admin: Any
    ) -> None:
        tries = [self.attempt(client, "Admin" if n % 2 else "admin", "wrong password", f"10.0.1.{n}") for n in range(4)]
        assert tries == [422, 422, 422, 429]

    def test_right_logins_do_not_count(self, client: PageClient, admin: Any) -> None:
        assert {self.attempt(client, "admin", PASSWORD) for _ in range(6)} == {303}

    def test_the_refusal_says_what_to_do(self, client: PageClient, admin: Any) -> None:
        for _ in range(3):
            self.attempt(client, "admin", "wrong password")
        answer = client.post(
            "/login", data={"name": "admin", "password": "x"}, environ_base={"REMOTE_ADDR": "10.0.0.1"}
        )
        assert answer.status_code == 429
        assert answer.headers["Retry-After"]
        assert "Wait a minute" in answer.text
