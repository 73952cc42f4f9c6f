"""Every so many seconds of elapsed time, counted from a start; its local time moves when the clocks change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from apscheduler.triggers.interval import IntervalTrigger as ApsIntervalTrigger

from webapp.domain import words
from webapp.domain.reading import Reader
from webapp.domain.recurrence import Limits, Schedule
from webapp.domain.zones import DAY_S, seconds_up

UNITS = {"weeks": 7 * DAY_S, "days": DAY_S, "hours": 3600, "minutes": 60, "seconds": 1}
LONGEST_S = 3652 * DAY_S
"""Ten years."""

SETTINGS = (*UNITS, "start_date", "end_date", "jitter", "spread", "timezone")


@dataclass(frozen=True)
class IntervalGrid:
    """``start``, ``start + period``, ... in epoch seconds."""

    start: int
    period: int

    def next(self, after: int) -> int:
        if after < self.start:
            return self.start
        return after + self.period - (after - self.start) % self.period

    def last(self, at: int) -> int | None:
        return None if at < self.start else at - (at - self.start) % self.period

    def count(self, after: int, until: int) -> int:
        return max((until - self.start) // self.period + 1, 0) - max((after - self.start) // self.period + 1, 0)

    def bits(self, first: int, length: int) -> int:
        begin = self.next(first - 1) - first
        if begin >= length:
            return 0
        wanted = (length - begin - 1) // self.period + 1
        mask, made = 1, 1
        while made < wanted:
            mask |= mask << self.period * made
            made *= 2
        return (mask << begin) & (1 << length) - 1

    @property
    def shortest(self) -> int:
        return self.period


class IntervalTrigger(Schedule, ApsIntervalTrigger):  # type: ignore[misc]
    """APScheduler's IntervalTrigger with whole seconds, bounds that cannot hang a scheduler and jitter without drift.

    ``now`` is what a missing ``start_date`` is counted from; one of the two must be given.
    """

    kind = "interval"

    def __init__(
        self,
        weeks: int = 0,
        days: int = 0,
        hours: int = 0,
        minutes: int = 0,
        seconds: int = 0,
        start_date: datetime | str | None = None,
        end_date: datetime | str | None = None,
        timezone: str | tzinfo | None = None,
        jitter: int | None = None,
        *,
        spread: int | None = None,
        now: datetime | None = None,
        job_id: str = "",
    ) -> None:
        spec = {name: value for name, value in locals().items() if name in SETTINGS}
        self._read(Reader(spec, now), job_id)

    def _read(self, reader: Reader, job_id: str) -> None:
        reader.only(SETTINGS, self.kind)
        zone = reader.zone()
        self.units = {name: reader.integer(name, 0, LONGEST_S) for name in UNITS}
        period = sum(self.units[name] * length for name, length in UNITS.items())
        if not reader.errors:
            self._check_period(reader, period)
        start, end = reader.bounds(zone)
        jitter, spread = reader.delays(lambda: max(period, 1))
        if start is None and not reader.has("start_date"):
            if reader.now is None:
                reader.refuse("start_date", "Give the time from which the intervals are counted.")
            else:
                start = seconds_up(reader.now) + period
        reader.finish()
        assert start is not None
        self._settle(zone, IntervalGrid(start, period), Limits(start, end, jitter, spread), job_id)
        self.interval = timedelta(seconds=period)
        self.interval_length = period
        self._must_fire(reader, "end_date")

    def _check_period(self, reader: Reader, period: int) -> None:
        given = next((name for name in UNITS if reader.has(name)), "seconds")
        if period < 1:
            reader.refuse(given, "The interval must be at least 1 second.")
        elif period > LONGEST_S:
            reader.refuse(given, "The interval must be at most 10 years.")

    def spec(self) -> dict[str, object]:
        assert self.start_date is not None
        spec: dict[str, object] = {"kind": self.kind}
        spec.update({name: n for name, n in self.units.items() if n})
        spec["start_date"] = self.start_date.isoformat()
        spec["end_date"] = None if self.end_date is None else self.end_date.isoformat()
        spec["jitter"] = self.jitter
        if self.spread:
            spec["spread"] = self.spread
        spec["timezone"] = self.timezone
        return spec

    def words(self) -> str:
        return words.interval(self)

    def __str__(self) -> str:
        return f"interval[{self.interval}]"
