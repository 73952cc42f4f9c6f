"""``{{secret:NAME}}`` in a job's arguments: where it may stand, and how the value takes its place when a run starts.

Arguments are stored, shown and copied with the reference in them; only a run that has started knows the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from webapp.tasks.signature import Parameter

if TYPE_CHECKING:
    from webapp.tasks.definition import Task

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
REFERENCE = re.compile(r"\{\{secret:(" + NAME + r")\}\}")
_ALMOST = re.compile(r"\{\{\s*secret\b", re.IGNORECASE)
_ALONE = re.compile(rf"(?:[A-Za-z][A-Za-z0-9-]{{0,19}} )?{REFERENCE.pattern}")
_HINT = "{{secret:NAME}}, with a name from the page Secrets"


def reference(name: str) -> str:
    """How the secret of this name is written in an argument."""
    return f"{{{{secret:{name}}}}}"


def is_reference(value: Any) -> bool:
    """Whether a value is nothing but a reference, or one after a word such as ``Bearer``: it may be shown."""
    return isinstance(value, str) and _ALONE.fullmatch(value) is not None


def names_in(value: Any) -> set[str]:
    """The names of all secrets that a JSON value refers to."""
    found: set[str] = set()
    for text in _texts(value):
        found.update(REFERENCE.findall(text))
    return found


def is_open(task: Task, parameter: Parameter, value: Any) -> bool:
    """Whether this argument is complete only when the run starts, so that its text cannot be checked before."""
    return isinstance(value, str) and (parameter.is_secret or task.takes_secrets) and bool(REFERENCE.search(value))


def problem(task: Task, parameter: Parameter, value: Any) -> str | None:
    """What is wrong with the references in an argument, or with there being none; None when all is well."""
    if parameter.is_secret and value not in (None, "") and not is_reference(value):
        return f"is kept from view, so it is not stored here: give {_HINT}, alone or after a word such as Bearer"
    if not (parameter.is_secret or task.takes_secrets):
        return None
    for text in _texts(value):
        if len(_ALMOST.findall(text)) != len(REFERENCE.findall(text)):
            return f"holds a reference that cannot be read; write {_HINT}"
    return None


def filled(
    task: Task, args: Sequence[Any], kwargs: Mapping[str, Any], values: Mapping[str, str]
) -> tuple[list[Any], dict[str, Any]]:
    """Stored arguments with the values in place of the references. ``values`` must hold every name they refer to."""
    by_name = {each.name: each for each in task.parameters if not each.is_extra}
    places = [*by_name.values()]

    def fill(parameter: Parameter | None, value: Any) -> Any:
        known = parameter or task.signature.extra
        if known is None or not (known.is_secret or task.takes_secrets) or known.name in task.own_references:
            return value
        new = _mapped(value, lambda text: REFERENCE.sub(lambda found: values[found[1]], text))
        return _typed(known, value, new)

    positional = [fill(places[n] if n < len(places) else None, value) for n, value in enumerate(args)]
    return positional, {name: fill(by_name.get(name), value) for name, value in kwargs.items()}


def names_for(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> set[str]:
    """The secrets that a run of ``task`` with these arguments needs."""
    by_name = {each.name: each for each in task.parameters if not each.is_extra}
    given = [
        *zip(by_name.values(), args, strict=False),
        *((by_name.get(name), value) for name, value in kwargs.items()),
    ]
    needed: set[str] = set()
    for parameter, value in given:
        known = parameter or task.signature.extra
        if known is not None and (known.is_secret or task.takes_secrets):
            needed |= names_in(value)
    return needed


def _typed(parameter: Parameter, stored: Any, value: Any) -> Any:
    """A secret of another type than text is kept as the JSON of its value: 42, ["a", "b"]."""
    if not isinstance(stored, str) or parameter.shape.reading in {"text", "loose"}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _texts(value: Any) -> list[str]:
    found: list[str] = []
    _mapped(value, lambda text: found.append(text) or text)  # type: ignore[func-returns-value]
    return found


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, Mapping):
        return {name: _mapped(item, change) for name, item in value.items()}
    return value
