"""Holds an answer against the OpenAPI document: its status, its type, and every key of its JSON."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from webapp.api import openapi
from webapp.api.routes import ROUTES

_OPERATIONS = {f"scheduler.{route.endpoint}": (openapi.path_of(route), route.method.lower()) for route in ROUTES}


def check(app: Flask, answer: TestResponse) -> None:
    """Fail unless the document announces this answer. Addresses that do not exist answer a plain refusal."""
    document = openapi.document("/scheduler", "test")
    operation = _operation(app, answer, document)
    if operation is None:
        _refusal(answer)
        return
    found = operation["responses"].get(str(answer.status_code))
    assert found is not None, f"{answer.request.method} {answer.request.path}: {answer.status_code} is not documented"
    if "$ref" in found:
        found = document["components"]["responses"][found["$ref"].rpartition("/")[2]]
    content = found.get("content")
    if not content:
        assert answer.data == b""
        return
    assert answer.mimetype in content, f"{answer.request.path}: {answer.mimetype} is not documented"
    schema = content[answer.mimetype]["schema"]
    if schema and answer.request.method != "HEAD":
        errors = list(_validator(str(schema)).iter_errors(answer.json))
        assert not errors, f"{answer.request.path}: {errors[0].message} at {list(errors[0].instance_path)}"


def _operation(app: Flask, answer: TestResponse, document: dict[str, Any]) -> Any:
    adapter = app.url_map.bind("localhost")
    method = "GET" if answer.request.method == "HEAD" else answer.request.method
    try:
        endpoint, _ = adapter.match(answer.request.path, method)
    except HTTPException:
        return None
    path, verb = _OPERATIONS[endpoint]
    return document["paths"][path][verb]


def _refusal(answer: TestResponse) -> None:
    assert answer.status_code in (401, 404, 405), answer.status_code
    assert set(answer.json) == {"error_message"}


@cache
def _validator(schema: str) -> Any:
    import ast

    document = openapi.document("/scheduler", "test")
    return jsonschema_rs.Draft202012Validator(
        {**ast.literal_eval(schema), "components": document["components"]}, validate_formats=True
    )
