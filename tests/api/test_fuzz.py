"""The API under arbitrary requests: schemathesis makes them from the OpenAPI document, hypothesis makes raw bodies.

Requests are the same in every run; ``CARILLON_FUZZ_EXAMPLES=500`` makes many more of them, and others each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import CODE
from webapp.api import examples
from webapp.api.schemas import JobChanges, PreviewRequest
from webapp.extensions import db
from webapp.services import calendars
from webapp.store.models import Job, Run

EXAMPLES = int(os.environ.get("CARILLON_FUZZ_EXAMPLES", "5"))
FIXED = "CARILLON_FUZZ_EXAMPLES" not in os.environ
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def fuzz(strategy: Any, examples: int = EXAMPLES) -> Callable[[Callable[[Any], None]], None]:
    """Call a function with so many values of the strategy."""

    def run(probe: Callable[[Any], None]) -> None:
        test = settings(
            max_examples=examples,
            phases=(Phase.generate,),
            derandomize=FIXED,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(lambda value: probe(value)))
        test()

    return run


@pytest.fixture
def stage(app: Flask, make_job: Callable[..., Job], make_run: Callable[..., Run], now: Any) -> dict[str, Any]:
    """A job, a run and a calendar for requests to find; the app's own errors go to the client, as when served."""
    app.config.update(PROPAGATE_EXCEPTIONS=False)
    job = make_job(id="nightly", now=now - timedelta(hours=3), max_instances=50)
    run = make_run(job, due_at=now - timedelta(hours=1), state="failed")
    calendars.create({"name": "holidays", "yearly": ["12-25"]}, actor=CODE, now=now)
    return {"job_id": "nightly", "run_id": run.id, "name": "holidays", "format": "csv"}


def operations(app: Flask, headers: dict[str, str]) -> list[Any]:
    """All of them, those that take away what the others look for last."""
    schema = schemathesis.openapi.from_wsgi("/scheduler/openapi.json", app, headers=headers)
    return sorted((found.ok() for found in schema.get_all_operations()), key=lambda found: found.method == "delete")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_server_or_gets_an_answer_that_is_not_documented(
    app: Flask, api: Any, stage: dict[str, Any], mode: GenerationMode
) -> None:
    for operation in operations(app, api.headers):
        example = examples.of(operation.definition.raw["operationId"]).body
        checks = CHECKS if example is not None else CHECKS[:-1]  # empty parameters count as not given

        def probe(drawn: Any, example: Any = example, checks: Any = checks) -> None:
            case, is_there, kept = drawn
            if mode is GenerationMode.POSITIVE:
                if is_there:
                    case.path_parameters.update({name: stage[name] for name in case.path_parameters})
                if kept and isinstance(case.body, dict) and example is not None:  # a good request, a part of it strange
                    strange = dict(list(case.body.items())[:kept])
                    case.body = {**example, **strange}
            case.call_and_validate(headers=api.headers, checks=checks)
            db.session.rollback()

        cases = operation.as_strategy(generation_mode=mode)
        fuzz(st.tuples(cases, st.booleans(), st.sampled_from([0, 1, 1, 2])))(probe)


# Raw bodies: what no schema would make

ODD_TEXTS = [
    "", " ", "\x00", "\ud800", "a\nb", "\u202e", "../../etc/passwd", "' OR 1=1 --", "<script>", "{{7*7}}", "%s%n",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30", "2026-06-01T25:00", "+00:00", "٣", "1e400", "*/0",
    "* * * * * * *", "0 0 31 2 *", "L", "1#6", "@reboot", "UTC\x00", "America", "os:system", "x" * 300,
]  # fmt: skip
ODD_NUMBERS = [0, -1, 1, 0.5, 2**31, 2**63, 2**64, -(2**63) - 1, 10**40, 1e308, 5e-324]
KEYS = [
    *JobChanges.model_fields,
    *PreviewRequest.model_fields,
    "id",
    "except",
    "moments",
    "again",
    "until",
    "wait",
    "ics",
    "kind",
]
scalars = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.sampled_from(ODD_TEXTS) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
BODIES = [
    ("POST", "/jobs", {"id": "n", "func": "demo.echo", "trigger": "interval", "minutes": 5, "replace_existing": True}),
    ("POST", "/jobs", {"id": "new", "func": "demo.echo", "trigger": "cron", "replace_existing": True}),
    ("PATCH", "/jobs/nightly", {}),
    ("POST", "/preview", {"trigger": "cron"}),
    ("POST", "/preview", {"trigger": "combined", "any": [{"kind": "interval", "minutes": 5}]}),
    ("POST", "/jobs/nightly/pause", {}),
    ("POST", "/jobs/nightly/run", {}),
    ("POST", "/jobs/nightly/catch-up", {}),
    ("POST", "/calendars", {"name": "x"}),
    ("PATCH", "/calendars/holidays", {}),
    ("POST", "/calendars/holidays/import", {}),
    ("POST", "/shutdown", {}),
]  # fmt: skip


@pytest.mark.usefixtures("stage")
def test_no_value_at_any_key_breaks_the_server(api: Any) -> None:
    odd = st.dictionaries(st.sampled_from(KEYS), values, max_size=3)

    def probe(drawn: Any) -> None:
        (method, path, good), strange = drawn
        answer = api.ask(method, path, {**good, **strange})
        assert answer.status_code < 500, (path, strange, answer.text)
        for internal in ("Traceback", "site-packages", "/usr/", "SELECT ", "sqlite3", "pydantic", ".py"):
            assert internal not in answer.text, (path, strange)
        db.session.rollback()

    fuzz(st.tuples(st.sampled_from(BODIES), odd), EXAMPLES * 60)(probe)


@pytest.mark.usefixtures("stage")
def test_no_bytes_break_the_server(api: Any) -> None:
    kinds = st.sampled_from(
        ["application/json", "text/plain", "multipart/form-data", "application/json; charset=utf-7"]
    )
    pieces = st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\xff", b"\x00", b"NaN", b"1e999", b'"id"', b"\xef\xbb\xbf"]
    )
    raw = st.binary(max_size=40) | st.lists(pieces, max_size=20).map(b"".join)

    def probe(drawn: Any) -> None:
        (method, path, _), body, kind, squeezed = drawn
        headers = {"Content-Type": kind, **({"Content-Encoding": "gzip"} if squeezed else {})}
        answer = api.ask(method, path, body, headers=headers)
        assert answer.status_code < 500, (path, body, answer.text)
        db.session.rollback()

    fuzz(st.tuples(st.sampled_from(BODIES), raw, kinds, st.booleans()), EXAMPLES * 20)(probe)
