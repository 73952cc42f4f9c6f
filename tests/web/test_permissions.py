"""Every address that the app knows, tried by every role: the map of addresses is the list, so none can be forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from tests.conftest import NOW
from tests.web.conftest import PageClient
from webapp.api.routes import ROLES
from webapp.domain.states import Role
from webapp.services import tokens
from webapp.services.actors import Actor
from webapp.web import access, urls

OWN = {
    "account", "preferences", "login",
}  # fmt: skip
"""Groups in which everybody who is logged in changes only what is their own."""


@dataclass(frozen=True)
class Address:
    """One method of one rule, with something in place of its variable parts."""

    method: str
    path: str
    endpoint: str

    @property
    def is_api(self) -> bool:
        return self.endpoint.startswith("scheduler.")

    def role(self) -> Role | None:
        """The least role; KeyError for an address that nobody gave one."""
        if self.endpoint in access.PUBLIC:
            return None
        if self.is_api:
            return ROLES[self.endpoint.removeprefix("scheduler.")]
        return urls.roles()[self.endpoint]


def addresses(app: Flask) -> Iterator[Address]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or {"GET", "POST"}) - {"HEAD", "OPTIONS"}):
            yield Address(method, filled(rule), rule.endpoint)


def filled(rule: Rule) -> str:
    """The rule as a path, with values of the kinds that it asks for."""
    values: dict[str, Any] = {}
    for name, converter in rule._converters.items():
        kind = type(converter).__name__
        values[name] = {"IntegerConverter": 999, "AnyConverter": "csv", "PathConverter": "app.css"}.get(kind, "nobody")
    built = rule.build(values)
    assert built is not None, rule
    return built[1]


def test_every_address_has_a_least_role_or_is_open_on_purpose(app: Flask) -> None:
    found = list(addresses(app))
    assert len(found) > 100
    assert {each.endpoint for each in found if each.role() is None} == {
        "static", "assets.htmx", "login.show", "login.enter", "setup.show", "setup.create", "health.live",
        "outside.begin", "outside.back",
    }  # fmt: skip


def test_an_address_without_a_role_would_be_noticed(app: Flask) -> None:
    app.url_map.add(Rule("/forgotten", endpoint="jobs.forgotten"))
    app.url_map.add(Rule("/scheduler/forgotten", endpoint="scheduler.forgotten"))
    missing = []
    for each in addresses(app):
        try:
            each.role()
        except KeyError:
            missing.append(each.path)
    assert set(missing) == {"/forgotten", "/scheduler/forgotten"}


def test_nothing_is_changed_by_those_who_may_only_look(app: Flask) -> None:
    looks = {"scheduler.preview_schedule"}
    for each in addresses(app):
        if each.method == "GET" or each.role() is None or each.endpoint in looks:
            continue
        if each.endpoint.partition(".")[0] not in OWN:
            assert each.role() is not Role.VIEWER, each


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_what_the_tables_say_and_nothing_else(
    app: Flask, client: PageClient, login_as: Any, role: Role
) -> None:
    user = login_as(client, role)
    actor = Actor(user.name, role, "web", user_id=user.id)
    _, plain = tokens.create(user, "matrix", role, None, actor=actor, now=NOW)
    headers = {"Authorization": f"Bearer {plain}"}
    for each in sorted(addresses(app), key=lambda found: found.endpoint == "login.leave"):
        needed = each.role()
        if needed is None:
            continue
        scripted = {"headers": headers, "data": json.dumps({})} if each.is_api else {}
        answer = client.open(each.path, method=each.method, buffered=True, **scripted)
        if role.includes(needed):
            assert answer.status_code not in (401, 403), (each, answer.text[:300])
            to_login = answer.headers.get("Location", "").startswith("/login")
            assert to_login == (each.endpoint == "login.leave"), each
            assert answer.status_code != 500, (each, answer.text[:300])  # 503: nobody leads the schedule here
        else:
            assert answer.status_code == 403, (each, answer.status_code)


def test_a_stranger_opens_nothing_but_the_doors(app: Flask, client: PageClient, admin: Any) -> None:
    for each in addresses(app):
        if each.role() is None:
            continue
        answer = client.open(each.path, method=each.method)
        scripted = each.is_api or each.path.startswith("/health/")
        assert answer.status_code == (401 if scripted else 303), each
        if not scripted:
            assert answer.headers["Location"].startswith("/login"), each
