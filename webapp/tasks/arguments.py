"""Checks a job's arguments against its task's signature; turns stored JSON into the values for the call.

Strict where JSON is: the text "3" is no number, 1 is no boolean. What people type in a form is read by ``forms``
first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any

from pydantic import ValidationError

from webapp.domain.errors import Invalid
from webapp.tasks.messages import plain_messages
from webapp.tasks.signature import Parameter, Signature

SIZE_LIMIT = 64 * 1024
"""Bytes of all arguments together, as compact JSON in UTF-8."""
DEPTH_LIMIT = 20
"""Lists and mappings within each other, the arguments themselves not counted."""


class NotStorable(ValueError):
    """A value that JSON, or one of the databases, cannot hold; the text says what is wrong with it."""


def normal_arguments(
    signature: Signature,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    refuse: Callable[[Parameter, Any], str | None],
    is_open: Callable[[Parameter, Any], bool],
) -> tuple[list[Any], dict[str, Any]]:
    """The same arguments as plain JSON values in their normal spelling: dates ISO 8601, enums by value.

    Positional values stay positional. ``refuse`` says what else is wrong with a value; one that ``is_open`` is checked
    no further. Raises Invalid with the messages by parameter.
    """

    def convert(parameter: Parameter, plain: Any, text: str) -> Any:
        problem = refuse(parameter, plain)
        if problem is not None:
            raise NotStorable(problem)
        return plain if is_open(parameter, plain) else _normal(parameter, plain, text)

    return _through(signature, args, kwargs, convert)


def python_arguments(
    signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The values to call the task with, new objects on every call. Raises Invalid as ``normal_arguments`` does."""
    return _through(signature, args, kwargs, _python)


def plain_json(value: Any, depth: int = 0) -> Any:
    """The value as JSON's own types; dates, enums and tuples are converted, everything else raises NotStorable."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain_json(value.value, depth)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if depth >= DEPTH_LIMIT:
        raise NotStorable(f"is nested more than {DEPTH_LIMIT} levels deep")
    if isinstance(value, list | tuple):
        return [plain_json(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise NotStorable("has a name that is not text")
        return {_text(key): plain_json(item, depth + 1) for key, item in value.items()}
    raise NotStorable(f"cannot be stored: JSON has no {type(value).__name__}")


def _text(value: str) -> str:
    if "\x00" in value:
        raise NotStorable("contains a NUL character, which databases cannot store")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise NotStorable("contains half a character (a lone surrogate), which cannot be stored") from None
    return str(value)


def _number(value: float) -> float:
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise NotStorable("is beyond 64 bits; databases would change it: give it as text")
    elif not math.isfinite(value):
        raise NotStorable("must be a finite number")
    return value


@dataclass(frozen=True)
class _Given:
    """One given value and the parameter it is for."""

    name: str
    parameter: Parameter
    value: Any
    is_positional: bool


def _through(
    signature: Signature,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    convert: Callable[[Parameter, Any, str], Any],
) -> tuple[list[Any], dict[str, Any]]:
    errors: dict[str, list[str]] = {}
    size = 0
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for given in _matched(signature, args, kwargs, errors):
        try:
            plain = plain_json(given.value)
            text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
            size += len(text.encode())
            if size > SIZE_LIMIT:
                raise Invalid({"": f"The arguments are larger than {SIZE_LIMIT // 1024} KiB"})
            value = convert(given.parameter, plain, text)
        except NotStorable as error:
            errors.setdefault(given.name, []).append(_discreet(given, str(error)))
        except ValidationError as error:
            messages = plain_messages(error, plain, _choice_list(given.parameter))
            errors.setdefault(given.name, []).extend(_discreet(given, message) for message in messages)
        else:
            if given.is_positional:
                positional.append(value)
            else:
                named[given.name] = value
    if errors:
        raise Invalid(errors)
    return positional, named


def _discreet(given: _Given, message: str) -> str:
    """A message of the task's own validator may quote the value; that of a secret is taken out."""
    if given.parameter.is_secret and isinstance(given.value, str) and given.value:
        return message.replace(given.value, "...")
    return message


def _matched(
    signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], errors: dict[str, list[str]]
) -> list[_Given]:
    """Each value with its parameter. What has none, is missing or comes twice is written to ``errors``."""
    if not isinstance(args, list | tuple):
        raise Invalid({"args": "must be a list"})
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise Invalid({"kwargs": "must be a mapping of names to values"})
    by_position = [each for each in signature.parameters if not (each.is_keyword_only or each.is_extra)]
    by_name = {each.name: each for each in signature.parameters if not each.is_extra}
    if len(args) > len(by_position):
        errors["args"] = [f"takes at most {len(by_position)} values, {len(args)} were given"]
    given = [_Given(each.name, each, value, True) for each, value in zip(by_position, args, strict=False)]
    taken = {each.name for each in given}
    for name, value in kwargs.items():
        parameter = by_name.get(name) or signature.extra
        if name in taken:
            errors[name] = ["is given twice, by position and by name"]
        elif name in signature.unsettable:
            errors[name] = [f"cannot be set: {signature.unsettable[name]}"]
        elif parameter is None:
            errors[name] = [f"is not a parameter of this task{_known(by_name)}"]
        else:
            given.append(_Given(name, parameter, value, False))
    missing = [name for name, each in by_name.items() if each.required and name not in taken | set(kwargs)]
    errors.update({name: ["is required"] for name in missing})
    return given


def _python(parameter: Parameter, plain: Any, text: str) -> Any:
    try:
        return parameter.adapter.validate_json(text, strict=True)
    except ValidationError:
        raise
    except Exception as error:  # a validator of the task's own types may raise anything
        raise NotStorable(f"could not be checked: {type(error).__name__}: {error}") from error


def _normal(parameter: Parameter, plain: Any, text: str) -> Any:
    """The value's own JSON spelling, if reading it gives the same value again; else what was given.

    The spelling of a secret is asterisks and a set has no order: both stay as given.
    """
    value = _python(parameter, plain, text)
    if isinstance(value, set | frozenset):
        return plain
    try:
        dumped = parameter.adapter.dump_python(value, mode="json", warnings=False)
        spelled = json.dumps(dumped, allow_nan=False)
        is_same = bool(parameter.adapter.validate_json(spelled, strict=True) == value)
    except Exception:  # types with a serialiser of their own: what was given is valid, so it is kept
        return plain
    return dumped if is_same else plain


def _choice_list(parameter: Parameter) -> str:
    return ", ".join(choice.text for choice in parameter.choices)


def _known(names: Mapping[str, Parameter]) -> str:
    return f" (it has {', '.join(names)})" if names else ", which has none"
