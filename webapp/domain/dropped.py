"""What exceptions and calendars take from a combined schedule, told as one line for each gap that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from webapp.domain.combined import CombinedTrigger
from webapp.domain.moments import clock
from webapp.domain.phrases import join, plural
from webapp.domain.recurrence import Schedule
from webapp.domain.together import CombinedGrid
from webapp.domain.zones import DAY_S, seconds

EXCEPTION = "an exception"


@dataclass(frozen=True)
class Dropped:
    """``count`` times from ``first`` to ``last`` (local, before delays) that are left out, and because of what:
    names of calendars; EXCEPTION for what ``except`` takes.
    """

    first: datetime
    last: datetime
    count: int
    because: tuple[str, ...]

    def text(self) -> str:
        """``2026-12-25 09:00``, or ``2026-12-25 00:00 to 23:45 (96 times)``."""
        said = f"{self.first:%Y-%m-%d} {clock(self.first)}"
        if self.count == 1:
            return said
        last = clock(self.last) if self.last.date() == self.first.date() else f"{self.last:%Y-%m-%d} {clock(self.last)}"
        return f"{said} to {last} ({plural(self.count, 'time')})"

    def words(self) -> str:
        """``left out: “Public holidays”``."""
        return f"left out: {join([name if name == EXCEPTION else f'“{name}”' for name in self.because])}"


def between(schedule: Schedule, after: datetime, due: Sequence[datetime]) -> list[Dropped]:
    """What is left out after this moment and between the due times that follow it, oldest first."""
    if not isinstance(schedule, CombinedTrigger) or not (schedule.excepts or schedule.calendars):
        return []
    edges = [seconds(after), *(seconds(moment) for moment in due)]
    found = (_in_gap(schedule, low + 1, high - 1) for low, high in pairwise(edges))
    return [each for each in found if each is not None]


def _in_gap(schedule: CombinedTrigger, low: int, high: int) -> Dropped | None:
    assert isinstance(schedule.grid, CombinedGrid)
    first = last = None
    count = 0
    because: dict[str, None] = {}
    for begin, lost in schedule.grid.dropped(low, high):
        first = begin + (lost & -lost).bit_length() - 1 if first is None else first
        last = begin + lost.bit_length() - 1
        count += lost.bit_count()
        because.update(dict.fromkeys(_causes(schedule, begin, lost)))
    if first is None or last is None:
        return None
    return Dropped(schedule.zone.local(first), schedule.zone.local(last), count, tuple(because))


def _causes(schedule: CombinedTrigger, begin: int, lost: int) -> Iterator[str]:
    """What takes these times of the UTC day that begins here."""
    rest = lost
    for calendar in schedule.calendars:
        closed = calendar.bits(schedule.zone, begin, DAY_S)
        if closed & lost:
            yield calendar.name
        rest &= ~closed
    if rest:
        yield EXCEPTION
