"""The OpenAPI document: it is complete, it is true, and its examples work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CODE
from webapp.api import examples, openapi
from webapp.api.routes import ROUTES, Route
from webapp.domain.errors import CarillonError
from webapp.extensions import db
from webapp.services import calendars, jobs
from webapp.store.models import Job, Run

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def document(api: Any) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json
    return found


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def test_the_document_names_every_route_its_role_and_its_prefix(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/scheduler"}]
    told = {
        (method.upper(), path): (operation["operationId"], operation["x-least-role"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert told == {(route.method, openapi.path_of(route)): (route.endpoint, route.role.value) for route in ROUTES}


def test_every_operation_says_in_a_sentence_what_it_does(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"][0].isupper(), operation["operationId"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    targets = [node["$ref"] for node in nodes(document) if "$ref" in node]
    assert targets
    for target in targets:
        place: Any = document
        for part in target.removeprefix("#/").split("/"):
            place = place[part]


def test_what_the_document_says_about_a_body_is_what_validates_it(api: Any, document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["NewJob"]
    assert schema["additionalProperties"] is False
    assert {"id", "trigger"} <= set(schema["required"])
    known = set(schema["properties"])
    body = {**{key: {"no": "such thing"} for key in [*known, "surprise"]}, "trigger": "interval"}
    wrong = api.post("/jobs", body).json["errors"]
    assert "surprise" in wrong
    assert known - set(wrong) <= {"kwargs", "retry", "trigger"}


def test_the_document_is_for_people_who_may_log_in(stranger: Any) -> None:
    assert stranger.get("/openapi.json").status_code == 401


@pytest.fixture
def staged(make_job: Callable[..., Job], make_run: Callable[..., Run], now: Any) -> Callable[[Route], None]:
    """Bring about what the example of a route speaks of."""
    night = {"kind": "cron", "crontab": "30 2 * * *", "timezone": "Europe/Berlin"}

    def prepare(route: Route) -> None:
        for clear in (jobs.delete, calendars.delete):
            name = "nightly" if clear is jobs.delete else "Public holidays"
            with contextlib.suppress(CarillonError):
                clear(name, actor=CODE, now=now)
        db.session.query(Run).delete()
        db.session.commit()
        if route.endpoint == "start_scheduler":
            from webapp.services import control

            control.shut_down(actor=CODE, now=now)
        if route.endpoint not in ("add_job",):
            job = make_job(id="nightly", trigger=night, now=now - timedelta(days=3), kwargs={"message": "good night"})
            make_run(job, id=812, state="queued" if route.endpoint == "stop_run" else "failed", due_at=None)
        if route.endpoint != "add_calendar":
            calendars.create({"name": "Public holidays"}, actor=CODE, now=now)

    return prepare


def test_every_example_works(api: Any, staged: Callable[[Route], None]) -> None:
    for route in ROUTES:
        staged(route)
        path = openapi.path_of(route)
        answer = api.ask(route.method, examples.address(path, route.endpoint), examples.of(route.endpoint).body)
        assert answer.status_code in (200, 204), (route.endpoint, answer.text)
        if route.endpoint == "start_scheduler":
            assert api.get().json["state"] != "stopped"


def test_the_docs_show_every_route_with_its_example() -> None:
    text = DOCS.read_text()
    for route in ROUTES:
        command = examples.curl(route.method, openapi.path_of(route), route.endpoint)
        assert f"\n{command}\n" in text, f"docs/api.md misses the example of {route.endpoint}:\n{command}"
        path = openapi.path_of(route)
        shown = f"`{route.method} /scheduler{path if path != '/' else ''}`"
        assert shown in text, f"docs/api.md misses {shown}"
