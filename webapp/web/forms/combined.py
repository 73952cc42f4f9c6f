"""Combined schedules as a form shows them: calendars to tick, and several schedules as lines of text.

A combination of one schedule that only leaves calendars out is shown as that schedule. A part that no line can say is
shown in words; such a line, left as it is, means the part that was stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from webapp.domain import fields, schedules
from webapp.domain.errors import Invalid
from webapp.web.presenters import cron

OWN = "own:"
"""Before the number of a calendar that only this job has; other values are names of shared ones."""
MODES = ("any", "all")
DELAYS = ("jitter", "spread")
UNITS = ("weeks", "days", "hours", "minutes", "seconds")
_UNIT_OF = {
    "w": "weeks", "week": "weeks", "d": "days", "day": "days", "h": "hours", "hour": "hours", "m": "minutes",
    "min": "minutes", "minute": "minutes", "s": "seconds", "sec": "seconds", "second": "seconds",
}  # fmt: skip
_EVERY = re.compile(r"every\s+(?P<amounts>.+?)(?:\s+from\s+(?P<start>\S+))?", re.IGNORECASE | re.ASCII)
_AMOUNT = re.compile(r"([0-9]{1,9})?\s*([a-z]+)", re.IGNORECASE | re.ASCII)
_JOINS = re.compile(r"\band\b|,", re.IGNORECASE)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*", re.ASCII)


def unfolded(spec: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """What is shown of a spec: a spec without calendars, and the calendars."""
    calendars = list(spec.get("calendars") or []) if spec.get("kind") == "combined" else []
    parts = spec.get("any") or []
    alone = spec.get("kind") == "combined" and len(parts) == 1 and not spec.get("all") and not spec.get("except")
    if not alone or parts[0].get("timezone", spec.get("timezone")) != spec.get("timezone"):
        return {name: value for name, value in spec.items() if name != "calendars"}, calendars
    whole = {name: spec[name] for name in (*DELAYS, "timezone") if name in spec}
    return {**parts[0], **whole}, calendars


def folded(spec: Mapping[str, Any], calendars: Sequence[Any]) -> dict[str, Any]:
    """The spec that leaves these calendars out: the reverse."""
    if not calendars:
        return dict(spec)
    if spec.get("kind") == "combined":
        return {**spec, "calendars": list(calendars)}
    whole = {name: spec[name] for name in (*DELAYS, "timezone") if name in spec}
    part = {name: value for name, value in spec.items() if name not in DELAYS}
    return {"kind": "combined", "any": [part], "calendars": list(calendars), **whole}


def ticked(calendars: Sequence[Any]) -> list[str]:
    """The values of the boxes that stand for these calendars."""
    return [each if isinstance(each, str) else f"{OWN}{place}" for place, each in enumerate(calendars)]


def calendars_of(values: Sequence[str], known: Sequence[Any]) -> list[Any]:
    """The calendars that the ticked boxes stand for; ``known`` are those that the form was filled with."""
    own = {value: each for value, each in zip(ticked(known), known, strict=True) if not isinstance(each, str)}
    return [own.get(value, value) for value in values]


def lines_of(parts: Sequence[Mapping[str, Any]], zone: str) -> list[str]:
    """A line for each part of a combination of this zone."""
    return [_line(part, zone) for part in parts]


def parts_of(text: str, known: Sequence[Mapping[str, Any]], zone: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The parts that lines of text say, and the number of each one's line. ``known`` are parts that may come back."""
    stored = dict(zip(lines_of(known, zone), known, strict=True))
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [dict(stored.get(line) or _read(line)) for _, line in lines], [number for number, _ in lines]


def told(error: Invalid, spec: Mapping[str, Any], numbers: Mapping[str, Sequence[int]]) -> Invalid:
    """The messages about a spec under the names of this form's fields. ``numbers`` are those of the lines of ``any``
    (or ``all``) and of ``except``; without any, the spec is a single schedule in a combination.
    """
    found: dict[str, list[str]] = {}
    for name, texts in error.fields.items():
        group, _, rest = name.partition(".")
        place, _, setting = rest.partition(".")
        if group == "calendars":
            found.setdefault("calendars", []).extend(texts)
        elif group in (*MODES, "except") and not numbers:
            found.setdefault(setting or "calendars", []).extend(texts)
        elif group in (*MODES, "except"):
            field = "excepts" if group == "except" else "parts"
            lead = f"Line {numbers[group][int(place)]}: " if place.isdigit() else ""
            found.setdefault(field, []).extend(lead + _about_line(text, spec, group, place, setting) for text in texts)
        else:
            found.setdefault(name, []).extend(texts)
    return Invalid(found)


def _about_line(text: str, spec: Mapping[str, Any], group: str, place: str, setting: str) -> str:
    typed = spec[group][int(place)].get(setting) if place.isdigit() else None
    if setting == "seconds" and isinstance(typed, str) and typed.startswith("every "):
        return f"“{typed}” is not understood. Write it like “every 90 min” or “every 1 hour 30 min”."
    return text


def line_of_fields(spec: Mapping[str, Any]) -> str:
    """The line that says what was typed for a single schedule, to begin a combination with; empty when none does."""
    texts = {name: str(value).strip() for name, value in spec.items() if isinstance(value, str) and value.strip()}
    match spec.get("kind"):
        case "cron":
            return texts.get("crontab") or cron.crontab_of({k: v for k, v in texts.items() if k in fields.NAMES})
        case "interval":
            return _every(texts)
        case "date":
            return texts.get("run_date", "")
    return ""


def _line(part: Mapping[str, Any], zone: str) -> str:
    line = _plain_line(part, zone) if part.get("timezone", zone) == zone else ""
    if line:
        return line
    try:
        return schedules.load(part).words()
    except Invalid:
        return f"{part.get('kind')} that cannot be read"


def _plain_line(part: Mapping[str, Any], zone: str) -> str:
    """A line that can be typed; empty when the part says more than a line can."""
    if part.get("end_date") or part.get("gap") == "end":
        return ""
    match part.get("kind"):
        case "cron" if not part.get("start_date"):
            return str(part.get("crontab") or cron.crontab_of({k: part[k] for k in fields.NAMES if part.get(k)}))
        case "interval":
            start = part.get("start_date")
            return f"{_every(part)} from {_moment(str(start), zone)}" if start else _every(part)
        case "date":
            return _moment(str(part.get("run_date")), zone)
    return ""


def _every(part: Mapping[str, Any]) -> str:
    amounts = [(int(part[unit]), unit) for unit in UNITS if str(part.get(unit) or "").isdigit() and int(part[unit])]
    said = " ".join(f"{number} {unit if number > 1 else unit[:-1]}" for number, unit in amounts)
    return f"every {said}" if said else ""


def _moment(text: str, zone: str) -> str:
    """An instant as local time, with its offset where the clock shows that time twice."""
    moment = datetime.fromisoformat(text)
    local = moment.astimezone(ZoneInfo(zone)) if moment.tzinfo and zone else moment
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    shown = local if twice else local.replace(tzinfo=None)
    return shown.isoformat(timespec="seconds" if shown.second else "minutes")


def _read(line: str) -> dict[str, Any]:
    """What a line means; whether it means anything is judged with the rest of the spec."""
    every = _EVERY.fullmatch(line)
    if every is not None:
        return _interval(every["amounts"], every["start"])
    if _MOMENT.fullmatch(line):
        return {"kind": "date", "run_date": line}
    return {"kind": "cron", "crontab": line}


def _interval(amounts: str, start: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "interval", **({"start_date": start} if start else {})}
    said = _JOINS.sub(" ", amounts)
    rest = _AMOUNT.sub("", said).strip()
    for number, unit in _AMOUNT.findall(said):
        name = _UNIT_OF.get(unit.lower()) or _UNIT_OF.get(unit.lower().removesuffix("s"))
        if name is None or name in spec:
            rest = rest or unit
        else:
            spec[name] = number or "1"
    return {"kind": "interval", "seconds": f"every {amounts}"} if rest else spec
