"""What every schedule is: a grid of whole seconds, its bounds, and the delay that spreads its due times.

The grid is exact and never drifts. With ``jitter`` each due time is its grid time plus 0..jitter seconds, taken
from a hash of the job's id and that grid time: it looks random, yet the due times of any past window can be
computed again. With ``spread`` the delay is one constant per job.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Protocol, Self

from apscheduler.triggers.base import BaseTrigger

from webapp.domain.reading import Reader
from webapp.domain.zones import FIRST_S, LAST_S, Zone, seconds


class Grid(Protocol):
    """Due times before bounds and delay, as epoch seconds."""

    def next(self, after: int) -> int | None:
        """The first one strictly after this instant."""

    def last(self, at: int) -> int | None:
        """The last one at or before this instant."""

    def count(self, after: int, until: int) -> int:
        """How many lie in ``after < t <= until``, without making a list."""

    def bits(self, first: int, length: int) -> int:
        """Those in ``first <= t < first + length`` as bits, bit 0 for ``first``."""

    @property
    def shortest(self) -> int | None:
        """The smallest distance in seconds between two of them; None when there are not two."""


@dataclass(frozen=True)
class Span:
    """The due times of a window in short: how many, the first and the last (None when there is none)."""

    count: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class Limits:
    """Bounds of the grid (inclusive epoch seconds) and what delays its times (seconds)."""

    start: int | None = None
    end: int | None = None
    jitter: int = 0
    spread: int = 0


class Schedule(BaseTrigger):  # type: ignore[misc]
    """A trigger for APScheduler whose every question is answered from one grid.

    All moments given must be aware; those returned are aware and in the schedule's zone. Compare them as UTC: in a
    repeated hour Python compares two times of the same zone by what the clock shows.
    """

    kind: str
    timezone: str
    start_date: datetime | None
    end_date: datetime | None
    jitter: int
    spread: int
    job_id: str
    zone: Zone
    grid: Grid
    limits: Limits

    def _settle(self, zone: Zone, grid: Grid, limits: Limits, job_id: str) -> None:
        """Take the validated parts; every constructor ends here."""
        self.zone, self.grid, self.limits, self.job_id = zone, grid, limits, job_id
        self.timezone = zone.name
        self.start_date = None if limits.start is None else zone.local(limits.start)
        self.end_date = None if limits.end is None else zone.local(limits.end)
        self.jitter, self.spread = limits.jitter, limits.spread
        self._low = FIRST_S if limits.start is None else limits.start
        self._high = LAST_S if limits.end is None else min(limits.end, LAST_S)
        self._delays = bool(limits.jitter or limits.spread)

    @abstractmethod
    def spec(self) -> dict[str, object]:
        """The normal JSON form; ``load`` makes an equal schedule of it."""

    @abstractmethod
    def words(self) -> str:
        """What it does, in plain English."""

    @abstractmethod
    def _read(self, reader: Reader, job_id: str) -> None:
        """Take everything from what was typed or stored. Raises Invalid."""

    @classmethod
    def read(cls, reader: Reader, job_id: str = "") -> Self:
        """Build from a spec: with the reader's ``now`` from something just typed, without from what was stored."""
        schedule = cls.__new__(cls)
        schedule._read(reader, job_id)
        return schedule

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due time strictly later than this moment."""
        due = self._next_due(seconds(moment))
        return None if due is None else self.zone.local(due)

    def last_until(self, moment: datetime) -> datetime | None:
        """The last due time at or before this moment."""
        due = self._last_due(seconds(moment))
        return None if due is None else self.zone.local(due)

    def span(self, after: datetime, until: datetime) -> Span:
        """Number, first and last of the due times ``after < t <= until``; costs the same for a minute and a year."""
        low, high = seconds(after), seconds(until)
        count = self._count(low, high)
        if count <= 0:
            return Span(0, None, None)
        first, last = self._next_due(low), self._last_due(high)
        if first is None or last is None:  # beyond the bound of a combination's search, but counted
            first, last = self._reaching(1, low, high), self._reaching(count, low, high)
        return Span(count, self.zone.local(first), self.zone.local(last))

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The due times ``after < t <= until``, oldest first, at most ``limit`` of them."""
        found: list[datetime] = []
        at, high = seconds(after), seconds(until)
        while len(found) < limit:
            due = self._next_due(at)
            if due is None or due > high:
                break
            found.append(self.zone.local(due))
            at = due
        return found

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """APScheduler's question. After a run: the next due time, wherever the clock is. At first: not before now."""
        if previous_fire_time is not None:
            return self.next_after(previous_fire_time)
        due = self._next_due(seconds(now) - (0 if now.microsecond else 1))
        return None if due is None else self.zone.local(due)

    def grid_time(self, due: datetime) -> datetime | None:
        """The undelayed time behind a due time, for "planned 02:00, due 02:00:17"."""
        at = self.last_grid(seconds(due))
        return None if at is None else self.zone.local(at)

    def next_grid(self, after: int) -> int | None:
        """The first grid time strictly after this epoch second, within bounds."""
        at = self.grid.next(max(after, self._low - 1))
        return None if at is None or at > self._high else at

    def last_grid(self, at: int) -> int | None:
        """The last grid time at or before this epoch second, within bounds."""
        found = self.grid.last(min(at, self._high))
        return None if found is None or found < self._low else found

    def clip(self, low: int, high: int) -> tuple[int, int]:
        """A window of epoch seconds cut to the schedule's own bounds."""
        return max(low, self._low), min(high, self._high + 1)

    def within_bounds(self, bits: int, first: int) -> int:
        """These bits (bit 0 for epoch second ``first``) without those before the start or after the end."""
        if self._low > first:
            bits = bits >> (self._low - first) << (self._low - first)
        return bits & (1 << max(self._high + 1 - first, 0)) - 1 if self.limits.end is not None else bits

    def _must_fire(self, reader: Reader, setting: str) -> None:
        """Refuse what was just typed and has no due time left."""
        if reader.judged and reader.now is not None and self.next_grid(seconds(reader.now)) is None:
            reader.refuse(setting, "This never fires again.")
            reader.finish()

    def _next_due(self, after: int) -> int | None:
        if self._delays:
            pending = self.last_grid(after)
            if pending is not None:
                due = self._due(pending)
                if due > after:
                    return due
        at = self.next_grid(after)
        return self._due(at) if at is not None and self._delays else at

    def _last_due(self, at: int) -> int | None:
        found = self.last_grid(at)
        if found is None or not self._delays:
            return found
        due = self._due(found)
        if due > at:
            found = self.last_grid(found - 1)
            return None if found is None else self._due(found)
        return due

    def _count(self, after: int, until: int) -> int:
        low, high = max(after, self._low - 1), min(until, self._high)
        count = self.grid.count(low, high) if low < high else 0
        if self._delays and after < until:
            count += self._pending(after) - self._pending(until)
        return count

    def _reaching(self, count: int, low: int, high: int) -> int:
        """The due time that is number ``count`` after ``low``, found by counting."""
        before, at = low, high
        while at - before > 1:
            middle = (before + at) // 2
            if self._count(low, middle) >= count:
                at = middle
            else:
                before = middle
        return at

    def _pending(self, at: int) -> int:
        """1 when a grid time has passed whose due time is still to come. Delays end before the next grid time."""
        found = self.last_grid(at)
        return int(found is not None and self._due(found) > at)

    def _due(self, at: int) -> int:
        """A grid time with its delay, which never reaches the next grid time or passes the end."""
        room = self.spread or self.jitter
        following = self.next_grid(at)
        room_left = self._high - at if following is None else following - at - 1
        key = self.job_id if self.spread else f"{self.job_id}\n{at}"
        number = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
        if self.spread:
            return at + min(number % (room + 1), room_left)
        return at + number % (min(room, room_left) + 1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self.spec() == other.spec() and self.job_id == other.job_id

    def __hash__(self) -> int:
        return hash((self.kind, self.timezone, self.job_id, str(self)))

    def __getstate__(self) -> dict[str, object]:
        """JSON, so that nothing in a store depends on the shape of this class."""
        return {"version": 1, "spec": self.spec(), "job_id": self.job_id}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        spec = state.get("spec")
        if state.get("version") != 1 or not isinstance(spec, Mapping):
            raise ValueError(f"not the state of a {self.kind} schedule")
        self._read(Reader(spec), str(state.get("job_id", "")))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self} {self.timezone}>"
