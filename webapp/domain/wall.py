"""Where the wall clock meets real time: a cron pattern in a zone, with the policy for clock changes.

The policy: a local time that does not exist is skipped, or runs at the end of the gap when the job says so; a local
time that repeats counts in its first pass only. A pattern that *follows the clock* (its hour field begins with ``*``)
is true of whatever the local clock shows: it takes both passes, and a gap is simply not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webapp.domain.civil import Days
from webapp.domain.daytimes import DayTimes
from webapp.domain.zones import DAY_S, FIRST_S, LAST_S, MAX_OFFSET_S, Piece, Zone

_NEAR_S = 2 * MAX_OFFSET_S
"""A search leaps over the time in which the wall clock shows nothing that is due, but never from so near a change:
set back, the clock shows again what the search has just left behind.
"""


_MOST_SKIPPED = 41
"""The calendar repeats within 40 years: a schedule whose times clock changes skipped that often has none."""


def wall_bits(of_day: Callable[[int], int], first: int, end: int) -> int:
    """Bits for the wall seconds ``first <= wall < end``, cut from the bits of whole days (counted from 1970)."""
    found = 0
    for day in range(first // DAY_S, (end - 1) // DAY_S + 1):
        begin = day * DAY_S
        low, high = max(first, begin), min(end, begin + DAY_S)
        found |= (of_day(day) >> (low - begin) & (1 << (high - low)) - 1) << (low - first)
    return found


@dataclass(frozen=True)
class Pattern:
    """Wall seconds that a schedule names, as if the clock never changed."""

    days: Days
    times: DayTimes

    def next(self, wall: int) -> int | None:
        """The first one at or after this wall second."""
        day, second = divmod(wall, DAY_S)
        found = self.days.next(day)
        if found == day:
            at = self.times.next(second)
            if at is not None:
                return day * DAY_S + at
            found = self.days.next(day + 1)
        return None if found is None else found * DAY_S + self.times.first

    def last(self, wall: int) -> int | None:
        """The last one at or before this wall second."""
        day, second = divmod(wall, DAY_S)
        found = self.days.last(day)
        if found == day:
            at = self.times.last(second)
            if at is not None:
                return day * DAY_S + at
            found = self.days.last(day - 1)
        return None if found is None else found * DAY_S + self.times.final

    def count(self, first: int, end: int) -> int:
        """How many lie in ``first <= wall < end``."""
        if first >= end:
            return 0
        first_day, first_second = divmod(first, DAY_S)
        end_day, end_second = divmod(end, DAY_S)
        total = self.days.count(first_day, end_day) * self.times.total
        if self.days.matches(first_day):
            total -= self.times.below(first_second)
        if end_second and self.days.matches(end_day):
            total += self.times.below(end_second)
        return total

    def bits(self, first: int, end: int) -> int:
        """Those in ``first <= wall < end`` as bits, bit 0 for ``first``."""
        return wall_bits(lambda day: self.times.mask if self.days.matches(day) else 0, first, end)

    def matches(self, wall: int) -> bool:
        return self.next(wall) == wall

    def shortest(self) -> int | None:
        """The smallest distance in seconds between two of them; None when there are not two."""
        days = self.days.shortest
        inside = self.times.shortest
        if days is None:
            return inside
        across = days * DAY_S - (self.times.final - self.times.first)
        return across if inside is None else min(across, inside)


@dataclass(frozen=True)
class WallGrid:
    """The instants (epoch seconds) of a pattern in a zone."""

    pattern: Pattern
    zone: Zone
    follows_clock: bool
    gap_runs_at_end: bool = False

    def next(self, after: int) -> int | None:
        """The first instant strictly after this one."""
        instant, skipped = max(after + 1, FIRST_S), 0
        while instant <= LAST_S and skipped <= _MOST_SKIPPED:
            piece = self.zone.piece(instant)
            if instant == piece.start and self._gap_run(piece):
                return instant
            wall = self.pattern.next(max(instant + piece.offset, self._begin(piece)))
            if wall is None:
                return None
            if wall < piece.end + piece.offset:
                return wall - piece.offset
            skipped += self._in_gap_after(piece, wall)
            leap = wall - MAX_OFFSET_S if piece.end - instant > _NEAR_S else 0
            instant = max(piece.end, leap)
        return None

    def last(self, at: int) -> int | None:
        """The last instant at or before this one."""
        instant = min(at, LAST_S)
        while instant >= FIRST_S:
            piece = self.zone.piece(instant)
            wall = self.pattern.last(instant + piece.offset)
            if wall is None:
                return None
            if wall >= self._begin(piece):
                return wall - piece.offset
            if self._gap_run(piece):
                return piece.start
            leap = wall + MAX_OFFSET_S if instant - piece.start > _NEAR_S else instant
            instant = min(piece.start - 1, leap)
        return None

    def count(self, after: int, until: int) -> int:
        """How many instants lie in ``after < t <= until``."""
        instant, end = max(after + 1, FIRST_S), min(until, LAST_S) + 1
        total = 0
        while instant < end:
            piece = self.zone.piece(instant)
            stop = min(piece.end, end)
            first = max(instant + piece.offset, self._begin(piece))
            total += self.pattern.count(first, stop + piece.offset)
            if instant == piece.start and self._gap_run(piece) and not self.pattern.matches(instant + piece.offset):
                total += 1
            instant = stop
        return total

    def bits(self, first: int, length: int) -> int:
        """The instants ``first <= t < first + length`` as bits, bit 0 for ``first``."""
        found, instant, end = 0, first, first + length
        while instant < end:
            piece = self.zone.piece(instant)
            stop = min(piece.end, end)
            wall = max(instant + piece.offset, self._begin(piece))
            if wall < stop + piece.offset:
                found |= self.pattern.bits(wall, stop + piece.offset) << (wall - piece.offset - first)
            if instant == piece.start and self._gap_run(piece):
                found |= 1 << (instant - first)
            instant = stop
        return found

    @property
    def shortest(self) -> int | None:
        """The smallest distance between two wall times; a clock change can bring two instants closer."""
        return self.pattern.shortest()

    def _begin(self, piece: Piece) -> int:
        """The first wall second of this piece that counts: later than its start where the clock was set back."""
        if self.follows_clock:
            return piece.start + piece.offset
        return piece.start + max(piece.offset, piece.before)

    def _in_gap_after(self, piece: Piece, wall: int) -> bool:
        """Whether this wall second, not before the piece's end, is one that the change at its end skips."""
        if wall >= piece.end + piece.offset + MAX_OFFSET_S:
            return False
        following = self.zone.piece(piece.end)
        return wall < following.start + following.offset

    def _gap_run(self, piece: Piece) -> bool:
        """True when this piece begins with a run for the local times that its beginning skipped."""
        if self.follows_clock or not self.gap_runs_at_end or piece.offset <= piece.before:
            return False
        skipped = self.pattern.next(piece.start + piece.before)
        return skipped is not None and skipped < piece.start + piece.offset
