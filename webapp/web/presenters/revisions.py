"""The difference between two definitions of a job, field by field; what is secret stays masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webapp.services import calendars
from webapp.tasks import registry
from webapp.tasks.redaction import MASK
from webapp.web.presenters.jobs import as_text

LABELS = {
    "name": "Name", "task": "Task", "func": "Task as spelled", "executor": "Executor", "jobstore": "Job store",
    "coalesce": "Several missed: run once", "max_instances": "Runs at once", "misfire_grace_s": "May be late, seconds",
    "overlap": "Still running", "timeout_s": "Time limit, seconds", "rerun_if_lost": "Run again after a crash",
    "priority": "Priority", "description": "About", "tags": "Tags", "timezone": "Time zone", "id": "Id",
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One field that differs; empty text where it was not there."""

    label: str
    was: str
    now: str


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Change]:
    """What differs from ``before`` (None: there was nothing) to ``after``."""
    old, new = _flat(before or {}), _flat(after)
    hidden = {**_masked(before or {}), **_masked(after)}
    found = []
    for name in sorted({*old, *new}, key=lambda name: (list(LABELS).index(name) if name in LABELS else 99, name)):
        was, now = old.get(name, ""), new.get(name, "")
        if was != now and name in hidden:  # told, but not shown
            was, now = (MASK if was else ""), (f"{MASK} (changed)" if was and now else MASK if now else "")
        if was != now:
            found.append(Change(_label(name), was, now))
    return _with_revisions(found)


def _with_revisions(found: list[Change]) -> list[Change]:
    """Contents of calendars told by the number of their revision."""
    pins = [text for each in found if each.label.startswith("Calendar “") for text in (each.was, each.now) if text]
    numbers = calendars.revision_numbers(pins) if pins else {}
    told = {digest: f"as of its revision {number}" for digest, number in numbers.items()}
    return [replace(each, was=told.get(each.was, each.was), now=told.get(each.now, each.now)) for each in found]


def _label(name: str) -> str:
    group, _, rest = name.partition(".")
    words = rest.replace("_", " ")
    of_group = {"trigger": f"Schedule: {words}", "retry": f"Retry: {words}", "calendar": f"Calendar “{rest}”"}
    return LABELS.get(name) or of_group.get(group, f"Argument {rest}")


def _flat(definition: Mapping[str, Any]) -> dict[str, str]:
    """Every field as text, secrets included."""
    texts: dict[str, str] = {}
    for name, value in definition.items():
        if name == "calendar_pins":
            texts.update({f"calendar.{inner}": digest for inner, digest in dict(value or {}).items()})
        elif name in ("trigger", "retry", "kwargs"):
            for inner, text in dict(value or {}).items():
                texts[f"{name}.{inner}"] = _text(text)
        elif name == "args":
            texts.update({f"args.{place}": _text(each) for place, each in enumerate(value or [], 1)})
        else:
            texts[name] = _text(value)
    return texts


def _masked(definition: Mapping[str, Any]) -> dict[str, str]:
    """The fields that may not be shown; without the task nobody knows, so all arguments."""
    task = registry.find(str(definition.get("task")))
    kwargs, args = dict(definition.get("kwargs") or {}), list(definition.get("args") or [])
    if task is None:
        return {**{f"kwargs.{name}": MASK for name in kwargs}, **{f"args.{n}": MASK for n in range(1, len(args) + 1)}}
    shown = task.redacted(kwargs)
    texts = {f"kwargs.{name}": MASK for name in kwargs if shown[name] == MASK}
    texts.update({f"args.{n}": MASK for n, value in enumerate(task.redacted_args(args), 1) if value == MASK})
    return texts


def _text(value: Any) -> str:
    return "" if value is None else as_text(value)
