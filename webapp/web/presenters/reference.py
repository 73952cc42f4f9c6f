"""The OpenAPI document as rows for people: what each address takes and answers, and what the keys of its JSON mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}


@dataclass(frozen=True)
class Key:
    """One key of an object, or one parameter of an address. ``models`` are names of models that its type mentions."""

    name: str
    type: str
    required: bool
    text: str
    default: str = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A status beside success, and what it means."""

    status: str
    text: str


@dataclass(frozen=True)
class Operation:
    """One method of one address. ``takes`` and ``answers`` are names of models; empty: no body, nothing."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    role: str
    parameters: tuple[Key, ...]
    takes: str
    status: str
    answers: str
    is_list: bool
    media: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    example: str


@dataclass(frozen=True)
class Group:
    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Model:
    """One kind of object in requests or answers."""

    name: str
    text: str
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Reference:
    """The whole page. ``always``: refusals that every address may answer."""

    prefix: str
    groups: tuple[Group, ...]
    models: tuple[Model, ...]
    always: tuple[Refusal, ...]


def read(document: Mapping[str, Any]) -> Reference:
    """The document as rows."""
    refusals = {
        name.removeprefix("Refused"): each["description"] for name, each in document["components"]["responses"].items()
    }
    prefix = document["servers"][0]["url"]
    operations = [
        (operation["tags"][0], method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    shared = set.intersection(*(set(operation["responses"]) for *_, operation in operations))
    return Reference(
        prefix,
        tuple(
            Group(
                tag["name"],
                tuple(
                    _operation(method, prefix + path.rstrip("/"), operation, refusals, shared)
                    for name, method, path, operation in operations
                    if name == tag["name"]
                ),
            )
            for tag in document["tags"]
        ),
        tuple(
            Model(name, _words(schema.get("description", "")), tuple(_keys(schema)))
            for name, schema in document["components"]["schemas"].items()
        ),
        tuple(Refusal(status, refusals[status]) for status in sorted(shared)),
    )


def _operation(
    method: str, path: str, operation: Mapping[str, Any], refusals: Mapping[str, str], shared: set[str]
) -> Operation:
    status = next(status for status in operation["responses"] if status.startswith("2"))
    content: dict[str, Any] = operation["responses"][status].get("content", {})
    answer: dict[str, Any] = next((each["schema"] for each in content.values()), {})
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=_words(operation.get("description", "")),
        role=operation["x-least-role"],
        parameters=tuple(
            _key(each["name"], each["schema"], each["required"], each.get("description", ""))
            for each in operation["parameters"]
        ),
        takes=_name(body),
        status=status,
        answers=_name(answer.get("items", answer)),
        is_list=answer.get("type") == "array",
        media=tuple(content),
        refusals=tuple(
            Refusal(code, refusals[code])
            for code in sorted(operation["responses"])
            if code not in shared and code != status
        ),
        example=operation["x-codeSamples"][0]["source"],
    )


def _keys(schema: Mapping[str, Any]) -> Iterable[Key]:
    required = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        yield _key(name, value, name in required, value.get("description", ""))


def _key(name: str, schema: Mapping[str, Any], required: bool, text: str) -> Key:
    default = schema.get("default")
    shown = "" if default in (None, "", [], {}) else str(default).lower() if isinstance(default, bool) else str(default)
    return Key(name, _type(schema), required, _words(text), shown, tuple(dict.fromkeys(_models(schema))))


def _type(schema: Mapping[str, Any]) -> str:
    """The type in words: ``whole number or null``, ``list of text``."""
    if "anyOf" in schema:
        words = list(dict.fromkeys(_type(each) for each in schema["anyOf"]))
        if "number" in words and "whole number" in words:
            words.remove("whole number")
        return " or ".join(words)
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return _WORDS.get(str(schema.get("type")), "anything") + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None or high > 10**6:
        return ""
    return f", {low} to {high}"


def _models(schema: Any) -> Iterable[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield _name(schema)
        for value in schema.values():
            yield from _models(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _models(value)


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _words(text: str) -> str:
    """Docstrings mark code with double backticks, which mean nothing on a page."""
    return " ".join(text.replace("``", "").split())
