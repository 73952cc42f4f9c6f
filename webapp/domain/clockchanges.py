"""What the clock changes of a zone do to a schedule: which local times are skipped, moved, or come twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from webapp.domain.combined import CombinedTrigger
from webapp.domain.interval import IntervalGrid
from webapp.domain.moments import clock, spoken_date
from webapp.domain.phrases import duration, plural
from webapp.domain.recurrence import Schedule
from webapp.domain.wall import WallGrid
from webapp.domain.zones import DAY_S, LAST_S, Piece, seconds, wall_datetime

HORIZON_S = 3 * 366 * DAY_S
"""How far ahead a clock change is looked for."""


class Effect(StrEnum):
    SKIPPED = "skipped"
    MOVED = "moved"
    ABSENT = "absent"
    FIRST_ONLY = "first only"
    BOTH = "both"
    SHIFTED = "shifted"


@dataclass(frozen=True)
class ClockChange:
    """One clock change and what it does. ``old`` and ``new`` are the naive local times just before and just after.

    ``count`` of the schedule's local times, from ``first`` to ``last`` (naive), are concerned; an interval, which has
    no local times of its own, has none.
    """

    at: datetime
    old: datetime
    new: datetime
    effect: Effect
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def words(self) -> str:
        return f"On {spoken_date(self.old)} {self.jump()}: {self._what()}."

    def jump(self) -> str:
        """``the clock goes from 02:00 to 03:00``, with the dates where they differ."""
        if self.old.date() == self.new.date():
            return f"the clock goes from {clock(self.old)} to {clock(self.new)}"
        old, new = (f"{clock(moment)} on {spoken_date(moment)}" for moment in (self.old, self.new))
        return f"the clock goes from {old} to {new}"

    def times(self) -> str:
        """``02:30``, or ``02:00 to 02:55 (12 times)``."""
        assert self.first is not None
        assert self.last is not None
        if self.count == 1:
            return clock(self.first)
        return f"{clock(self.first)} to {clock(self.last)} ({plural(self.count, 'time')})"

    def _what(self) -> str:
        one = self.count == 1
        match self.effect:
            case Effect.SKIPPED:
                return f"{self.times()} {'does not exist and is' if one else 'do not exist and are'} skipped"
            case Effect.MOVED:
                there = "does not exist and runs" if one else "do not exist and run once,"
                return f"{self.times()} {there} at {clock(self.new)} instead"
            case Effect.ABSENT:
                return f"{self.times()} {'is' if one else 'are'} not there, and the schedule goes on with the clock"
            case Effect.FIRST_ONLY:
                return f"{self.times()} {'comes twice and runs' if one else 'come twice and run'} the first time only"
            case Effect.BOTH:
                return f"{self.times()} {'comes twice and runs' if one else 'come twice and run'} both times"
            case Effect.SHIFTED:
                later = self.new > self.old
                moved = duration(abs(int((self.new - self.old).total_seconds())))
                return f"its runs then come {moved} {'later' if later else 'earlier'} by the clock"


def upcoming(schedule: Schedule, after: datetime, until: datetime | None = None) -> Iterator[ClockChange]:
    """The clock changes with an effect on this schedule, ``after < at <= until``, in order; at most three years."""
    low = seconds(after) + 1
    high = min(low + HORIZON_S if until is None else seconds(until) + 1, LAST_S)
    if isinstance(schedule, CombinedTrigger):
        found = [change for part in schedule.parts for change in upcoming(part, after, until)]
        yield from sorted(set(found), key=lambda change: change.at)
        return
    low, high = schedule.clip(low, high)
    for piece in schedule.zone.changes(low, high):
        change = _effect(schedule, piece)
        if change is not None:
            yield change


def _effect(schedule: Schedule, piece: Piece) -> ClockChange | None:
    at = datetime.fromtimestamp(piece.start, UTC)
    old, new = wall_datetime(piece.start + piece.before), wall_datetime(piece.start + piece.offset)
    grid = schedule.grid
    if isinstance(grid, IntervalGrid):
        steady = DAY_S % grid.period == 0 if grid.period < DAY_S else grid.period % DAY_S == 0
        if steady and grid.period > abs(piece.offset - piece.before):
            return ClockChange(at, old, new, Effect.SHIFTED)
    if not isinstance(grid, WallGrid):
        return None
    low, high = sorted((piece.start + piece.before, piece.start + piece.offset))
    count = grid.pattern.count(low, high)
    first, last = grid.pattern.next(low), grid.pattern.last(high - 1)
    if not count or first is None or last is None:
        return None
    effect = _gap_effect(grid) if piece.offset > piece.before else _repeat_effect(grid)
    return ClockChange(at, old, new, effect, count, wall_datetime(first), wall_datetime(last))


def _gap_effect(grid: WallGrid) -> Effect:
    if grid.follows_clock and len(grid.pattern.times.hours) == 24:
        return Effect.ABSENT
    if grid.gap_runs_at_end and not grid.follows_clock:
        return Effect.MOVED
    return Effect.SKIPPED


def _repeat_effect(grid: WallGrid) -> Effect:
    return Effect.BOTH if grid.follows_clock else Effect.FIRST_ONLY
