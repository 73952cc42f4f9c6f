"""The times that a calendar excludes, one after the other: for its page, and to see when it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from webapp.domain.calendars import Calendar
from webapp.domain.civil import EPOCH_ORDINAL
from webapp.domain.zones import DAY_S, Zone, seconds, zone

HORIZON_DAYS = 3 * 366
"""How far ahead is looked."""


@dataclass(frozen=True)
class Closure:
    """An unbroken excluded time ``start <= t < end``, local; ``last_day`` is the last of which it excludes anything.

    ``is_days``: it is made of whole local days. ``cut``: it goes on beyond what was looked at.
    """

    start: datetime
    end: datetime
    last_day: date
    is_days: bool
    cut: bool = False


def upcoming(calendar: Calendar, timezone: str, after: datetime, count: int) -> list[Closure]:
    """The next closures that end after this moment, at most ``count``, within three years.

    ``timezone`` is where local days are read if the calendar has no zone of its own.
    """
    place = zone(calendar.timezone or timezone)
    begin = seconds(after)
    found: list[Closure] = []
    for first, end in _spans(calendar, place, begin, HORIZON_DAYS):
        if first == begin:
            first = _start_of(calendar, place, begin)
        found.append(_closure(place, first, end, end >= begin + HORIZON_DAYS * DAY_S))
        if len(found) >= count:
            break
    return found


def last_day(calendar: Calendar) -> date | None:
    """The last day on which it excludes anything; None when it never runs out, or holds nothing at all."""
    if calendar.yearly or calendar.weekdays or calendar.hours or not (calendar.days or calendar.windows):
        return None
    days = [date.fromordinal(max(calendar.days) + EPOCH_ORDINAL)] if calendar.days else []
    if calendar.windows:
        days.append(datetime.fromtimestamp(calendar.windows[-1][1] - 1, UTC).date())
    return max(days)


def _closure(place: Zone, first: int, end: int, cut: bool) -> Closure:
    """Days are told by their dates and not by 00:00, which some clock changes skip."""
    start, stop, last = (place.local(at) for at in (first, end, end - 1))
    is_days = place.local(first - 1).date() != start.date() and last.date() != stop.date()
    return Closure(start, stop, last.date(), is_days and not cut, cut)


def _spans(calendar: Calendar, place: Zone, begin: int, days: int) -> Iterator[tuple[int, int]]:
    """Runs of excluded epoch seconds ``first <= t < end``, joined across the pieces that are looked at one by one."""
    open_since: int | None = None
    for at in range(begin, begin + days * DAY_S, DAY_S):
        done = at
        for first, end in _runs(calendar.bits(place, at, DAY_S)):
            if open_since is not None and (first or done != at):
                yield open_since, done
                open_since = None
            open_since = at + first if open_since is None else open_since
            done = at + end
        if open_since is not None and done < at + DAY_S:
            yield open_since, done
            open_since = None
    if open_since is not None:
        yield open_since, begin + days * DAY_S


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """Runs of ones, ``first <= n < end``."""
    while bits:
        first = (bits & -bits).bit_length() - 1
        rest = bits >> first
        end = first + (~rest & (rest + 1)).bit_length() - 1
        yield first, end
        bits = bits >> end << end


def _start_of(calendar: Calendar, place: Zone, instant: int) -> int:
    """Where the closure that holds this instant began, at most some weeks back."""
    first = instant
    for end in range(instant, instant - 60 * DAY_S, -DAY_S):
        open_bits = ~calendar.bits(place, end - DAY_S, DAY_S) & ((1 << DAY_S) - 1)
        if open_bits:
            return end - DAY_S + open_bits.bit_length()
        first = end - DAY_S
    return first
