"""The OpenAPI 3.1 document, made from the table of routes and from the models that validate and describe its JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from webapp.api import examples
from webapp.api.replies import Problem, Reply
from webapp.api.routes import ROUTES, Route

_VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "job_id": {"type": "string", "minLength": 1},
    "name": {"type": "string", "minLength": 1},
    "run_id": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    "format": {"type": "string", "enum": ["csv", "json"]},
}
_GROUPS = {
    "jobs": "Jobs",
    "runs": "Runs",
    "balance": "Runs",
    "tasks": "Tasks and schedules",
    "preview": "Tasks and schedules",
    "calendars": "Calendars",
    "openapi.json": "This document",
}
_REFUSALS = {
    400: "Not acceptable; nothing was stored",
    401: "No valid login",
    403: "The role does not allow it, or a browser sent a Basic login from another site",
    404: "There is nothing of this name",
    409: "The present state does not allow it",
    412: "Not at the revision that If-Match names",
    413: "The body is too large",
    429: "Too many failed logins; Retry-After says how long to wait",
    500: "The fault is here; the server's log says more",
    503: "The database does not answer",
}
_ALWAYS = (400, 401, 403, 429, 500, 503)


@cache
def document(prefix: str, version: str) -> dict[str, Any]:
    """The whole document for an API below ``prefix``. It is made once: nobody may change it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(path_of(route), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Carillon",
            "version": version,
            "description": "Flask-APScheduler's JSON API, guarded and completed. Bodies are JSON whatever their "
            "Content-Type says; times are ISO 8601.",
        },
        "servers": [{"url": prefix}],
        "security": [{"token": []}, {"password": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_group(route) for route in ROUTES)],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {f"Refused{status}": _refusal(status) for status in _REFUSALS},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token from the Account page"},
                "password": {"type": "http", "scheme": "basic", "description": "A user's name and password"},
            },
        },
    }


def path_of(route: Route) -> str:
    """The route's path in OpenAPI's way: ``/jobs/{job_id}``. The prefix itself is ``/``."""
    return _VARIABLE.sub(r"{\2}", route.path) or "/"


def _operation(route: Route) -> dict[str, Any]:
    summary, _, rest = " ".join((route.view.__doc__ or "").replace("``", "").split()).partition(". ")
    found: dict[str, Any] = {
        "operationId": route.endpoint,
        "tags": [_group(route)],
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": _responses(route),
        "x-least-role": route.role.value,
        "x-codeSamples": [{"lang": "Shell", "source": examples.curl(route.method, path_of(route), route.endpoint)}],
    }
    if rest:
        found["description"] = rest
    if route.body is not None:
        media: dict[str, Any] = {"schema": _ref(route.body)}
        example = examples.of(route.endpoint).body
        if example is not None:
            media["example"] = example
        found["requestBody"] = {"required": not route.body_is_optional, "content": {"application/json": media}}
    return found


def _group(route: Route) -> str:
    return _GROUPS.get(route.path.split("/")[1] if route.path else "", "Scheduler")


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for _, name in _VARIABLE.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    schema = route.query.model_json_schema()
    for name, value in schema.get("properties", {}).items():
        shown = {key: each for key, each in value.items() if key not in ("title", "description")}
        if shown.get("default") in (None, "", []):
            shown.pop("default", None)
        found = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": shown}
        yield found | ({"description": value["description"]} if "description" in value else {})


def _headers(route: Route) -> Iterable[dict[str, Any]]:
    if route.guarded and route.method in ("PATCH", "DELETE"):
        text = 'The revision that was read, such as "3": refused with 412 if there is a newer one'
        yield {"name": "If-Match", "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    media = ("application/json",) if route.reply is not None else route.media
    if not media:
        found["204"] = {"description": "Done"}
    else:
        found["200"] = {"description": "Done", "content": {name: {"schema": _answer(route)} for name in media}}
    if media and route.guarded:
        found["200"]["headers"] = {"ETag": {"description": "The revision", "schema": {"type": "string"}}}
    for status in sorted({*_ALWAYS, *route.refuses, *_implied(route)}):
        found[str(status)] = {"$ref": f"#/components/responses/Refused{status}"}
    return found


def _implied(route: Route) -> Iterable[int]:
    if "<" in route.path:
        yield 404
    if route.body is not None:
        yield 413
    if any(_headers(route)):
        yield 412


def _answer(route: Route) -> dict[str, Any]:
    if route.reply is None:
        return {}
    return {"type": "array", "items": _ref(route.reply)} if route.many else _ref(route.reply)


def _refusal(status: int) -> dict[str, Any]:
    return {"description": _REFUSALS[status], "content": {"application/json": {"schema": _ref(Problem)}}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> dict[str, Any]:
    """Every model's schema by name. What an answer does not list, it does not hold."""
    models = {model for route in ROUTES for model in (route.reply, route.body) if model is not None} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    for name in _replies():
        if name in schemas:
            schemas[name]["additionalProperties"] = False
    return {name: _plain(schemas[name]) for name in sorted(schemas)}


def _replies() -> set[str]:
    from webapp.api import replies

    described = (value for value in vars(replies).values() if isinstance(value, type) and issubclass(value, BaseModel))
    return {model.__name__ for model in described if issubclass(model, Reply | replies.TriggerReply)}


def _plain(schema: Any) -> Any:
    """Without the titles that only repeat the names."""
    if isinstance(schema, dict):
        titled = isinstance(schema.get("title"), str)
        return {key: _plain(value) for key, value in schema.items() if not (key == "title" and titled)}
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema
