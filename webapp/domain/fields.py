"""APScheduler's eight cron fields, with its meaning (0 = Monday, all fields must agree) and strict reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from webapp.domain.civil import ALL_DAYS, LAST, Days, DaySet
from webapp.domain.daytimes import DayTimes
from webapp.domain.grammar import MONTHS, WEEKDAYS, CronParts, Refused, Unit, items, ordered, values
from webapp.domain.zones import LAST_YEAR

NAMES = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
DEFAULTS = {
    "year": "*",
    "month": "1",
    "day": "1",
    "week": "*",
    "day_of_week": "*",
    "hour": "0",
    "minute": "0",
    "second": "0",
}
"""What a field means that is left out below the smallest one given; above it, everything."""

POSITIONS = {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "last": LAST}

UNITS = {
    "year": Unit("Year", 1970, LAST_YEAR, strict_steps=True),
    "month": Unit("Month", 1, 12, MONTHS, 1, strict_steps=True, wraps=12),
    "day": Unit("Day", 1, 31, strict_steps=True),
    "week": Unit("Week", 1, 53, strict_steps=True),
    "day_of_week": Unit("Day of week", 0, 6, WEEKDAYS, 0, strict_steps=True, wraps=7),
    "hour": Unit("Hour", 0, 23, strict_steps=True),
    "minute": Unit("Minute", 0, 59, strict_steps=True),
    "second": Unit("Second", 0, 59, strict_steps=True),
}
_POSITION = re.compile(r"(1st|2nd|3rd|4th|5th|last) +([a-z]{3})")
_NAMED_STEP = re.compile(r"[a-z].*/|/.*[a-z]")


def normal(name: str, value: object) -> str:
    """The text of one field in its stored form: lower case, one space, weekdays as names. Raises Refused."""
    unit = UNITS[name]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Refused(f"{unit.name}: use text such as * or 1-5.")
    parts = [re.sub(r" +", " ", part) for part in items(str(value), unit)]
    for part in parts:
        _read_item(name, part)
    if name != "day_of_week":
        return ",".join(parts)
    return ",".join(_weekday_names(part) for part in parts)


def texts(given: Mapping[str, str]) -> dict[str, str]:
    """All eight fields, those left out filled in by APScheduler's rule."""
    smallest = max(NAMES.index(name) for name in given)
    return {name: given.get(name, DEFAULTS[name] if at > smallest else "*") for at, name in enumerate(NAMES)}


def parts(given: Mapping[str, str]) -> CronParts:
    """What these fields (normal texts, at least one) mean. Raises Refused."""
    all_texts = texts(given)
    sets = {name: _read(name, text) for name, text in all_texts.items() if name != "day"}
    year, week = all_texts["year"], all_texts["week"]
    days = Days(
        days=_read_days(all_texts["day"]),
        weekdays=DaySet(frozenset(sets["day_of_week"])),
        months=frozenset(sets["month"]),
        weeks=None if week == "*" else frozenset(sets["week"]),
        years=None if year == "*" else frozenset(sets["year"]),
    )
    times = DayTimes(ordered(sets["hour"]), ordered(sets["minute"]), ordered(sets["second"]))
    return CronParts(days, times, follows_clock=all_texts["hour"].startswith("*"))


def _read(name: str, text: str) -> set[int]:
    return {number for item in items(text, UNITS[name]) for number in values(item, UNITS[name])}


def _read_item(name: str, item: str) -> None:
    if name == "day":
        _read_days(item)
        return
    if _NAMED_STEP.search(item):
        raise Refused(f"{UNITS[name].name}: “{item[:40]}” puts a step on names. List them instead.")
    values(item, UNITS[name])


def _read_days(text: str) -> DaySet:
    if text == "*":
        return ALL_DAYS
    found = DaySet()
    for item in items(text, UNITS["day"]):
        position = _POSITION.fullmatch(item)
        if item == "last":
            found = replace(found, last_day=True)
        elif position is None:
            found = replace(found, numbers=found.numbers | set(values(item, UNITS["day"])))
        elif position[2] in WEEKDAYS:
            key = (POSITIONS[position[1]], WEEKDAYS.index(position[2]))
            found = replace(found, positions=found.positions | {key})
        else:
            raise Refused(f"Day: “{item}” names no weekday. Use mon to sun.")
    return found


def _weekday_names(item: str) -> str:
    if item == "*":
        return item
    numbers = values(item, UNITS["day_of_week"])
    if "/" in item:
        return ",".join(WEEKDAYS[n] for n in numbers)
    if len(numbers) == 1:
        return WEEKDAYS[numbers[0]]
    return f"{WEEKDAYS[numbers[0]]}-{WEEKDAYS[numbers[-1]]}"
