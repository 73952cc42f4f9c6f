"""Browser writes need a token of ours."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import HTMX, PageClient, soup
from webapp.domain.states import Role
from webapp.services import users


@pytest.fixture
def app(csrf_app: Flask) -> Any:
    """The app as it is served."""
    with csrf_app.app_context():
        yield csrf_app


@pytest.fixture
def inside(client: PageClient) -> PageClient:
    users.create("ada", PASSWORD, Role.ADMIN, actor=CODE, now=NOW)
    client.post("/login", data={"name": "ada", "password": PASSWORD, "csrf_token": token(client, "/login")})
    assert client.get("/").status_code == 200
    return client


def token(client: PageClient, url: str) -> str:
    return str(soup(client.get(url)).select_one("meta[name=csrf-token]")["content"])  # type: ignore[index]


def test_a_post_without_a_token_is_refused_with_a_page(inside: PageClient) -> None:
    answer = inside.post("/system/hold")
    assert answer.status_code == 400
    assert "reload the page" in answer.text


def test_a_wrong_token_is_refused(inside: PageClient) -> None:
    assert inside.post("/system/hold", data={"csrf_token": "made up"}).status_code == 400


def test_a_token_of_another_session_is_refused(inside: PageClient, app: Flask) -> None:
    stranger = app.test_client()
    assert isinstance(stranger, PageClient)
    assert inside.post("/system/hold", data={"csrf_token": token(stranger, "/login")}).status_code == 400


def test_the_token_of_the_page_is_accepted_in_the_form_and_in_the_header(inside: PageClient) -> None:
    good = token(inside, "/system")
    assert inside.post("/system/hold", data={"csrf_token": good}).status_code == 303
    assert inside.post("/system/release", headers={"X-CSRFToken": good}).status_code == 303


def test_htmx_with_a_stale_token_loads_the_page_anew(inside: PageClient) -> None:
    answer = inside.post("/system/hold", headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (400, "true")


def test_the_login_needs_a_token_too(client: PageClient) -> None:
    users.create("ada", PASSWORD, Role.ADMIN, actor=CODE, now=NOW)
    assert client.post("/login", data={"name": "ada", "password": PASSWORD}).status_code == 400


def test_no_page_changes_anything_on_get(app: Flask) -> None:
    changing = {"pause", "resume", "run", "delete", "stop", "rerun", "restore", "hold", "release", "create", "update"}
    for rule in app.url_map.iter_rules():
        endpoint = str(rule.endpoint)
        if endpoint.partition(".")[2] in changing and endpoint.partition(".")[0] in ("jobs", "runs", "system"):
            assert rule.methods is not None
            assert "GET" not in rule.methods, rule
