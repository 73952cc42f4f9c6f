"""An entry of the audit as people read it: what was done to what, and each field before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from flask import url_for
from werkzeug.routing import BuildError

from webapp.store.models import AuditEntry
from webapp.web.presenters.jobs import as_text

VIA = {"web": "browser", "api": "API", "cli": "command line", "engine": "Carillon", "code": "declared in code"}
SHOWN = 3
SHORT = 60
_PAGES = {"job": ("jobs.show", "job_id"), "run": ("runs.show", "run_id"), "user": ("users.show", "user_id")}


@dataclass(frozen=True)
class Change:
    """One field that differs; empty text where it was not there."""

    label: str
    was: str
    now: str


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    entry: AuditEntry
    done: str
    object: str
    url: str | None
    via: str
    summary: str


@dataclass(frozen=True)
class Day:
    """The entries of one day of the viewer's."""

    title: str
    rows: list[Row]


def by_day(entries: list[AuditEntry], zone: ZoneInfo) -> list[Day]:
    """Rows in the order given, under the days of ``zone``."""
    days: list[Day] = []
    last: date | None = None
    for entry in entries:
        local = entry.at.astimezone(zone)
        if local.date() != last:
            last = local.date()
            days.append(Day(f"{local:%A, %-d %B %Y}", []))
        days[-1].rows.append(row(entry))
    return days


def row(entry: AuditEntry) -> Row:
    return Row(entry, done(entry.action), _object(entry), _url(entry), VIA.get(entry.via, entry.via), summary(entry))


def done(action: str) -> str:
    """ "job.catch_up" as "Job: catch up"."""
    thing, _, verb = action.partition(".")
    return f"{thing.replace('_', ' ').capitalize()}: {verb.replace('_', ' ')}" if verb else thing


def changes(entry: AuditEntry) -> list[Change]:
    """Every field that differs between before and after, in the order in which they were told."""
    before, after = _flat(entry.before), _flat(entry.after)
    return [
        Change(name.replace("_", " "), before.get(name, ""), after.get(name, ""))
        for name in {**after, **before}
        if before.get(name, "") != after.get(name, "")
    ]


def summary(entry: AuditEntry) -> str:
    """The first changes in one line."""
    found = changes(entry)
    told = [_short(change, entry.before is not None and entry.after is not None) for change in found[:SHOWN]]
    return "; ".join(told + ([f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []))


def _short(change: Change, is_change: bool) -> str:
    was, now = _cut(change.was), _cut(change.now)
    return f"{change.label}: {was or '–'} → {now or '–'}" if is_change else f"{change.label}: {now or was}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


def _flat(values: Mapping[str, Any] | None, prefix: str = "") -> dict[str, str]:
    """Mappings within mappings by their path; what is empty is left out, as it says nothing."""
    flat: dict[str, str] = {}
    for name, value in (values or {}).items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}: "))
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            flat[prefix + name] = ", ".join(value)
        elif value not in (None, "", []):
            flat[prefix + name] = as_text(value)
    return flat


def _object(entry: AuditEntry) -> str:
    """What was changed, by its name where the entry knows one."""
    for values in (entry.after, entry.before):
        name = (values or {}).get("name")
        if isinstance(name, str) and name:
            return name
    return entry.object_id if entry.object_id != entry.object_type else ""


def _url(entry: AuditEntry) -> str | None:
    """The page of the object; it may be gone by now, and that page says so."""
    page = _PAGES.get(entry.object_type)
    if page is None or entry.action.endswith(".deleted") or entry.object_id == "unknown":
        return None
    values: dict[str, Any] = {page[1]: entry.object_id}
    try:
        return url_for(page[0], **values)
    except (BuildError, ValueError):
        return None
