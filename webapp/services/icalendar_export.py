"""A shared calendar as an iCalendar file, which ``icalendars.read`` turns into the same calendar again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from zoneinfo import ZoneInfo

import icalendar

from webapp.domain.calendars import Calendar
from webapp.domain.civil import EPOCH_ORDINAL

_MONDAY = date(2000, 1, 3)
"""What repeats for ever begins in this week; 2000 is a leap year, so it has every day that a year can have."""
_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY = timedelta(days=1)


def write(calendar: Calendar, labels: Mapping[str, str], saved_at: datetime) -> bytes:
    """The file, which depends on nothing but what is given."""
    file = icalendar.Calendar()
    file.add("prodid", "-//Carillon//Shared calendars//EN")
    file.add("version", "2.0")
    file.add("x-wr-calname", calendar.name)
    if calendar.timezone:
        file.add("x-wr-timezone", calendar.timezone)
    for event in _events(calendar, labels):
        event.add("dtstamp", saved_at.astimezone(UTC))
        event.add("uid", sha256(event.to_ical()).hexdigest()[:32] + "@carillon")
        file.add_component(event)
    if calendar.timezone and calendar.hours:
        file.add_missing_timezones()
    return bytes(file.to_ical())


def _events(calendar: Calendar, labels: Mapping[str, str]) -> Iterator[icalendar.Event]:
    for first, last, label in _ranges(calendar, labels):
        yield _event(label or calendar.name, first, last + _DAY)
    for month, day in sorted(calendar.yearly):
        begin = date(2000, month, day)
        label = labels.get(f"{begin:%m-%d}", calendar.name)
        yield _event(label, begin, begin + _DAY, {"freq": "yearly"})
    if calendar.weekdays:
        begin = _MONDAY + timedelta(days=min(calendar.weekdays))
        yield _event(calendar.name, begin, begin + _DAY, _weekly(calendar.weekdays))
    place = ZoneInfo(calendar.timezone) if calendar.timezone else None
    for hours in calendar.hours:
        first = datetime(2000, 1, 3 + min(hours.weekdays), tzinfo=place) + timedelta(seconds=hours.start)
        days_later = 1 if hours.end <= hours.start else 0
        end = datetime(2000, 1, 3 + min(hours.weekdays) + days_later, tzinfo=place) + timedelta(seconds=hours.end)
        yield _event(calendar.name, first, end, _weekly(hours.weekdays))
    for start, stop in calendar.windows:
        begins, ends = (datetime.fromtimestamp(at, UTC) for at in (start, stop))
        yield _event(labels.get(begins.isoformat(), calendar.name), begins, ends)


def _ranges(calendar: Calendar, labels: Mapping[str, str]) -> Iterator[tuple[date, date, str]]:
    """Days in a row with one label: first, last, label."""
    days = [(number, labels.get(_date(number).isoformat(), "")) for number in sorted(calendar.days)]
    for (_, label), group in groupby(enumerate(days), key=lambda item: (item[1][0] - item[0], item[1][1])):
        numbers = [number for _, (number, _) in group]
        yield _date(numbers[0]), _date(numbers[-1]), label


def _date(number: int) -> date:
    return date.fromordinal(number + EPOCH_ORDINAL)


def _weekly(weekdays: frozenset[int]) -> dict[str, object]:
    return {"freq": "weekly", "byday": [_CODES[n] for n in sorted(weekdays)]}


def _event(title: str, start: date, end: date, repeats: dict[str, object] | None = None) -> icalendar.Event:
    event = icalendar.Event()
    event.add("summary", title)
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("transp", "TRANSPARENT")
    if repeats:
        event.add("rrule", repeats)
    return event
