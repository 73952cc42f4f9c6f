"""The times that a calendar excludes, as its page lists them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import ZONES, examples
from webapp.domain import calendars, closures
from webapp.domain.zones import zone

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday


def next_closures(count: int = 4, timezone: str = "Europe/Berlin", after: datetime = NOW, **spec: Any) -> list[str]:
    found = closures.upcoming(calendars.read({"name": "x", **spec}), timezone, after, count)
    return [f"{each.start:%d %b %H:%M}-{each.end:%d %b %H:%M}{'+' if each.cut else ''}" for each in found]


def test_days_that_follow_each_other_are_one_closure() -> None:
    assert next_closures(days=["2026-06-05"], weekdays=["sat", "sun"], count=2) == [
        "05 Jun 00:00-08 Jun 00:00",
        "13 Jun 00:00-15 Jun 00:00",
    ]


def test_hours_and_windows_are_told_to_the_minute() -> None:
    hours = {"from": "22:00", "to": "06:00", "weekdays": ["mon"]}
    window = {"start": "2026-06-03T10:00Z", "end": "2026-06-03T12:30Z"}
    assert next_closures(hours=[hours], windows=[window], count=3) == [
        "01 Jun 22:00-02 Jun 06:00",
        "03 Jun 12:00-03 Jun 14:30",
        "08 Jun 22:00-09 Jun 06:00",
    ]


def test_a_closure_that_is_going_on_is_told_from_its_beginning() -> None:
    assert next_closures(days=["2026-05-30/2026-06-02"], timezone="UTC") == ["30 May 00:00-03 Jun 00:00"]


def test_a_calendar_that_never_ends_is_cut_and_says_so() -> None:
    every_day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    (one,) = closures.upcoming(calendars.read({"name": "x", "weekdays": every_day}), "UTC", NOW, 5)
    assert one.cut
    assert one.end - NOW == timedelta(days=closures.HORIZON_DAYS)


def test_an_empty_or_past_calendar_excludes_nothing() -> None:
    assert next_closures() == []
    assert next_closures(days=["2020-01-01"]) == []


def test_whole_days_are_told_from_parts_of_days_also_where_midnight_is_skipped() -> None:
    # In Beirut the clock goes from 00:00 to 01:00 on 29 March 2026: that day begins at 01:00.
    calendar = calendars.read({"name": "x", "days": ["2026-03-28"], "timezone": "Asia/Beirut"})
    (day,) = closures.upcoming(calendar, "UTC", datetime(2026, 3, 1, tzinfo=UTC), 2)
    assert (day.start.hour, day.end.hour, day.last_day, day.is_days) == (0, 1, date(2026, 3, 28), True)
    (part,) = closures.upcoming(
        calendars.read({"name": "x", "hours": [{"from": "10:00", "to": "11:00"}]}), "UTC", NOW, 1
    )
    assert not part.is_days


@pytest.mark.parametrize(
    ("spec", "last"),
    [
        ({"days": ["2026-12-25", "2027-01-01"]}, date(2027, 1, 1)),
        ({"windows": [{"start": "2026-12-30T10:00Z", "end": "2026-12-31T00:00Z"}]}, date(2026, 12, 30)),
        ({"days": ["2026-12-25"], "yearly": ["12-25"]}, None),
        ({"weekdays": ["sun"]}, None),
        ({"hours": [{"from": "10:00", "to": "11:00"}]}, None),
        ({}, None),
    ],
)
def test_a_calendar_of_dates_runs_out_and_one_that_repeats_does_not(spec: dict[str, Any], last: date | None) -> None:
    assert closures.last_day(calendars.read({"name": "x", **spec})) == last


@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(-3, 8), max_size=4),
    st.lists(st.sampled_from(["sat", "sun", "tue"]), max_size=2),
    st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda pair: pair[0] != pair[1]), max_size=2),
    st.sampled_from([NOW, datetime(2026, 3, 27, 5, tzinfo=UTC), datetime(2026, 10, 23, 5, tzinfo=UTC)]),
)
@examples(60)
def test_closures_are_exactly_the_excluded_minutes(
    timezone: str, days: list[int], weekdays: list[str], hours: list[tuple[int, int]], after: datetime
) -> None:
    calendar = calendars.read(
        {
            "name": "x",
            "days": [(after + timedelta(days=n)).date().isoformat() for n in days],
            "weekdays": weekdays,
            "hours": [{"from": f"{a:02}:00", "to": f"{b:02}:00"} for a, b in hours],
        }
    )
    found = closures.upcoming(calendar, timezone, after, 1000)
    for minute in range(0, 9 * 24 * 60, 30):
        moment = after + timedelta(minutes=minute)
        told = any(each.start.astimezone(UTC) <= moment < each.end.astimezone(UTC) for each in found)
        assert told == calendar.excludes(moment, timezone), moment.astimezone(zone(timezone).tz)
    edges = [each.start.astimezone(UTC) for each in found]
    assert edges == sorted(edges)
    assert all(a.end.astimezone(UTC) < b.start.astimezone(UTC) for a, b in pairwise(found))
