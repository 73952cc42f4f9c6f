"""What pydantic found wrong, as short sentences for the person who typed it.

Values are never repeated in a message: some are secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

_SHOWN = 5
_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "bytes_type": "must be text",
    "path_type": "must be a path",
    "none_required": "must be empty",
    "date_type": "must be a date like 2026-01-31",
    "date_parsing": "must be a date like 2026-01-31",
    "date_from_datetime_inexact": "must be a date without a time",
    "datetime_type": "must be a date and time like 2026-01-31T09:30",
    "datetime_parsing": "must be a date and time like 2026-01-31T09:30",
    "timezone_aware": "needs a time zone, as in 2026-01-31T09:30+01:00",
    "timezone_naive": "must not have a time zone",
    "date_past": "must be in the past",
    "date_future": "must be in the future",
    "time_type": "must be a time like 09:30",
    "time_parsing": "must be a time like 09:30",
    "time_delta_type": "must be a duration like 01:30:00 or PT1H30M",
    "time_delta_parsing": "must be a duration like 01:30:00 or PT1H30M",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "url_parsing": "must be a URL",
    "url_type": "must be a URL",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "iterable_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "mapping_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "dataclass_type": "must be a mapping of names to values",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "value_error": "{error}",
    "assertion_error": "{error}",
}


def plain_messages(error: ValidationError, value: Any, choices: str = "") -> list[str]:
    """One message for each place in ``value``, at most five; the alternatives of a union are joined with "or".

    ``choices`` replaces pydantic's list of expected values, which shows Python's spelling of an enum.
    """
    by_place: dict[tuple[str, ...], list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        place = _place(detail["loc"], value, detail["type"])
        text = _text(detail["type"], detail["msg"], detail.get("ctx", {}), "" if place else choices)
        texts = by_place.setdefault(place, [])
        if text not in texts:
            texts.append(text)
    messages = [_located(place, " or ".join(_alternatives(texts))) for place, texts in by_place.items()]
    more = len(messages) - _SHOWN
    return messages[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def _text(kind: str, fallback: str, context: Mapping[str, Any], choices: str) -> str:
    if kind in {"enum", "literal_error"} and choices:
        return f"must be one of {choices}"
    template = _PLAIN.get(kind)
    if template is None:
        return fallback.replace("Input should", "must", 1)
    try:
        return template.format(**{name: _short(value) for name, value in context.items()})
    except KeyError:
        return fallback


def _short(value: Any) -> Any:
    """A limit as people write it: 0, not 0.0."""
    return f"{value:g}" if isinstance(value, float) else value


def _place(location: tuple[int | str, ...], value: Any, kind: str) -> tuple[str, ...]:
    """The steps of ``location`` that exist in the value; pydantic also names members of unions there."""
    steps: list[str] = []
    for position, part in enumerate(location):
        is_absent = kind == "missing" and position == len(location) - 1
        if isinstance(value, list) and isinstance(part, int):
            steps.append(f"item {part + 1}")
            value = value[part] if part < len(value) else None
        elif isinstance(value, dict) and (part in value or is_absent):
            steps.append(str(part))
            value = value.get(str(part))
    return tuple(steps)


def _located(place: tuple[str, ...], text: str) -> str:
    return f"{', '.join(place)}: {text}" if place else text


def _alternatives(texts: list[str]) -> list[str]:
    return [texts[0], *(text.removeprefix("must be ") for text in texts[1:])]
