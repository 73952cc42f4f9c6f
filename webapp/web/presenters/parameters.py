"""A task's parameters as fields of a form: what is typed in them is read and judged by tasks and services."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from webapp.tasks import Parameter, Task
from webapp.tasks.forms import HELP, form_values
from webapp.tasks.references import is_reference

PREFIX = "kwargs."
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?")


@dataclass
class Input:
    """One field; ``name`` is also where its messages are put."""

    parameter: Parameter
    value: str
    has_stored_secret: bool
    errors: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return PREFIX + self.parameter.name

    id = name

    @property
    def label(self) -> str:
        """The name in words; what ends in ``_s`` is in seconds."""
        words = self.parameter.name.replace("_", " ")
        return f"{words.removesuffix(' s')}, seconds" if words.endswith(" s") else words

    @property
    def control(self) -> str:
        """Which control shows it: text, number, area, tick, choice, date, datetime, reference or secret."""
        kind = self.parameter.kind
        if self.parameter.is_secret:
            return "secret" if self.has_stored_secret else "reference"
        if kind == "text" and "\n" in self.value:  # a field of one line would lose the rest
            return "area"
        if kind == "datetime" and self.value and not _LOCAL_TIME.fullmatch(self.value):
            return "text"  # browsers empty their own field when a time has a zone
        return {
            "boolean": "tick", "choice": "choice", "date": "date", "datetime": "datetime-local", "textarea": "area",
            "list": "area", "mapping": "area", "json": "area",
        }.get(kind, "text")  # fmt: skip

    @property
    def mode(self) -> str:
        """The keyboard that a phone should show."""
        return {"integer": "numeric", "number": "decimal"}.get(self.parameter.kind, "text")

    @property
    def help(self) -> str:
        return " ".join(part for part in (self.parameter.help, HELP.get(self.parameter.kind, "")) if part)

    @property
    def offers_nothing(self) -> bool:
        """Whether a choice may be left open."""
        return self.parameter.optional or (not self.parameter.required and self.parameter.default is None)


def inputs(task: Task | None, stored: Mapping[str, Any], sent: MultiDict[str, str] | None = None) -> list[Input]:
    """The fields of a task, holding what was ``sent``, else what is ``stored``, else the defaults."""
    if task is None:
        return []
    values = form_values(task, stored)
    found = []
    for parameter in task.parameters:
        value = values[parameter.name]
        name = PREFIX + parameter.name
        if sent is not None and (name in sent or _is_for(task, sent)):
            typed = "\n".join(sent.getlist(name))
            value = typed if not parameter.is_secret or is_reference(typed) else ""  # a secret is not sent back
        kept = stored.get(parameter.name)
        has_stored = parameter.is_secret and kept is not None and not is_reference(kept)
        found.append(Input(parameter, value, has_stored))
    return found


def texts(task: Task, sent: MultiDict[str, str]) -> dict[str, list[str]]:
    """What a sent form says about the parameters of ``task``, by their own names.

    A tick box that is not ticked is not sent. If the form showed the fields of another task, that means nothing yet:
    then the box counts as it would be shown.
    """
    found = {
        name.removeprefix(PREFIX): sent.getlist(name)
        for name in sent
        if name.startswith(PREFIX) and name != PREFIX + "sent"
    }
    if not _is_for(task, sent):
        shown = form_values(task, {})
        ticked = {each.name: ["true"] for each in task.parameters if shown[each.name] == "true"}
        return {**{name: value for name, value in ticked.items() if name not in found}, **found}
    return found


def _is_for(task: Task, sent: MultiDict[str, str]) -> bool:
    """Whether the form that was sent showed the fields of this task."""
    return sent.get(PREFIX + "sent") == task.key


def put_errors(fields: Sequence[Input], errors: Mapping[str, Sequence[str]]) -> list[str]:
    """Put messages keyed ``kwargs.<parameter>`` at their fields; return those of no field here."""
    by_name = {each.name: each for each in fields}
    rest: list[str] = []
    for name, messages in errors.items():
        if name in by_name:
            by_name[name].errors += [_sentence(text) for text in messages]
        else:
            rest += [f"{name.removeprefix(PREFIX)}: {text}" if name != "kwargs" else text for text in messages]
    return rest


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def by_name(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a job by name: a form has one field for each parameter, however it was given."""
    names = [each.name for each in task.parameters if not each.is_extra]
    return {**dict(zip(names, args, strict=False)), **kwargs}
