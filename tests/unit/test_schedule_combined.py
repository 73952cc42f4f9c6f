"""Several schedules as one, exceptions and calendars."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import ZONES, examples, random_line
from webapp.domain import calendars, schedules
from webapp.domain.combined import CombinedTrigger
from webapp.domain.errors import Invalid
from webapp.domain.zones import zone

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LENGTH = timedelta(days=4)


def cron(expression: str, **others: Any) -> dict[str, Any]:
    return {"kind": "cron", "crontab": expression, **others}


def combined(**spec: Any) -> schedules.Schedule:
    return schedules.parse({"kind": "combined", **spec}, now=NOW)


def shown(schedule: schedules.Schedule, count: int = 4, after: datetime = NOW) -> list[str]:
    return [f"{moment:%a %d %H:%M}" for moment in schedule.between(after, after + timedelta(days=800), count)]


def instants(spec: dict[str, Any], start: datetime) -> set[datetime]:
    found = schedules.load(spec).between(start - timedelta(seconds=1), start + LENGTH, 400_000)
    return {moment.astimezone(UTC) for moment in found}


@st.composite
def parts(draw: st.DrawFn, start: datetime) -> dict[str, Any]:
    chance = draw(st.randoms(use_true_random=False))
    zone_name = draw(st.sampled_from(ZONES))
    if draw(st.integers(0, 3)):
        spec = cron(random_line(chance).rsplit(" ", 3)[0] + " * * *", timezone=zone_name)
        if draw(st.booleans()):
            spec["start_date"] = (start + timedelta(minutes=draw(st.integers(-1000, 3000)))).isoformat()
            spec["end_date"] = (start + timedelta(minutes=draw(st.integers(3001, 6000)))).isoformat()
        return spec
    at = start + timedelta(minutes=draw(st.integers(-1000, 4000)))
    period = draw(st.sampled_from([60, 300, 420, 3600, 7200, 86_400]))
    return {"kind": "interval", "seconds": period, "start_date": at.isoformat(), "timezone": zone_name}


CALENDARS = [
    {"name": "nights", "hours": [{"from": "22:00", "to": "06:00", "weekdays": ["mon", "sat", "sun"]}]},
    {"name": "days", "days": ["2026-03-30", "2026-10-25"], "weekdays": ["tue"], "timezone": "Asia/Tokyo"},
    {"name": "gone", "windows": [{"start": "2026-03-28T20:00:00+00:00", "end": "2026-03-29T10:30:00+00:00"}]},
]


@given(
    st.data(),
    st.sampled_from([datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]),
    st.sampled_from(["any", "all"]),
    st.lists(st.sampled_from(CALENDARS), max_size=2),
    st.sampled_from(ZONES),
)
@examples(80)
def test_it_is_due_when_its_parts_say_so(
    data: st.DataObject, start: datetime, mode: str, closed: list[dict[str, Any]], zone_name: str
) -> None:
    """Against sets of the parts' own due times, over days in which European and American clocks change."""
    specs = data.draw(st.lists(parts(start), min_size=1, max_size=3))
    excepts = data.draw(st.lists(parts(start), max_size=1))
    wanted = [instants(spec, start) for spec in specs]
    due = set.union(*wanted) if mode == "any" else set.intersection(*wanted)
    for spec in excepts:
        taken = instants(spec, start)
        whole_minutes = spec["kind"] == "cron"
        due = {at for at in due if (at.replace(second=0) if whole_minutes else at) not in taken}
    for spec in closed:
        calendar = calendars.read(spec, zone_name)
        due = {at for at in due if not calendar.excludes(at, zone_name)}
    spec = {"kind": "combined", mode: specs, "except": excepts, "calendars": closed, "timezone": zone_name}
    schedule = schedules.load(spec)
    found = schedule.between(start - timedelta(seconds=1), start + LENGTH, 400_000)
    assert [moment.astimezone(UTC) for moment in found] == sorted(due)
    assert schedule.span(start - timedelta(seconds=1), start + LENGTH).count == len(due)


def test_or_is_due_when_any_part_is() -> None:
    """APScheduler's documented OrTrigger: Mondays at 02:00 and Tuesdays at 15:00."""
    parts = [
        {"kind": "cron", "day_of_week": "mon", "hour": "2"},
        {"kind": "cron", "day_of_week": "tue", "hour": "15"},
    ]
    assert shown(combined(any=parts)) == ["Mon 02 02:00", "Tue 03 15:00", "Mon 09 02:00", "Tue 10 15:00"]


def test_and_is_due_when_all_parts_are() -> None:
    """Friday the 13th, which a crontab string cannot say."""
    friday = combined(all=[cron("0 0 13 * *"), cron("0 0 * * fri")])
    assert shown(friday, 3) == ["Fri 13 00:00", "Fri 13 00:00", "Fri 13 00:00"]
    every_two_hours = {"kind": "interval", "hours": 2, "start_date": "2026-03-06T21:00:00+00:00"}
    weekends = combined(all=[every_two_hours, cron("* * * * sat,sun")])
    assert shown(weekends, 2) == ["Sat 07 01:00", "Sat 07 03:00"]


def test_zones_of_the_parts_are_their_own() -> None:
    both = combined(all=[cron("0 9 * * *", timezone="UTC"), cron("0 10 * * *", timezone="Europe/London")])
    assert shown(both, 1) == ["Sun 29 09:00"], "London is at 10:00 only in summer"


def test_an_exception_takes_whole_minutes_unless_it_names_seconds() -> None:
    every_second = {"kind": "interval", "seconds": 1, "start_date": "2026-03-01T00:00:00+00:00"}
    day = (NOW - timedelta(seconds=1), NOW + timedelta(days=1, seconds=-1))
    assert combined(any=[every_second], **{"except": [cron("* 12 * * *")]}).span(*day).count == 23 * 3600
    assert combined(any=[every_second], **{"except": [cron("0 * 12 * * *")]}).span(*day).count == 86_400 - 60
    by_field = {"kind": "cron", "hour": "12", "minute": "*", "second": "0"}
    assert combined(any=[every_second], **{"except": [by_field]}).span(*day).count == 86_400 - 60


@pytest.mark.parametrize(
    "spec",
    [
        {"all": [cron("0 * * * *"), cron("30 * * * *")]},
        {"all": [cron("* * * * 1"), cron("* * * * 2")]},
        {"all": [cron("0-58 * * * * *"), cron("59 * * * * *")]},
        {"any": [cron("* * * * * *")], "except": [cron("* * * * *")]},
        {
            "any": [cron("* * * * *")],
            "calendars": [{"name": "a", "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}],
        },
        {
            "any": [cron("* * * * *")] * 10,
            "except": [cron("* * * * *")] * 10,
            "calendars": [{"name": "a", "days": ["2026-12-25"]}] * 10,
        },
        {"all": [{"kind": "interval", "seconds": 86_399}, {"kind": "interval", "seconds": 86_400}]},
        {"all": [cron("* * * * *"), {"kind": "date", "run_date": "2026-04-01T10:00:30"}]},
    ],
)
def test_an_impossible_combination_is_refused_at_once(spec: dict[str, Any]) -> None:
    combined(any=[cron("* * * * *")], calendars=CALENDARS)
    best = 1.0
    for _ in range(3):
        began = time.process_time()
        with pytest.raises(Invalid, match="never fires"):
            combined(**spec)
        best = min(best, time.process_time() - began)
    assert best < 0.05


def test_a_long_closed_window_is_stepped_over() -> None:
    closed = [{"name": "sabbatical", "windows": [{"start": "2026-03-01T00:00", "end": "2036-03-01T00:00"}]}]
    schedule = combined(any=[cron("* * * * *")], calendars=closed)
    due = schedule.next_after(NOW)
    assert due is not None
    assert due.isoformat() == "2036-03-01T00:00:00+00:00"
    span = schedule.span(NOW - timedelta(days=2), due - timedelta(seconds=1))
    assert span.count == 2 * 1440 - 1
    assert span.last is not None
    assert span.last.isoformat() == "2026-02-28T23:59:00+00:00"


@pytest.mark.parametrize(
    "closed",
    [{"days": ["2026-03-02/2029-12-31"]}, {"days": ["2026-03-02/2029-12-31"], "timezone": "Asia/Tokyo"}],
)
def test_years_of_closed_days_are_stepped_over_too(closed: dict[str, Any]) -> None:
    schedule = combined(any=[cron("30 12 * * *")], calendars=[{"name": "closed", **closed}])
    due = schedule.between(NOW, NOW + timedelta(days=3000), 3)
    assert [f"{moment:%Y-%m-%d}" for moment in due] == ["2026-03-01", "2030-01-01", "2030-01-02"]
    span = schedule.span(NOW, datetime(2029, 12, 30, tzinfo=UTC))
    assert (span.count, span.first, span.last) == (1, due[0], due[0])


def test_due_times_beyond_the_bound_of_the_search_are_still_counted() -> None:
    """A day whose only due time lies 2,000 days before the end of the window, in which something could be due daily."""
    parts = [cron("0 12 * * *"), {"kind": "date", "run_date": "2026-03-05T09:00"}]
    schedule = combined(any=parts, **{"except": [cron("0 12 * * *")]})
    span = schedule.span(NOW, NOW + timedelta(days=2000))
    assert (span.count, span.first, span.last) == (1, *[datetime(2026, 3, 5, 9, tzinfo=UTC)] * 2)


def test_a_clock_that_goes_back_to_an_open_day_is_not_stepped_over() -> None:
    """In St. John's the clock went at 00:01 of a Sunday back to 23:01 of the Saturday before."""
    spec = {"kind": "combined", "any": [cron("30 * * * *")], "calendars": [{"name": "x", "weekdays": ["sun"]}]}
    schedule = schedules.load({**spec, "timezone": "America/St_Johns"})
    sunday = datetime(2010, 11, 7, 2, 30, 30, tzinfo=UTC)
    due = schedule.next_after(sunday)
    assert due is not None
    assert due.isoformat() == "2010-11-06T23:30:00-03:30"
    last = schedule.last_until(datetime(2010, 11, 7, 20, tzinfo=UTC))
    assert last == due


def test_what_calendars_take_away_can_be_listed() -> None:
    holidays = {"name": "Holidays", "yearly": ["12-25", "01-01"]}
    schedule = combined(any=[cron("0 9 * * 1-5")], calendars=[holidays], timezone="Europe/Berlin")
    assert isinstance(schedule, CombinedTrigger)
    dropped = schedule.dropped_between(NOW, NOW + timedelta(days=700), 10)
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in dropped] == ["2026-12-25 09:00", "2027-01-01 09:00"]
    assert schedule.dropped_between(NOW, NOW + timedelta(days=700), 1) == dropped[:1]


def test_jitter_and_spread_belong_to_the_whole() -> None:
    schedule = combined(any=[cron("*/5 * * * *")], jitter=60)
    assert schedule.jitter == 60
    with pytest.raises(Invalid) as caught:
        combined(any=[cron("*/5 * * * *", jitter=60)])
    assert list(caught.value.fields) == ["any.0.jitter"]


def test_everything_wrong_is_reported_where_it_stands() -> None:
    with pytest.raises(Invalid) as caught:
        combined(
            any=[cron("61 * * * *"), {"kind": "nope"}, "text", {"kind": "combined", "any": []}],
            calendars=[{"name": "x", "days": ["25 December"]}, {"days": []}],
            **{"except": [{"kind": "interval", "seconds": 0}]},
        )
    assert sorted(caught.value.fields) == [
        "any.0.crontab", "any.1.kind", "any.2.kind", "any.3.kind",
        "calendars.0.days", "calendars.1.name", "except.0.seconds",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "any"),
        ({"any": []}, "any"),
        ({"any": "0 * * * *"}, "any"),
        ({"any": [cron("0 * * * *")], "all": [cron("0 * * * *")]}, "all"),
        ({"any": [cron("0 * * * *")] * 11}, "any"),
        ({"any": [cron("0 * * * *")], "jitter": 3600}, "jitter"),
        ({"any": [cron("0 * * * *")], "nope": 1}, "nope"),
        ({"any": [cron("0 * * * *")], "calendars": {"name": "x"}}, "calendars"),
    ],
)
def test_a_combination_needs_parts_and_nothing_else(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        combined(**spec)
    assert list(caught.value.fields) == [field]


def test_parts_in_the_past_do_no_harm() -> None:
    schedule = combined(any=[{"kind": "date", "run_date": "2026-01-01T00:00"}, cron("0 9 * * *")])
    assert shown(schedule, 1) == ["Sun 01 09:00"]
    with pytest.raises(Invalid, match="never fires"):
        combined(any=[{"kind": "date", "run_date": "2026-01-01T00:00"}])


CLOSED = calendars.read(
    {
        "name": " Works ",
        "days": ["2026-12-24/2026-12-26", "2026-05-01"],
        "yearly": ["01-01", "02-29"],
        "weekdays": ["sun"],
        "hours": [
            {"from": "22:00", "to": "06:00", "weekdays": ["fri"]},
            {"from": "12:00", "to": "24:00", "weekdays": ["wed"]},
        ],
        "windows": [
            {"start": "2026-06-01T10:00", "end": "2026-06-01T12:00"},
            {"start": "2026-06-01T11:00+02:00", "end": "2026-06-01T15:00+02:00"},
        ],
        "timezone": "Europe/Berlin",
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "closed"),
    [
        ("2026-12-24T00:00+01:00", True), ("2026-12-22T23:59:59+01:00", False), ("2026-12-26T23:59:59+01:00", True),
        ("2026-12-28T00:00+01:00", False), ("2030-01-01T12:00+01:00", True), ("2028-02-29T12:00+01:00", True),
        ("2026-06-07T12:00+02:00", True), ("2026-06-05T21:59:59+02:00", False), ("2026-06-05T22:00+02:00", True),
        ("2026-06-06T05:59:59+02:00", True), ("2026-06-06T06:00+02:00", False), ("2026-06-06T22:30+02:00", False),
        ("2026-06-03T11:59:59+02:00", False), ("2026-06-03T12:00+02:00", True), ("2026-06-04T00:00+02:00", False),
        ("2026-06-01T09:59:59+02:00", False), ("2026-06-01T10:00+02:00", True), ("2026-06-01T14:59:59+02:00", True),
        ("2026-06-01T15:00+02:00", False),
    ],
)  # fmt: skip
def test_a_calendar_closes_days_hours_and_windows(moment: str, closed: bool) -> None:
    assert CLOSED.excludes(datetime.fromisoformat(moment), "UTC") is closed


def test_a_calendar_without_a_zone_takes_the_schedules() -> None:
    calendar = calendars.read({"name": "x", "days": ["2026-05-01"]})
    moment = datetime(2026, 4, 30, 16, tzinfo=UTC)
    assert calendar.excludes(moment, "Asia/Tokyo")
    assert not calendar.excludes(moment, "UTC")


def test_a_calendar_comes_back_from_its_json() -> None:
    spec = CLOSED.spec()
    assert calendars.read(spec) == CLOSED
    assert spec["name"] == "Works"
    assert len(CLOSED.windows) == 1, "overlapping windows are one"
    assert calendars.read({"name": "empty"}).spec() == {"name": "empty"}


def test_a_closed_hour_is_closed_in_both_passes() -> None:
    calendar = calendars.read({"name": "x", "hours": [{"from": "02:00", "to": "03:00"}], "timezone": "Europe/Berlin"})
    begin = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp())
    assert calendar.bits(zone("UTC"), begin, 86_400).bit_count() == 7200


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("text", ""), ({"name": ""}, "name"), ({"name": "x" * 201}, "name"), ({"name": "x", "color": "red"}, "color"),
        ({"name": "x", "days": "2026-01-01"}, "days"), ({"name": "x", "days": ["2026-02-30"]}, "days"),
        ({"name": "x", "days": ["1999-01-01"]}, "days"), ({"name": "x", "days": ["2026-01-02/2026-01-01"]}, "days"),
        ({"name": "x", "days": ["2026-01-01/2060-01-01"]}, "days"), ({"name": "x", "days": [20260101]}, "days"),
        ({"name": "x", "days": ["2026-01-01"] * 5001}, "days"), ({"name": "x", "yearly": ["13-01"]}, "yearly"),
        ({"name": "x", "weekdays": ["sunday"]}, "weekdays"), ({"name": "x", "weekdays": [6]}, "weekdays"),
        ({"name": "x", "hours": [{"from": "10:00"}]}, "hours"), ({"name": "x", "hours": ["10-12"]}, "hours"),
        ({"name": "x", "hours": [{"from": "25:00", "to": "26:00"}]}, "hours"),
        ({"name": "x", "hours": [{"from": "10:00", "to": "10:00"}]}, "hours"),
        ({"name": "x", "windows": [{"start": "2026-01-01T10:00"}]}, "windows"),
        ({"name": "x", "windows": [{"start": "2026-01-01T10:00", "end": "2026-01-01T10:00"}]}, "windows"),
        ({"name": "x", "windows": [{"start": "yesterday", "end": "2026-01-01T10:00"}]}, "windows"),
        ({"name": "x", "timezone": "Nowhere"}, "timezone"), ({"name": "x", "timezone": 1}, "timezone"),
    ],
)  # fmt: skip
def test_a_calendar_that_cannot_be_read_is_refused(spec: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        calendars.read(spec)
    assert list(caught.value.fields) == [field]


def test_a_calendars_days_can_be_made_from_dates() -> None:
    day = calendars.day_number(datetime(2026, 12, 25).date())
    assert calendars.Calendar("x", days=frozenset([day])).spec()["days"] == ["2026-12-25"]
