"""The pages of secrets never show a value, and say who uses what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import VALUE
from tests.web.conftest import PageClient, soup, text
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import secrets

FORM = {"name": "deploy", "value": VALUE, "about": "The deploy key"}


def test_a_secret_is_stored_and_never_shown(admin_client: PageClient, make_job: Any) -> None:
    answer = admin_client.post("/secrets", data=FORM, follow_redirects=True)
    assert "is not shown again" in text(soup(answer).select_one(".notice--good"))
    db.session.rollback()
    assert secrets.reveal(["deploy"]) == {"deploy": VALUE}
    job = make_job(task="http.request", kwargs={"url": "http://x.example/{{secret:deploy}}"})
    for url in ("/secrets", "/secrets/deploy", "/audit", "/audit/2", f"/jobs/{job.id}", "/audit/export.jsonl"):
        assert VALUE not in admin_client.get(url, buffered=True).text, url
    page = admin_client.page("/secrets/deploy")
    assert page.select_one(f'a[href="/jobs/{job.id}"]')
    assert "will fail until the reference is taken out" in text(page.select_one(".notice--warn"))


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [({"name": "a b"}, "name", "Must begin with"), ({"value": "abc"}, "value", "Needs at least 4 characters"),
     ({"value": ""}, "value", "Fill this in"), ({"about": "x" * 201}, "about", "at most 200")],
)  # fmt: skip
def test_what_is_wrong_stands_at_its_field_and_the_value_does_not_come_back(
    admin_client: PageClient, change: dict[str, str], field: str, told: str
) -> None:
    answer = admin_client.post("/secrets", data={**FORM, **change})
    assert answer.status_code == 422
    assert told in text(soup(answer).select_one(f"#{field}-err"))
    assert VALUE not in answer.text
    assert secrets.every() == []


def test_a_name_that_is_taken_is_said_at_the_name(admin_client: PageClient, make_secret: Any) -> None:
    make_secret("deploy")
    answer = admin_client.post("/secrets", data=FORM)
    assert "already a secret named deploy" in text(soup(answer).select_one("#name-err"))


def test_a_value_is_replaced_and_an_empty_field_keeps_it(admin_client: PageClient, make_secret: Any) -> None:
    make_secret("deploy")
    admin_client.post("/secrets/deploy", data={"value": "", "about": "new"})
    db.session.rollback()
    assert secrets.reveal(["deploy"]) == {"deploy": VALUE}
    admin_client.post("/secrets/deploy", data={"value": "line one\r\nline two", "about": "new"})
    db.session.rollback()
    assert secrets.reveal(["deploy"]) == {"deploy": "line one\nline two"}
    assert admin_client.post("/secrets/deploy", data={"value": "x"}).status_code == 422
    admin_client.post("/secrets/deploy/delete")
    assert admin_client.get("/secrets/deploy").status_code == 404


def test_secrets_are_for_admins(client: PageClient, login_as: Any, make_secret: Any) -> None:
    make_secret("deploy")
    login_as(client, Role.EDITOR)
    for url in ("/secrets", "/secrets/deploy"):
        assert client.get(url).status_code == 403
    for url in ("/secrets", "/secrets/deploy", "/secrets/deploy/delete"):
        assert client.post(url, data=FORM).status_code == 403
    assert secrets.names() == ["deploy"]
