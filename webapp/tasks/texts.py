"""How a value is typed and shown: between one JSON value and one text, by the shape of its field."""

from __future__ import annotations

import json
import re
from typing import Any

from webapp.tasks.shapes import LOOSE, Shape

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,300}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_TRUE = {"true", "on", "yes", "y", "1"}
_FALSE = {"false", "off", "no", "n", "0", ""}


class Unreadable(ValueError):
    """A text that cannot be a value of its field at all; the text says why."""


def coerce_form(shape: Shape, text: str) -> Any:
    """The JSON value that a non-empty text stands for. Raises Unreadable for what is no JSON where JSON is needed."""
    match shape.reading:
        case "integer":
            return int(text) if _WHOLE_NUMBER.fullmatch(text.strip()) else text.strip()
        case "number":
            return _number(text.strip())
        case "boolean":
            return _boolean(text.strip())
        case "choice":
            return next((choice.value for choice in shape.choices if choice.text == text), text)
        case "list":
            return _list(shape, text)
        case "mapping":
            return _mapping(shape, text)
        case "json":
            return _json(text)
        case "loose":
            return _loose(text)
    return text if shape.takes_empty else text.strip()


def text_of(shape: Shape, value: Any) -> str:
    """The text that stands for a value in its field; ``coerce_form`` reads it back as the same value where it can."""
    if value is None:
        return "" if shape.nullable or shape.reading not in {"loose", "json"} else "null"
    match shape.reading:
        case "boolean":
            return "true" if value is True else "false"
        case "choice":
            return next((each.text for each in shape.choices if _same(each.value, value)), _scalar_text(value))
        case "list" | "mapping":
            return _lines(shape, value)
        case "json":
            return json.dumps(value, ensure_ascii=False, indent=2)
        case "loose":
            if isinstance(value, str) and value.strip() and _same(_loose(value), value):
                return value
            return json.dumps(value, ensure_ascii=False)
    return _scalar_text(value)


def _scalar_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lines(shape: Shape, value: Any) -> str:
    """One line for each item, if they read back as the same value; else JSON."""
    items = shape.items or LOOSE
    if isinstance(value, list):
        text = "\n".join(text_of(items, item) for item in value)
    elif isinstance(value, dict):
        text = "\n".join(f"{name}={text_of(items, item)}" for name, item in value.items())
    else:
        return _scalar_text(value)
    try:
        is_same = bool(value) and _same(coerce_form(shape, text), value)
    except Unreadable:
        is_same = False
    return text if is_same else json.dumps(value, ensure_ascii=False)


def _list(shape: Shape, text: str) -> Any:
    if text.strip().startswith("["):
        found = _loose(text)
        if isinstance(found, list):
            return found
    return [coerce_form(shape.items or LOOSE, line.strip()) for line in text.split("\n") if line.strip()]


def _mapping(shape: Shape, text: str) -> Any:
    if text.strip().startswith("{"):
        return _json(text)
    found: dict[str, Any] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        parts = re.fullmatch(r"\s*([^=:]*?)\s*[=:](.*)", line)
        if parts is None:
            raise Unreadable(f"line {number} has neither = nor : (write name=value)")
        name, value = parts.group(1), parts.group(2).strip()
        if name in found:
            raise Unreadable(f"line {number} gives {name} a second time")
        found[name] = coerce_form(shape.items or LOOSE, value)
    return found


def _number(text: str) -> Any:
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _boolean(text: str) -> Any:
    lowered = text.lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else text


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise Unreadable("is nested too deep") from None
    except ValueError as error:
        raise Unreadable(f"is not JSON: {error}") from None


def _loose(text: str) -> Any:
    try:
        return _json(text)
    except Unreadable:
        return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: True is not 1, and 1.0 is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
