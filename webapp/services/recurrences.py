"""Recurrence rules (RRULE of RFC 5545): written out within bounds by dateutil, or recognised as something simpler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from dateutil import rrule

_CYCLE = 400
"""After so many years the Gregorian calendar repeats exactly, weekdays and week numbers included."""
FAR_YEAR = 2200
_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")


@dataclass(frozen=True)
class Rule:
    """One rule: its text without the end, its parts, its end as a local time (None: there is none)."""

    text: str
    parts: dict[str, list[Any]]
    until: datetime | None

    @property
    def is_endless(self) -> bool:
        return self.until is None and "COUNT" not in self.parts

    def starts(self, first: datetime, until: datetime) -> Iterator[datetime]:
        """Local starts from ``first`` up to ``until``. Raises ValueError for what the library cannot read.

        They are looked for as many whole cycles later as fit into what datetime can hold: where nothing ever matches
        (30 February), the library looks until the year 9999, which is then near.
        """
        if first > until:
            return
        shift = (9990 - until.year) // _CYCLE * _CYCLE
        end = until if self.until is None else min(until, self.until)
        text = f"{self.text};UNTIL={_shifted(end, shift):%Y%m%dT%H%M%S}" if "COUNT" not in self.parts else self.text
        for start in rrule.rrulestr(text, dtstart=_shifted(first, shift)):
            found = _shifted(start, -shift)
            if found > end:
                return
            yield found

    def weekdays(self, first: datetime) -> list[int]:
        """The weekdays (0 = Monday) of a rule that says no more than these, every week."""
        others = set(self.parts) - {"FREQ", "INTERVAL", "WKST"}
        if not self.is_endless or self._interval != 1:
            return []
        if self._frequency == "DAILY" and not others:
            return list(range(7))
        if self._frequency not in ("WEEKLY", "DAILY") or others - {"BYDAY"}:
            return []
        codes = [str(code) for code in self.parts.get("BYDAY", [])] or [_CODES[first.weekday()]]
        return sorted({_CODES.index(code) for code in codes}) if set(codes) <= set(_CODES) else []

    def yearly_days(self, first: datetime, length: int) -> list[str]:
        """The days (``12-25``) of a rule that says no more than these, every year."""
        parts = {name: [str(value) for value in values] for name, values in self.parts.items()}
        same = {"BYMONTH": [str(first.month)], "BYMONTHDAY": [str(first.day)]}
        others = {name for name in set(parts) - {"FREQ", "INTERVAL", "WKST"} if parts[name] != same.get(name)}
        if not self.is_endless or self._interval != 1 or self._frequency != "YEARLY" or others or length > 60:
            return []
        if "BYMONTHDAY" in parts and "BYMONTH" not in parts:
            return []  # that day of every month
        leap, other = (_month_days(year, first, length) for year in (2000, 2001))
        return leap if leap == other or (length == 1 and not other) else []

    @property
    def _frequency(self) -> str:
        return str(self.parts["FREQ"][0]).upper()

    @property
    def _interval(self) -> int:
        return int(self.parts.get("INTERVAL", [1])[0])


def rule(raw: Any, zone: tzinfo | None) -> Rule:
    """A rule as icalendar read it, its end made local to the event's zone. Raises ValueError, a sentence for people."""
    parts = {str(name).upper(): list(values) if isinstance(values, list) else [values] for name, values in raw.items()}
    frequency = str(parts.get("FREQ", [""])[0]).upper()
    if frequency not in _FREQUENCIES:
        raise ValueError(
            f"it repeats {frequency.lower() or 'somehow'}; only by day, week, month or year can be taken over."
        )
    if "RSCALE" in parts or "SKIP" in parts:
        raise ValueError("it repeats by another calendar than the Gregorian (RSCALE), which cannot be taken over.")
    if any(int(parts.get(name, [1])[0]) < 1 for name in ("INTERVAL", "COUNT")):
        raise ValueError("it repeats with an INTERVAL or COUNT below 1.")
    until = _end(parts.pop("UNTIL")[0], zone) if "UNTIL" in parts else None
    text = ";".join(part for part in raw.to_ical().decode().split(";") if not part.upper().startswith("UNTIL="))
    try:
        rrule.rrulestr(text, dtstart=datetime(2000, 1, 1))  # noqa: DTZ001 - local on purpose
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"its rule “{text[:100]}” cannot be read.") from None
    return Rule(text, parts, until)


def _end(value: object, zone: tzinfo | None) -> datetime | None:
    """UNTIL as the last local moment that counts; None for one so far off that it means for ever."""
    if not isinstance(value, date):
        raise ValueError("the UNTIL of its rule cannot be read.")
    if value.year > FAR_YEAR:
        return None
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, 23, 59, 59)  # noqa: DTZ001 - local on purpose
    if value.tzinfo is not None and zone is not None:
        value = value.astimezone(zone)
    return value.replace(tzinfo=None)


def _shifted(moment: datetime, years: int) -> datetime:
    return moment.replace(year=moment.year + years)


def _month_days(year: int, first: datetime, length: int) -> list[str]:
    """``length`` days from the month and day of ``first`` in this year; none when the year has no such day."""
    try:
        begin = date(year, first.month, first.day)
    except ValueError:
        return []
    return [f"{begin + timedelta(days=n):%m-%d}" for n in range(length)]
