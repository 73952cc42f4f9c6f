"""Calendars of times at which nothing should run: days, weekdays, hours of the day, windows of real time.

A calendar is a value: many schedules may hold the same one. Where it comes from (the database, an iCalendar file)
is not this room's business.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import chain

from webapp.domain import moments
from webapp.domain.civil import EPOCH_ORDINAL
from webapp.domain.errors import Invalid
from webapp.domain.grammar import WEEKDAYS
from webapp.domain.wall import wall_bits
from webapp.domain.zones import DAY_S, Zone, seconds, zone

MOST_ENTRIES = 5000
SETTINGS = ("name", "days", "yearly", "weekdays", "hours", "windows", "timezone")

_FIRST_WEEKDAY = 3
"""1 January 1970 was a Thursday."""

_MOST_CLOSED = 6000
"""How many closed days in a row are stepped over at once; more than there can be entries."""

_WHOLE_DAY = (1 << DAY_S) - 1
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:/(\d{4}-\d{2}-\d{2}))?", re.ASCII)
_YEARLY = re.compile(r"(\d{2})-(\d{2})", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)


@dataclass(frozen=True)
class Hours:
    """A part of each day, ``start <= second < end``; past midnight when the end is not after the start.

    ``weekdays`` (0 = Monday) are those on which it begins.
    """

    start: int
    end: int
    weekdays: frozenset[int]

    def bits(self, weekday: int) -> int:
        """The covered seconds of a day that is this weekday."""
        covered = 0
        if weekday in self.weekdays:
            covered = _run(self.start, self.end if self.end > self.start else DAY_S)
        if self.end <= self.start and (weekday - 1) % 7 in self.weekdays:
            covered |= _run(0, self.end)
        return covered


@dataclass(frozen=True)
class Calendar:
    """A named set of excluded times. Days, weekdays and hours are local: in ``timezone``, or in the schedule's zone.

    ``days`` are counted from 1970, ``yearly`` are (month, day), ``windows`` are merged epoch seconds
    ``start <= t < end`` in order. A ``shared`` one is kept elsewhere under its name: specs of schedules only name it.
    """

    name: str
    days: frozenset[int] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()
    weekdays: frozenset[int] = frozenset()
    hours: tuple[Hours, ...] = ()
    windows: tuple[tuple[int, int], ...] = ()
    timezone: str | None = None
    shared: bool = False

    def bits(self, default: Zone, first: int, length: int) -> int:
        """The excluded instants ``first <= t < first + length`` as bits, bit 0 for ``first``."""
        place = self._place(default)
        covered, instant, end = 0, first, first + length
        while instant < end:
            piece = place.piece(instant)
            stop = min(piece.end, end)
            walls = wall_bits(self._day_bits, instant + piece.offset, stop + piece.offset)
            covered |= walls << (instant - first)
            instant = stop
        for start, finish in self.windows[bisect_right(self._ends, first) :]:
            if start >= end:
                break
            covered |= _run(max(start - first, 0), min(finish - first, length))
        return covered

    def excludes(self, moment: datetime, timezone: str) -> bool:
        """Whether nothing should run at this (aware) moment, for a schedule of this zone."""
        return bool(self.bits(zone(timezone), seconds(moment), 1))

    def skip(self, default: Zone, instant: int) -> int:
        """An instant at or after this one before which everything is excluded: the end of its window or closed days."""
        window = self._window(instant)
        if window is not None:
            return window[1]
        place = self._place(default)
        piece = place.piece(instant)
        day = (instant + piece.offset) // DAY_S
        if piece.end - instant < 2 * DAY_S or not self._closed(day):
            return instant  # so near a change the clock may yet go back to a day before
        later = next((n for n in range(day + 1, day + _MOST_CLOSED) if not self._closed(n)), day + _MOST_CLOSED)
        return place.first_at_wall(later * DAY_S)

    def skip_back(self, default: Zone, instant: int) -> int:
        """An instant at or before this one after which, up to this one, everything is excluded."""
        window = self._window(instant)
        if window is not None:
            return window[0] - 1
        place = self._place(default)
        day = (instant + place.piece(instant).offset) // DAY_S
        if not self._closed(day):
            return instant
        earlier = next((n for n in range(day - 1, day - _MOST_CLOSED, -1) if not self._closed(n)), day - _MOST_CLOSED)
        return min(instant, place.first_at_wall((earlier + 1) * DAY_S) + DAY_S)

    def _place(self, default: Zone) -> Zone:
        return default if self.timezone is None else zone(self.timezone)

    def _window(self, instant: int) -> tuple[int, int] | None:
        at = bisect_right(self._ends, instant)
        return self.windows[at] if at < len(self.windows) and self.windows[at][0] <= instant else None

    @cached_property
    def _ends(self) -> list[int]:
        return [end for _, end in self.windows]

    @cached_property
    def _hours_by_weekday(self) -> list[int]:
        masks = [0] * 7
        for weekday in range(7):
            for hours in self.hours:
                masks[weekday] |= hours.bits(weekday)
        return masks

    def _closed(self, day: int) -> bool:
        """Whether this local day is excluded altogether, whatever the hours and windows say."""
        if day in self.days or (day + _FIRST_WEEKDAY) % 7 in self.weekdays:
            return True
        if not self.yearly:
            return False
        local = date.fromordinal(day + EPOCH_ORDINAL)
        return (local.month, local.day) in self.yearly

    def _day_bits(self, day: int) -> int:
        return _WHOLE_DAY if self._closed(day) else self._hours_by_weekday[(day + _FIRST_WEEKDAY) % 7]

    def spec(self) -> dict[str, object]:
        """The normal JSON form: only what there is."""
        utc = zone("UTC")
        spec: dict[str, object] = {
            "name": self.name,
            "days": [date.fromordinal(day + EPOCH_ORDINAL).isoformat() for day in sorted(self.days)],
            "yearly": [f"{month:02}-{day:02}" for month, day in sorted(self.yearly)],
            "weekdays": [WEEKDAYS[n] for n in sorted(self.weekdays)],
            "hours": [_hours_spec(hours) for hours in self.hours],
            "windows": [
                {"start": utc.local(start).isoformat(), "end": utc.local(end).isoformat()}
                for start, end in self.windows
            ],
            "timezone": self.timezone,
        }
        return {name: value for name, value in spec.items() if value}


def read(spec: object, default_timezone: str = "UTC") -> Calendar:
    """A calendar from its JSON form. Days may be ranges (``2026-12-24/2026-12-31``); windows without an offset are
    in the calendar's zone. Raises Invalid, keyed by setting.
    """
    if not isinstance(spec, Mapping):
        raise Invalid({"": "A calendar is an object with a name and what it excludes."})
    unknown = {str(name)[:60]: "A calendar has no such setting." for name in spec if name not in SETTINGS}
    if unknown:
        raise Invalid(unknown)
    name, timezone = spec.get("name"), spec.get("timezone") or None
    if not isinstance(name, str) or not name.strip() or len(name) > 200:
        raise Invalid({"name": "Give the calendar a name of at most 200 characters."})
    if timezone is not None and not isinstance(timezone, str):
        raise Invalid({"timezone": "Use an IANA name such as Europe/Berlin."})
    place = zone(timezone or default_timezone)
    entries = {key: _entries(spec, key) for key in SETTINGS[1:-1]}
    days = [_read_days(entry) for entry in entries["days"]]
    if sum(map(len, days)) > MOST_ENTRIES:
        raise Invalid({"days": f"Give at most {MOST_ENTRIES} days, also within ranges."})
    return Calendar(
        name=name.strip(),
        days=frozenset(chain.from_iterable(days)),
        yearly=frozenset(_read_yearly(entry) for entry in entries["yearly"]),
        weekdays=_read_weekdays(entries["weekdays"]),
        hours=tuple(_read_hours(entry) for entry in entries["hours"]),
        windows=_merged([_read_window(entry, place) for entry in entries["windows"]]),
        timezone=timezone,
    )


def _entries(spec: Mapping[str, object], key: str) -> Sequence[object]:
    value = spec.get(key) or ()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Invalid({key: "Give a list."})
    if len(value) > MOST_ENTRIES:
        raise Invalid({key: f"Give at most {MOST_ENTRIES} entries."})
    return value


def _read_days(entry: object) -> range:
    match = _DAY.fullmatch(entry) if isinstance(entry, str) else None
    try:
        if match is None:
            raise ValueError
        first = date.fromisoformat(match[1])
        last = date.fromisoformat(match[2] or match[1])
    except ValueError:
        raise Invalid({"days": f"“{str(entry)[:40]}” is not a day such as 2026-12-25."}) from None
    if first.year not in moments.YEARS or last.year not in moments.YEARS or not 0 <= (last - first).days < MOST_ENTRIES:
        raise Invalid({"days": f"“{entry}” must be in order, between 2000 and 2100."})
    return range(day_number(first), day_number(last) + 1)


def _read_yearly(entry: object) -> tuple[int, int]:
    match = _YEARLY.fullmatch(entry) if isinstance(entry, str) else None
    try:
        if match is None:
            raise ValueError
        day = date(2000, int(match[1]), int(match[2]))
    except ValueError:
        raise Invalid({"yearly": f"“{str(entry)[:40]}” is not a month and day such as 12-25."}) from None
    return day.month, day.day


def _read_weekdays(names: Sequence[object], key: str = "weekdays") -> frozenset[int]:
    for name in names:
        if name not in WEEKDAYS:
            raise Invalid({key: f"“{str(name)[:40]}” is not one of {', '.join(WEEKDAYS)}."})
    return frozenset(WEEKDAYS.index(str(name)) for name in names)


def _read_hours(entry: object) -> Hours:
    if not isinstance(entry, Mapping) or not {"from", "to"} <= set(entry) <= {"from", "to", "weekdays"}:
        raise Invalid({"hours": "Give from, to and, if you like, weekdays."})
    weekdays = _read_weekdays(_entries(entry, "weekdays"), "hours") or frozenset(range(7))
    start, end = _read_clock(entry["from"]), _read_clock(entry["to"])
    if start in (end, DAY_S):
        raise Invalid({"hours": "The two times must differ."})
    return Hours(start, end, weekdays)


def _read_clock(value: object) -> int:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise Invalid({"hours": f"“{str(value)[:40]}” is not a time such as 22:00."})
    return int(value[:2]) * 3600 + int(value[3:]) * 60


def _hours_spec(hours: Hours) -> dict[str, object]:
    spec: dict[str, object] = {"from": _clock(hours.start), "to": _clock(hours.end)}
    if len(hours.weekdays) < 7:
        spec["weekdays"] = [WEEKDAYS[n] for n in sorted(hours.weekdays)]
    return spec


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"


def _read_window(entry: object, place: Zone) -> tuple[int, int]:
    if not isinstance(entry, Mapping) or set(entry) != {"start", "end"}:
        raise Invalid({"windows": "Give start and end."})
    try:
        start, end = (seconds(moments.read(entry[key], place, fold=0, bare_dates=True)) for key in ("start", "end"))
    except moments.Unreadable as error:
        raise Invalid({"windows": str(error)}) from None
    if end <= start:
        raise Invalid({"windows": "The end must be later than the start."})
    return start, end


def _merged(windows: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _run(first: int, end: int) -> int:
    """Bits ``first`` up to, not including, ``end``."""
    return ((1 << (end - first)) - 1) << first if end > first else 0


def day_number(day: date) -> int:
    """A date as the days since 1970 that ``Calendar.days`` holds."""
    return day.toordinal() - EPOCH_ORDINAL
