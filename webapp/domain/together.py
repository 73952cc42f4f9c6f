"""When several schedules are due together, worked out by UTC day.

Each part gives the day's due seconds as one integer of bits, so that *and*, *or* and *except* are single operations
and a year of seconds is soon counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from webapp.domain.calendars import Calendar
from webapp.domain.cron import CronTrigger
from webapp.domain.recurrence import Grid, Schedule
from webapp.domain.wall import Pattern, WallGrid
from webapp.domain.zones import DAY_S, FIRST_S, LAST_S, Zone

MOST_WORK = 1500
MOST_DAYS, FEWEST_DAYS = 500, 75
"""The bound of a search. So many days on which something could be due are looked at (fewer when each day has more
parts to ask), then it counts as never: a combination that cannot be is refused within a few hundredths of a second.
"""


class CombinedGrid:
    """The due seconds of several schedules together. ``together``: all of them at once; else any of them."""

    def __init__(
        self,
        parts: Sequence[Schedule],
        together: bool,
        excepts: Sequence[Schedule],
        closed: Sequence[Calendar],
        zone: Zone,
    ) -> None:
        self.parts, self.together, self.zone, self.calendars = tuple(parts), together, zone, tuple(closed)
        self.covers = [(_cover(schedule), schedule) for schedule in excepts]
        self.day = lru_cache(maxsize=3)(self._read_day)
        work = MOST_WORK // max(len(parts) + len(excepts) + len(closed), 1)
        self.most_days = min(max(work, FEWEST_DAYS), MOST_DAYS)

    def next(self, after: int) -> int | None:
        instant = max(after + 1, FIRST_S)
        for _ in range(self.most_days):
            instant = self._first_open(instant)
            at = self._candidate(instant)
            if at is None or at > LAST_S:
                return None
            begin = at - at % DAY_S
            due = self.day(begin) >> (at - begin)
            if due:
                return at + (due & -due).bit_length() - 1
            instant = begin + DAY_S
        return None

    def last(self, at: int) -> int | None:
        instant = min(at, LAST_S)
        for _ in range(self.most_days):
            instant = self._last_open(instant)
            found = self._candidate_before(instant)
            if found is None or found < FIRST_S:
                return None
            begin = found - found % DAY_S
            due = self.day(begin) & ((2 << (found - begin)) - 1)
            if due:
                return begin + due.bit_length() - 1
            instant = begin - 1
        return None

    def count(self, after: int, until: int) -> int:
        instant, total = max(after + 1, FIRST_S), 0
        while instant <= until:
            at = self._candidate(self._first_open(instant))
            if at is None or at > until:
                break
            begin = at - at % DAY_S
            due = self.day(begin) >> (at - begin)
            if until < begin + DAY_S:
                due &= (2 << (until - at)) - 1
            total += due.bit_count()
            instant = begin + DAY_S
        return total

    def bits(self, first: int, length: int) -> int:
        found = 0
        for begin in range(first - first % DAY_S, first + length, DAY_S):
            due = self.day(begin)
            found |= due << (begin - first) if begin >= first else due >> (first - begin)
        return found & (1 << length) - 1

    @property
    def shortest(self) -> int | None:
        known = [part.grid.shortest for part in self.parts]
        distances = [distance for distance in known if distance is not None]
        return min(distances, default=None)

    def dropped(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """What the exceptions take from ``low <= t <= high``: each UTC day that loses something, and what, as bits."""
        instant = low
        while (at := self._candidate(instant)) is not None and at <= high:
            begin = at - at % DAY_S
            lost = self._together(begin) & ~self.day(begin)
            lost = lost >> max(low - begin, 0) << max(low - begin, 0)
            lost &= (2 << min(high - begin, DAY_S - 1)) - 1
            if lost:
                yield begin, lost
            instant = begin + DAY_S

    def _read_day(self, begin: int) -> int:
        due = self._together(begin)
        for cover, schedule in self.covers:
            if due:
                due &= ~schedule.within_bounds(cover.bits(begin, DAY_S), begin)
        for calendar in self.calendars:
            if due:
                due &= ~calendar.bits(self.zone, begin, DAY_S)
        return due

    def _together(self, begin: int) -> int:
        due = 0
        for number, part in enumerate(self.parts):
            day = part.within_bounds(part.grid.bits(begin, DAY_S), begin)
            due = due & day if self.together and number else due | day
            if self.together and not due:
                break
        return due

    def _candidate(self, instant: int) -> int | None:
        """A time at or after ``instant`` before which nothing is due."""
        found = [part.next_grid(instant - 1) for part in self.parts]
        times = [at for at in found if at is not None]
        if not times or (self.together and len(times) < len(found)):
            return None
        return max(times) if self.together else min(times)

    def _candidate_before(self, instant: int) -> int | None:
        found = [part.last_grid(instant) for part in self.parts]
        times = [at for at in found if at is not None]
        if not times or (self.together and len(times) < len(found)):
            return None
        return min(times) if self.together else max(times)

    def _first_open(self, instant: int) -> int:
        return max([instant, *(calendar.skip(self.zone, instant) for calendar in self.calendars)])

    def _last_open(self, instant: int) -> int:
        return min([instant, *(calendar.skip_back(self.zone, instant) for calendar in self.calendars)])


def _cover(schedule: Schedule) -> Grid:
    """What a schedule takes away as an exception: a cron that names no seconds takes the whole minute."""
    grid = schedule.grid
    if isinstance(schedule, CronTrigger) and isinstance(grid, WallGrid) and not schedule.names_seconds:
        times = replace(grid.pattern.times, seconds=tuple(range(60)))
        return replace(grid, pattern=Pattern(grid.pattern.days, times))
    return grid
