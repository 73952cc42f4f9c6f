"""Days as bits of a year and times as combinations, against plain lists."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import examples
from webapp.domain.civil import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, Days, DaySet, year_shape, year_start
from webapp.domain.daytimes import DayTimes

EPOCH = date(1970, 1, 1)


def some(low: int, high: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(low, high), min_size=1, max_size=6)


POSITIONS = st.frozensets(st.tuples(st.sampled_from([1, 2, 3, 4, 5, -1]), st.integers(0, 6)), max_size=2)
DAYS = st.builds(
    Days,
    days=st.one_of(st.just(ALL_DAYS), st.builds(DaySet, some(1, 31), POSITIONS, st.booleans())),
    weekdays=st.one_of(st.just(ALL_WEEKDAYS), st.builds(DaySet, some(0, 6), POSITIONS)),
    months=st.one_of(st.just(ALL_MONTHS), some(1, 12)),
    weeks=st.one_of(st.none(), some(1, 53)),
    years=st.one_of(st.none(), st.just(frozenset([2024, 2026, 2027]))),
    either=st.booleans(),
)


def named(days: Days, day: date) -> bool:
    """Whether this date is one of them, by the book."""
    last = (day + timedelta(days=1)).day == 1
    position = {((day.day + 6) // 7, day.weekday())}
    if (day + timedelta(days=7)).month != day.month:
        position.add((-1, day.weekday()))
    in_month = day.day in days.days.numbers or bool(position & days.days.positions) or (last and days.days.last_day)
    in_week = day.weekday() in days.weekdays.numbers or bool(position & days.weekdays.positions)
    agreed = in_month or in_week if days.either else in_month and in_week
    week = days.weeks is None or day.isocalendar().week in days.weeks
    return agreed and week and day.month in days.months and (days.years is None or day.year in days.years)


@given(DAYS, st.integers(-10, 1200), st.integers(0, 900))
@examples(150)
def test_days_are_found_and_counted_as_in_a_plain_list(days: Days, offset: int, length: int) -> None:
    start = (date(2024, 1, 1) - EPOCH).days + offset
    plain = [n for n in range(start, start + length + 1) if named(days, EPOCH + timedelta(days=n))]
    assert days.count(start, start + length + 1) == len(plain)
    following, before = days.next(start), days.last(start + length)
    if plain:
        assert (following, before) == (plain[0], plain[-1])
        assert days.matches(plain[0])
    else:
        assert following is None or following > start + length
        assert before is None or before < start


@given(DAYS)
@examples(60)
def test_the_shortest_distance_between_days(days: Days) -> None:
    years = sorted(days.years) if days.years else range(2000, 2042)
    start, end = date(years[0], 1, 1), date(years[-1] + 1, 1, 1)
    plain = [n for n in range((end - start).days) if named(days, start + timedelta(days=n))]
    assert days.shortest == min((b - a for a, b in pairwise(plain)), default=None)
    assert days.possible() or not plain


def test_iso_weeks_are_right_in_every_year() -> None:
    """The week of the first days of January depends on the year before."""
    for week in (1, 52, 53):
        days = Days(weeks=frozenset([week]))
        for year in range(1801, 2200):
            mask, start = days.mask(year), date(year, 1, 1)
            for n in (*range(8), *range(355, 365)):
                assert bool(mask >> n & 1) == ((start + timedelta(days=n)).isocalendar().week == week), (week, year, n)


def test_a_year_of_each_shape_comes_within_the_forty_years_that_a_search_relies_on() -> None:
    last_seen: dict[object, int] = {}
    for year in range(1800, 2600):
        shape = year_shape(year)
        assert year - last_seen.get(shape, year) <= 40
        last_seen[shape] = year
    assert year_start(1970) == 0


TIMES = st.builds(
    lambda h, m, s: DayTimes(*(tuple(sorted(values)) for values in (h, m, s))), some(0, 23), some(0, 59), some(0, 59)
)


@given(TIMES, st.integers(0, 86_400))
@examples(200)
def test_times_are_found_and_counted_as_in_a_plain_list(times: DayTimes, second: int) -> None:
    plain = [h * 3600 + m * 60 + s for h in times.hours for m in times.minutes for s in times.seconds]
    assert times.total == len(plain)
    assert (times.first, times.final) == (plain[0], plain[-1])
    assert times.next(second) == next((at for at in plain if at >= second), None)
    assert times.last(second) == next((at for at in reversed(plain) if at <= second), None)
    assert times.below(second) == sum(at < second for at in plain)
    assert times.mask == sum(1 << at for at in plain)
    assert times.shortest == min((b - a for a, b in pairwise(plain)), default=None)
