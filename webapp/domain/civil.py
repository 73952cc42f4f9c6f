"""Calendar arithmetic without zones: which days of a year a cron schedule names.

The days of a year are one integer, bit ``n`` for day ``n`` (0 = 1 January); the next, last and number of matching
days are then single operations on it, however many years lie between.
"""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property, lru_cache

from webapp.domain.zones import FIRST_YEAR, LAST_YEAR

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
LAST = -1
"""As the position of a weekday in its month: the last one."""

YearShape = tuple[bool, int, bool]
"""Leap or not, weekday of 1 January (0 = Monday), year before leap or not: all that a year's calendar depends on."""


@lru_cache(maxsize=512)
def year_start(year: int) -> int:
    """1 January as days since 1 January 1970."""
    return date(year, 1, 1).toordinal() - EPOCH_ORDINAL


@lru_cache(maxsize=512)
def year_shape(year: int) -> YearShape:
    return isleap(year), date(year, 1, 1).weekday(), isleap(year - 1)


def year_of(day: int) -> int:
    """The year of a day counted from 1 January 1970."""
    return date.fromordinal(day + EPOCH_ORDINAL).year


@dataclass(frozen=True)
class DaySet:
    """Days of a month, or weekdays: plain numbers, positions such as (2, 4) = second Friday, and the last day.

    ``numbers`` are 1-31 in a day-of-month set and 0-6 (Monday first) in a weekday set.
    """

    numbers: frozenset[int] = frozenset()
    positions: frozenset[tuple[int, int]] = frozenset()
    last_day: bool = False


ALL_DAYS = DaySet(frozenset(range(1, 32)))
ALL_WEEKDAYS = DaySet(frozenset(range(7)))
ALL_MONTHS = frozenset(range(1, 13))


class YearTable:
    """The bits of each month, day, weekday, position and ISO week for one shape of year."""

    def __init__(self, shape: YearShape) -> None:
        self.months = [0] * 13
        self.days = [0] * 32
        self.weekdays = [0] * 7
        self.weeks = [0] * 54
        self.positions: dict[tuple[int, int], int] = {}
        self.last_days = 0
        year = _example_year(shape)
        day = date(year, 1, 1)
        for n in range(366 if shape[0] else 365):
            bit = 1 << n
            self.months[day.month] |= bit
            self.days[day.day] |= bit
            self.weekdays[day.weekday()] |= bit
            self.weeks[day.isocalendar().week] |= bit
            self._add_position((day.day + 6) // 7, day.weekday(), bit)
            if (day + timedelta(days=7)).month != day.month:
                self._add_position(LAST, day.weekday(), bit)
            day += timedelta(days=1)
            if day.day == 1:
                self.last_days |= bit

    def _add_position(self, position: int, weekday: int, bit: int) -> None:
        key = (position, weekday)
        self.positions[key] = self.positions.get(key, 0) | bit

    def days_of_month(self, chosen: DaySet) -> int:
        mask = self.last_days if chosen.last_day else 0
        for n in chosen.numbers:
            mask |= self.days[n]
        return mask | self._positions(chosen)

    def days_of_week(self, chosen: DaySet) -> int:
        mask = 0
        for n in chosen.numbers:
            mask |= self.weekdays[n]
        return mask | self._positions(chosen)

    def _positions(self, chosen: DaySet) -> int:
        mask = 0
        for key in chosen.positions:
            mask |= self.positions.get(key, 0)
        return mask


def _example_year(shape: YearShape) -> int:
    return next(year for year in range(2000, 2401) if year_shape(year) == shape)


@lru_cache(maxsize=32)
def year_table(shape: YearShape) -> YearTable:
    return YearTable(shape)


@dataclass(frozen=True)
class Days:
    """The dates a schedule names. ``either``: a day of month or a weekday is enough (cron); else all must agree."""

    days: DaySet = ALL_DAYS
    weekdays: DaySet = ALL_WEEKDAYS
    months: frozenset[int] = ALL_MONTHS
    weeks: frozenset[int] | None = None
    years: frozenset[int] | None = None
    either: bool = False
    _masks: dict[YearShape, int] = field(default_factory=dict, compare=False, repr=False)

    def mask(self, year: int) -> int:
        """The matching days of this year as bits."""
        if self.years is not None and year not in self.years:
            return 0
        shape = year_shape(year)
        mask = self._masks.get(shape)
        if mask is None:
            mask = self._masks[shape] = self._read_mask(year_table(shape))
        return mask

    def _read_mask(self, table: YearTable) -> int:
        days, weekdays = table.days_of_month(self.days), table.days_of_week(self.weekdays)
        mask = days | weekdays if self.either else days & weekdays
        months = 0
        for n in self.months:
            months |= table.months[n]
        mask &= months
        if self.weeks is not None:
            weeks = 0
            for n in self.weeks:
                weeks |= table.weeks[n]
            mask &= weeks
        return mask

    def matches(self, day: int) -> bool:
        year = year_of(day)
        return bool(self.mask(year) >> (day - year_start(year)) & 1)

    def next(self, day: int) -> int | None:
        """The first matching day at or after this one."""
        year = year_of(day)
        rest = self.mask(year) >> (day - year_start(year))
        if rest:
            return day + _lowest(rest)
        for later in range(max(year + 1, FIRST_YEAR), LAST_YEAR + 1):
            mask = self.mask(later)
            if mask:
                return year_start(later) + _lowest(mask)
        return None

    def last(self, day: int) -> int | None:
        """The last matching day at or before this one."""
        year = year_of(day)
        past = self.mask(year) & ((2 << (day - year_start(year))) - 1)
        while not past:
            year -= 1
            if year < FIRST_YEAR:
                return None
            past = self.mask(year)
        return year_start(year) + past.bit_length() - 1

    def count(self, first: int, end: int) -> int:
        """How many matching days lie in ``first <= day < end``."""
        total = 0
        for year in range(year_of(first), year_of(end) + 1):
            begin = year_start(year)
            mask = self.mask(year) & ((1 << max(end - begin, 0)) - 1)
            total += (mask >> max(first - begin, 0)).bit_count()
        return total

    def same_as(self, other: Days) -> bool:
        """Whether both name the same dates in every year."""
        return all(self.mask(year) == other.mask(year) for year in range(1970, LAST_YEAR + 1))

    def possible(self) -> bool:
        """False when no year has such a day: 31 February, ISO week 40 in March."""
        return any(self.mask(year) for year in self.years or range(2000, 2400))

    @cached_property
    def shortest(self) -> int | None:
        """The smallest distance in days between two matching days; None when there are not two."""
        best, previous = None, None
        for year in sorted(self.years) if self.years is not None else range(2000, 2042):
            mask = self.mask(year)
            if mask & (mask >> 1):
                return 1
            while mask:
                low = _lowest(mask)
                day = year_start(year) + low
                mask &= mask - 1
                if previous is not None and (best is None or day - previous < best):
                    best = day - previous
                previous = day
        return best


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
