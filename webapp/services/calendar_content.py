"""What a shared calendar may hold: its raw form (a plain mapping, as pages, scripts and files give it) checked into a
``Content``, and back.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from flask import current_app

from webapp.domain import calendars as domain
from webapp.domain import moments, words
from webapp.domain.errors import Invalid
from webapp.domain.zones import seconds, zone
from webapp.services import shared_calendars
from webapp.settings import Settings
from webapp.store.models import Calendar, CalendarRevision

NAME_MAX = 100
LABEL_MAX = 200
LISTS = ("days", "yearly", "weekdays", "hours", "windows")
FIELDS = ("name", *LISTS, "timezone", "labels")
_BAD_IN_NAME = "/\\?#%"
_TOLD_MAX = 20_000


@dataclass(frozen=True)
class Content:
    """What a calendar holds, checked: its value, the normal form of it, and what its entries are called."""

    value: domain.Calendar
    spec: dict[str, Any]
    labels: dict[str, str]

    @property
    def digest(self) -> str:
        text = json.dumps(self.spec, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()


def definition(row: Calendar | CalendarRevision) -> dict[str, Any]:
    """The raw form of a stored calendar: ``create`` with it, under another name, makes the same."""
    raw: dict[str, Any] = {"name": "", **{name: [] for name in LISTS}, "timezone": None, **row.content}
    return {**raw, "labels": dict(row.labels)}


def value_of(row: Calendar | CalendarRevision) -> domain.Calendar:
    """What a stored calendar excludes. Raises Invalid for stored rubbish."""
    return shared_calendars.value(row.digest, row.content)


def check(raw: Mapping[str, Any]) -> Content:
    """What ``raw`` would be stored as. Raises Invalid with the messages by field."""
    unknown = sorted(str(name)[:60] for name in raw if name not in FIELDS)
    if unknown:
        raise Invalid(dict.fromkeys(unknown, "A calendar has no such setting."))
    check_name(raw.get("name"))
    value = domain.read({name: given for name, given in raw.items() if name != "labels"}, default_zone())
    return Content(value, json.loads(json.dumps(value.spec())), _labels(raw.get("labels"), value))


def default_zone() -> str:
    """The zone in which local times are read where nothing names another."""
    settings: Settings = current_app.config["CARILLON"]
    return settings.timezone


def check_name(name: object) -> None:
    """Raise Invalid unless this can name a calendar, also as a segment of an address."""
    if not isinstance(name, str) or not name.strip():
        raise Invalid({"name": "Give the calendar a name."})
    if len(name.strip()) > NAME_MAX:
        raise Invalid({"name": f"At most {NAME_MAX} characters."})
    if name.strip() in (".", "..") or not name.isprintable() or any(each in _BAD_IN_NAME for each in name):
        raise Invalid({"name": "No control characters, none of / \\ ? # %, and not just dots."})


def told(spec: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """A content as the audit keeps it: whole, or in numbers when it is long. Revisions have all of it."""
    whole = {**spec, "labels": dict(labels)}
    if len(json.dumps(whole)) <= _TOLD_MAX:
        return whole
    return {"name": spec["name"], "timezone": spec.get("timezone"), "holds": words.calendar(domain.read(spec))}


def _labels(raw: object, value: domain.Calendar) -> dict[str, str]:
    """What entries are called: keys in normal form, what belongs to no entry left out."""
    if raw in (None, {}):
        return {}
    if not isinstance(raw, Mapping) or not all(isinstance(text, str) for pair in raw.items() for text in pair):
        raise Invalid({"labels": "This must be an object: a day or the start of a window, and what it is called."})
    spec = value.spec()
    named = {*_texts(spec, "days"), *_texts(spec, "yearly")}
    found: dict[str, str] = {}
    for entry, given in raw.items():
        text = " ".join(given.split())
        if len(text) > LABEL_MAX:
            raise Invalid({"labels": f"“{text[:40]}…” has more than {LABEL_MAX} characters."})
        key = entry if entry in named else _window_start(entry, value)
        if key and text and text not in found.get(key, "").split(", "):
            found[key] = f"{found[key]}, {text}"[:LABEL_MAX] if key in found else text
    return found


def _texts(spec: Mapping[str, object], name: str) -> list[str]:
    entries = spec.get(name, [])
    return entries if isinstance(entries, list) else []


def _window_start(entry: str, value: domain.Calendar) -> str:
    """The start of the window that holds this moment, as the normal form writes it; empty when there is none."""
    try:
        moment = moments.read(entry, zone(value.timezone or default_zone()), fold=0)
    except moments.Unreadable:
        return ""
    at = seconds(moment)
    place = bisect_right(value.windows, at, key=lambda window: window[0]) - 1
    if place < 0 or value.windows[place][1] <= at:
        return ""
    return datetime.fromtimestamp(value.windows[place][0], UTC).isoformat()
