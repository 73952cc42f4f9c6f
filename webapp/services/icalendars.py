"""iCalendar (RFC 5545) in and out: events become the days and times of a shared calendar, and the other way round.

The format is the library's business; which of our settings an event becomes is decided here. What repeats for ever in
a way that a calendar can say (each year, on weekdays, at hours) is kept so; other repetitions are written out, bounded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import icalendar

from webapp.domain.calendars import MOST_ENTRIES
from webapp.domain.errors import Invalid
from webapp.domain.grammar import WEEKDAYS
from webapp.domain.moments import YEARS, spoken_date
from webapp.domain.phrases import plural
from webapp.services import recurrences
from webapp.services.recurrences import Rule

AHEAD = timedelta(days=3653)
"""How far repetitions that no setting can say are written out."""
BEHIND = timedelta(days=366)
"""What ended longer ago is left out: no due time will ask for it."""
PATIENCE_S = 10.0
"""A file that takes longer to write out is refused."""
MOST_PROBLEMS = 10

_DAY = timedelta(days=1)
_ONCE = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID")
_READ = (*_ONCE, "RRULE", "RDATE", "EXDATE")


@dataclass
class Imported:
    """What a file holds, in a calendar's own settings, and sentences about what was left out or cut."""

    name: str = ""
    days: dict[str, None] = field(default_factory=dict)
    yearly: dict[str, None] = field(default_factory=dict)
    weekdays: dict[str, None] = field(default_factory=dict)
    hours: list[dict[str, Any]] = field(default_factory=list)
    windows: list[dict[str, str]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def spec(self) -> dict[str, Any]:
        """The settings that hold something."""
        found = {
            "days": list(self.days),
            "yearly": list(self.yearly),
            "weekdays": [day for day in WEEKDAYS if day in self.weekdays],
            "hours": self.hours,
            "windows": self.windows,
        }
        return {name: value for name, value in found.items() if value}

    def label(self, entry: str, text: str) -> None:
        known = self.labels.get(entry)
        if text and text not in (known or "").split(", "):
            self.labels[entry] = f"{known}, {text}" if known else text


@dataclass(frozen=True)
class Event:
    """One event: local start and length, and how it repeats. ``zone`` None: its times belong to no zone."""

    title: str
    start: datetime
    length: timedelta
    is_days: bool
    zone: tzinfo | None
    rules: tuple[Rule, ...] = ()
    added: frozenset[datetime] = frozenset()
    removed: frozenset[datetime] = frozenset()

    @property
    def is_plain_rule(self) -> bool:
        """Whether it repeats by one rule, for ever, without exceptions: then a setting may be able to say it."""
        return len(self.rules) == 1 and self.rules[0].is_endless and not self.added and not self.removed

    def starts(self, until: datetime) -> Iterator[datetime]:
        """Local starts, each once: repetitions by rule up to this local moment, all others whenever they are."""
        seen = set(self.removed)
        groups = ([self.start], sorted(self.added), *(rule.starts(self.start, until) for rule in self.rules))
        for start in chain.from_iterable(groups):
            if start not in seen:
                seen.add(start)
                yield start


def read(data: str | bytes, *, timezone: str | None, default_timezone: str, now: datetime) -> Imported:
    """Read a file for a calendar of this zone (None: days and hours are each schedule's). Raises Invalid at ``ics``.

    Times that belong to no zone are those of the calendar's zone or, where it has none, of ``default_timezone``.
    """
    components = _components(data)
    found = Imported(name=_name(components))
    events, problems = _events(components, found)
    if problems:
        raise Invalid({"ics": problems[:MOST_PROBLEMS]})
    if not events:
        raise Invalid({"ics": "There is no event in this file that could be taken over."})
    writer = _Writer(found, timezone, ZoneInfo(timezone or default_timezone), now)
    deadline = time.monotonic() + PATIENCE_S
    for event in events:
        writer.take(event)
        if time.monotonic() > deadline:
            raise Invalid({"ics": "This file takes too long to write out. Import fewer repeating events."})
    writer.finish()
    return found


def name_in(data: str | bytes) -> str:
    """What a file calls itself; empty when it does not. Raises Invalid at ``ics``."""
    return _name(_components(data))


class _Writer:
    """Puts one event after the other into the settings of a calendar."""

    def __init__(self, found: Imported, timezone: str | None, place: ZoneInfo, now: datetime) -> None:
        self.found, self.timezone, self.place, self.now = found, timezone, place, now
        self.endless = self.past = self.floating = 0

    def take(self, event: Event) -> None:
        if event.is_plain_rule and event.start <= self._local(self.now, event) and self._as_setting(event):
            return
        until = self._local(self.now + AHEAD, event)
        taken = 0
        for start in event.starts(until):
            taken += self._take_once(event, start)
            if max(len(self.found.days), len(self.found.windows)) > MOST_ENTRIES:
                raise Invalid({"ics": f"This makes more than {MOST_ENTRIES} days or times. Import fewer events."})
        self.past += not taken
        self.endless += any(rule.is_endless for rule in event.rules)
        self.floating += not event.is_days and event.zone is None and bool(taken)

    def finish(self) -> None:
        found, until = self.found, spoken_date((self.now + AHEAD).date())
        found.labels = {entry: text for entry, text in found.labels.items() if text != found.name}
        if self.endless:
            found.notes.append(
                f"Repetitions without end are written out up to {until}: {plural(self.endless, 'event')}."
            )
        if self.floating:
            found.notes.append(f"Times without a zone are read in {self.place.key}: {plural(self.floating, 'event')}.")
        if self.past:
            found.notes.append(f"Left out because they are over: {plural(self.past, 'event')}.")

    def _take_once(self, event: Event, start: datetime) -> bool:
        """Take one occurrence, unless it is long over."""
        if event.is_days:
            days = [day for n in range(event.length.days) if (day := start.date() + timedelta(days=n)).year in YEARS]
            if not days or days[-1] < self._local(self.now - BEHIND, event).date():
                return False
            for day in days:
                self.found.days[day.isoformat()] = None
                self.found.label(day.isoformat(), event.title)
            return True
        zone = event.zone or self.place
        begin, end = (_instant(local, zone) for local in (start, start + event.length))
        if end < self.now - BEHIND or begin.year not in YEARS or end.year not in YEARS:
            return False
        if end <= begin:  # the clock skips all of it
            return True
        self.found.windows.append({"start": begin.isoformat(), "end": end.isoformat()})
        self.found.label(begin.isoformat(), event.title)
        return True

    def _as_setting(self, event: Event) -> bool:
        """Say an endless rule as a setting that never runs out; False when there is none for it."""
        rule, found = event.rules[0], self.found
        if event.is_days and (dates := rule.yearly_days(event.start, event.length.days)):
            for entry in dates:
                found.yearly[entry] = None
                found.label(entry, event.title)
            return True
        weekdays = rule.weekdays(event.start)
        if not weekdays:
            return False
        if event.is_days and event.length.days <= 7:
            found.weekdays |= {WEEKDAYS[(n + more) % 7]: None for n in weekdays for more in range(event.length.days)}
            return True
        return not event.is_days and self._as_hours(event, weekdays)

    def _as_hours(self, event: Event, weekdays: list[int]) -> bool:
        end = event.start + event.length
        same_zone = event.zone is None or getattr(event.zone, "key", None) == self.timezone
        whole_minutes = not (event.start.second or event.start.microsecond or end.second or end.microsecond)
        if not same_zone or not whole_minutes or event.length > _DAY or event.start.time() == end.time():
            return False
        closing = "24:00" if f"{end:%H:%M}" == "00:00" else f"{end:%H:%M}"
        entry: dict[str, Any] = {"from": f"{event.start:%H:%M}", "to": closing}
        if len(weekdays) < 7:
            entry["weekdays"] = [WEEKDAYS[n] for n in weekdays]
        if entry not in self.found.hours:
            self.found.hours.append(entry)
        return True

    def _local(self, moment: datetime, event: Event) -> datetime:
        return moment.astimezone(event.zone or self.place).replace(tzinfo=None)


def _components(data: str | bytes) -> list[icalendar.Component]:
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise Invalid({"ics": "This file is not UTF-8 text."}) from None
    if "BEGIN:VCALENDAR" not in text.upper():
        raise Invalid({"ics": "This is not an iCalendar file: it has no BEGIN:VCALENDAR."})
    try:
        return list(icalendar.Calendar.from_ical(text, multiple=True))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Invalid({"ics": f"This iCalendar file cannot be read: {str(error)[:200]}"}) from None


def _name(components: list[icalendar.Component]) -> str:
    return next((str(each["X-WR-CALNAME"]).strip() for each in components if "X-WR-CALNAME" in each), "")


def _events(components: list[icalendar.Component], found: Imported) -> tuple[list[Event], list[str]]:
    """The events, single changed occurrences taken out of what they change; and what is wrong with the others."""
    raw: list[Any] = [event for component in components for event in component.walk("VEVENT")]
    changed: dict[str, set[object]] = {}
    events: list[Event] = []
    problems: list[str] = []
    cancelled = empty = 0
    for each in raw:
        if "RECURRENCE-ID" in each and not _broken(each):
            changed.setdefault(str(each.get("UID", "")), set()).add(each["RECURRENCE-ID"].dt)
    for each in raw:
        title = " ".join(str(each.get("SUMMARY", "")).split())[:200]
        try:
            if str(each.get("STATUS", "")).upper() == "CANCELLED":
                cancelled += 1
                continue
            event = _event(each, title, changed)
            empty += event is None
            events += [event] if event is not None else []
        except ValueError as error:
            problems.append(f"“{title or each.get('UID', 'an event')}”: {error}")
    found.notes += [f"Left out because they are cancelled: {plural(cancelled, 'event')}."] if cancelled else []
    found.notes += [f"Left out because they have no length: {plural(empty, 'event')}."] if empty else []
    return events, problems


def _broken(event: Any) -> str:
    """A property that cannot be read, or stands there twice where there can be one only."""
    twice = (name for name in _ONCE if isinstance(event.get(name), list))
    return next(chain((name for name, _ in event.errors if name in _READ), twice), "")


def _event(raw: Any, title: str, changed: dict[str, set[object]]) -> Event | None:
    """One event; None when it has no length. Raises ValueError with a sentence for people."""
    if _broken(raw):
        raise ValueError(f"its {_broken(raw)} cannot be read.")
    if "DTSTART" not in raw:
        raise ValueError("it has no DTSTART.")
    first = raw["DTSTART"].dt
    is_days = not isinstance(first, datetime)
    zone = None if is_days else first.tzinfo
    if not is_days and zone is None and raw["DTSTART"].params.get("TZID"):
        raise ValueError(f"its time zone “{raw['DTSTART'].params['TZID']}” is not known here.")
    start = _wall(first, zone)
    length = _length(raw, start, zone, is_days)
    if length.days > MOST_ENTRIES:
        raise ValueError(f"it is longer than {MOST_ENTRIES} days.")
    if length <= timedelta(0):
        return None
    is_change = "RECURRENCE-ID" in raw
    if is_change and str(raw["RECURRENCE-ID"].params.get("RANGE", "")).upper() == "THISANDFUTURE":
        raise ValueError("it changes all that follow (RANGE=THISANDFUTURE), which cannot be taken over.")
    removed = {_wall(each, zone) for each in _moments(raw.get("EXDATE"))}
    if not is_change:
        removed |= {_wall(each, zone) for each in changed.get(str(raw.get("UID", "")), ())}
    rules = raw.get("RRULE", [])
    return Event(
        title=title,
        start=start,
        length=length,
        is_days=is_days,
        zone=zone,
        rules=tuple(recurrences.rule(each, zone) for each in (rules if isinstance(rules, list) else [rules])),
        added=frozenset(_wall(each, zone) for each in _moments(raw.get("RDATE"))),
        removed=frozenset(removed),
    )


def _length(raw: Any, start: datetime, zone: tzinfo | None, is_days: bool) -> timedelta:
    """How long each occurrence is by the local clock."""
    length = _DAY if is_days else timedelta(0)
    if "DTEND" in raw:
        length = _wall(raw["DTEND"].dt, zone) - start
    elif "DURATION" in raw:
        length = raw["DURATION"].dt
        if not isinstance(length, timedelta):
            raise ValueError("its DURATION cannot be read.")
    return timedelta(days=length.days) if is_days else length


def _moments(value: Any) -> Iterator[object]:
    """The moments of RDATE or EXDATE, which may come several times; of a period its start."""
    for each in value if isinstance(value, list) else [] if value is None else [value]:
        for entry in each.dts:
            yield entry.dt[0] if isinstance(entry.dt, tuple) else entry.dt


def _wall(value: object, zone: tzinfo | None) -> datetime:
    """A moment as the clock in the event's zone shows it; a day as its midnight."""
    if not isinstance(value, date):
        raise ValueError("one of its times cannot be read.")
    if not 1900 <= value.year <= recurrences.FAR_YEAR:
        raise ValueError(f"it speaks of the year {value.year}.")
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - local on purpose
    if value.tzinfo is not None and zone is not None:
        value = value.astimezone(zone)
    return value.replace(tzinfo=None)


def _instant(local: datetime, zone: tzinfo) -> datetime:
    """A local time as an instant; one that a clock change skips counts as just after it (RFC 5545, 3.3.5)."""
    return local.replace(tzinfo=zone).astimezone(UTC)
