"""Reads a request's JSON body strictly: what cannot be stored, echoed and read by every client is refused here."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from webapp.domain.errors import Invalid

DEPTH_MAX = 20


def read_object(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """The body as a JSON object, whatever its Content-Type says: scripts often send none.

    With ``optional`` an empty body is an empty object. Raises Invalid; werkzeug's 413 when the body is too large.
    """
    data = read_bytes(request)
    if optional and not data.strip():
        return {}
    value = parse(data)
    if not isinstance(value, dict):
        raise Invalid({"": "The body must be a JSON object."})
    return value


def read_bytes(request: Request) -> bytes:
    """The body as it came. Raises werkzeug's 413 when it is too large.

    werkzeug itself cuts a body that comes in chunks at the limit without a word, and half a body is another one.
    """
    data = request.get_data()
    most = request.max_content_length
    if request.content_length is None and most is not None and len(data) >= most:
        raise RequestEntityTooLarge()
    return data


def parse(data: bytes) -> Any:
    """A JSON text as a value. Raises Invalid for what is not strict JSON in UTF-8 or is nested too deeply."""
    if not data.strip():
        raise Invalid({"": "The body is empty; a JSON object is needed."})
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_without_doubles)
    except UnicodeDecodeError:
        raise Invalid({"": "The body is not UTF-8 text."}) from None
    except json.JSONDecodeError as error:
        raise Invalid(
            {"": f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."}
        ) from None
    except RecursionError:
        _too_deep()
    except Invalid:
        raise
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise Invalid({"": "The body holds a number that is too long."}) from None
    _check(value)
    return value


def _check(value: Any) -> None:
    """Walk the value without recursion: depth, and texts that no database can store."""
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                for name in item:
                    _check_text(name)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    _too_deep()


def _check_text(text: str) -> None:
    if "\x00" in text or not (text.isascii() or text.encode("utf-8", "ignore").decode("utf-8") == text):
        raise Invalid({"": "The body holds a text with a NUL or half a character, which cannot be stored."})


def _too_deep() -> NoReturn:
    raise Invalid({"": f"The body is nested more than {DEPTH_MAX} levels deep."}) from None


def _no_constant(name: str) -> NoReturn:
    raise Invalid({"": f"{name} is not a JSON number."})


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Invalid({"": "The body holds a number that is too large."})
    return number


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid({"": f"The key {twice[:80]!r} is given twice."})
    return found
