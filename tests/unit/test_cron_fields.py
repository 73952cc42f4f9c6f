"""APScheduler's eight fields: its own trigger is the oracle where it is right, that is in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger as Original
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import examples
from webapp.domain import fields
from webapp.domain.cron import CronTrigger
from webapp.domain.errors import Invalid


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    """Items that APScheduler takes: numbers, ranges, steps no larger than the range."""
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    step = st.integers(1, max((high - low) // 2, 1))
    item = st.one_of(
        st.integers(low, high).map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, step).map(lambda p: f"{p[0][0]}-{p[0][1]}" + (f"/{p[1]}" if p[1] <= p[0][1] - p[0][0] else "")),
        step.map(lambda n: f"*/{n}"),
        st.integers(low, (low + high) // 2).map(lambda n: f"{n}/2"),
    )
    return st.lists(item, min_size=1, max_size=3).map(",".join)


WEEKDAY = st.sampled_from(fields.WEEKDAYS)
POSITION = st.tuples(st.sampled_from(["1st", "2nd", "3rd", "4th", "5th", "last"]), WEEKDAY).map(" ".join)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "year": st.sampled_from(["*", "2026", "2026-2028", "*/2", "2027,2029"]),
        "month": st.one_of(numbers(1, 12), st.sampled_from(["jan", "feb-apr", "jun,dec"])),
        "day": st.one_of(numbers(1, 31), st.just("last"), POSITION, st.tuples(POSITION, numbers(1, 31)).map(",".join)),
        "week": numbers(1, 53),
        "day_of_week": st.one_of(numbers(0, 6), WEEKDAY, st.sampled_from(["mon-fri", "sat,sun", "tue-thu,sun"])),
        "hour": numbers(0, 23),
        "minute": numbers(0, 59),
        "second": numbers(0, 59),
    },
).filter(bool)


def possible(keywords: dict[str, str]) -> CronTrigger | None:
    """The trigger of these fields; None when no year has such a day."""
    try:
        return CronTrigger(**keywords)  # type: ignore[arg-type]
    except Invalid as error:
        if "never fires" in str(error):
            return None
        raise


@given(FIELDS, st.datetimes(datetime(2025, 6, 1), datetime(2027, 6, 1)))
@examples(300)
def test_fields_mean_in_utc_what_they_mean_to_apscheduler(given_fields: dict[str, str], after: datetime) -> None:
    now = after.replace(tzinfo=UTC)
    end = now + timedelta(days=800)
    mine = possible(given_fields)
    if mine is None:
        return
    original = Original(**given_fields, timezone=UTC, end_date=end)
    at: datetime | None = None
    for due in mine.between(now - timedelta(microseconds=1), end, 12):
        at = original.get_next_fire_time(at, now if at is None else at)
        assert at == due
    if len(mine.between(now - timedelta(microseconds=1), end, 12)) < 12:
        assert original.get_next_fire_time(at, now if at is None else at) is None


@given(FIELDS)
@examples(100)
def test_fields_come_back_from_their_stored_form(given_fields: dict[str, str]) -> None:
    trigger = possible(given_fields)
    if trigger is None:
        return
    texts = {name: text for name, text in trigger.spec().items() if name in fields.NAMES}
    again = CronTrigger(**texts)  # type: ignore[arg-type]
    assert again == trigger
    assert again.parts.same_as(trigger.parts)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("0", "mon"), ("6", "sun"), ("0-4", "mon-fri"), ("5,6", "sat,sun"), ("*/2", "mon,wed,fri,sun"),
        ("0-4/2", "mon,wed,fri"), ("MON-Fri", "mon-fri"), ("*", "*"), ("fri-mon", "fri-mon"), (3, "thu"),
    ],
)  # fmt: skip
def test_weekday_numbers_count_from_monday_and_are_stored_as_names(typed: str | int, stored: str) -> None:
    assert CronTrigger(day_of_week=typed).spec()["day_of_week"] == stored


def test_a_field_left_out_is_its_minimum_below_the_smallest_one_given_and_anything_above_it() -> None:
    rest = {"year": "*", "month": "*", "week": "*", "day_of_week": "*", "hour": "*", "second": "0"}
    assert fields.texts({"day": "1", "minute": "20"}) == {"day": "1", "minute": "20", **rest}
    assert fields.texts({"year": "2030"})["month"] == "1"
    assert [str(field) for field in CronTrigger(hour=2).fields if not field.is_default] == ["2"]


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("day", "lastfoo", "“lastfoo” is not understood"),
        ("day", "last-1", "“last-1” is not understood"),
        ("day", "1st mo", "not understood"),
        ("day", "1st xyz", "names no weekday"),
        ("day", "6th mon", "not understood"),
        ("day", "0", "0 is outside 1 to 31"),
        ("day", "32", "32 is outside 1 to 31"),
        ("day_of_week", "mon-fri/2", "puts a step on names"),
        ("day_of_week", "mon#1", "not understood"),
        ("day_of_week", "mon-", "not understood"),
        ("day_of_week", "mon-fri-sun", "not understood"),
        ("day_of_week", "7", "7 is outside 0 to 6"),
        ("day_of_week", "monday", "Names have three letters, such as mon"),
        ("month", "janx", "Names have three letters"),
        ("month", "january", "Names have three letters"),
        ("month", "13", "outside 1 to 12"),
        ("hour", "24", "outside 0 to 23"),
        ("hour", "22-2", "runs backwards. Write 22-23,0-2"),
        ("hour", "*/24", "larger than its range"),
        ("hour", "*/0", "step of 0"),
        ("minute", "*/60", "larger than its range"),
        ("minute", "5-7/3", "larger than its range"),
        ("minute", "", ""),
        ("minute", "1,,2", "empty part"),
        ("minute", "1;2", "not understood"),
        ("minute", "٣", "other than plain ASCII"),
        ("minute", "３", "other than plain ASCII"),
        ("minute", "-1", "not understood"),
        ("minute", 1.5, "use text"),
        ("minute", True, "use text"),
        ("week", "54", "outside 1 to 53"),
        ("year", "1969", "outside 1970"),
        ("year", "99999", "not understood"),
        ("second", "60", "outside 0 to 59"),
    ],
)
def test_what_has_no_exact_meaning_is_refused_at_its_field(field: str, text: Any, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        CronTrigger(**{field: text})
    assert list(caught.value.fields) == [field if reason else "crontab"]
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "impossible", [{"month": 2, "day": 31}, {"week": 40, "month": "1-3"}, {"day": 30, "month": "feb"}]
)
def test_days_that_no_year_has_are_refused(impossible: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="no year has such a day"):
        CronTrigger(**impossible)


def test_an_empty_cron_is_refused_instead_of_firing_every_second() -> None:
    with pytest.raises(Invalid, match="at least one field"):
        CronTrigger()


def due(trigger: CronTrigger, after: str, count: int) -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=trigger.zone.tz)
    found = trigger.between(start, datetime(2035, 1, 1, tzinfo=UTC), count)
    return [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in found]


def test_documented_third_friday_of_some_months() -> None:
    trigger = CronTrigger(month="6-8,11-12", day="3rd fri", hour="0-3", timezone="UTC")
    nights = ["2026-06-19", "2026-07-17", "2026-08-21", "2026-11-20", "2026-12-18"]
    assert due(trigger, "2026-01-01", 20) == [f"{day} {hour:02}:00:00" for day in nights for hour in range(4)]


def test_documented_weekdays_until_a_date() -> None:
    trigger = CronTrigger(day_of_week="mon-fri", hour=5, minute=30, end_date="2014-05-30", timezone="UTC")
    assert due(trigger, "2014-05-27", 9) == ["2014-05-27 05:30:00", "2014-05-28 05:30:00", "2014-05-29 05:30:00"]


def test_documented_last_sunday_of_each_month() -> None:
    assert due(CronTrigger(day="last sun"), "2026-01-01", 3) == [
        "2026-01-25 00:00:00",
        "2026-02-22 00:00:00",
        "2026-03-29 00:00:00",
    ]


def test_documented_crontab_string() -> None:
    found = due(CronTrigger.from_crontab("0 0 1-15 may-aug *"), "2026-01-01", 61)
    assert (found[0], found[14], found[15], found[60]) == (
        "2026-05-01 00:00:00", "2026-05-15 00:00:00", "2026-06-01 00:00:00", "2027-05-01 00:00:00",
    )  # fmt: skip


def test_documented_jitter_delays_each_run_by_at_most_so_much() -> None:
    trigger = CronTrigger(hour="*", jitter=120)
    found = trigger.between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC), 500)
    delays = [(moment.minute * 60 + moment.second) for moment in found]
    assert len(found) == 240
    assert 0 <= min(delays) <= max(delays) <= 120
    assert len(set(delays)) > 60


@pytest.mark.parametrize(
    ("keywords", "day", "shown"),
    [
        ({"hour": 2, "minute": 30}, "2026-05-04", ["02:30"]),
        ({"minute": 0}, "2026-05-04", [f"{hour:02}:00" for hour in range(24)]),
        ({"hour": "0,6,12,18"}, "2026-05-04", ["00:00", "06:00", "12:00", "18:00"]),
        ({"hour": "*/4"}, "2026-05-04", ["00:00", "04:00", "08:00", "12:00", "16:00", "20:00"]),
        ({"day_of_week": "mon-fri", "hour": 9}, "2026-05-03", []),
        ({"day_of_week": "mon-fri", "hour": 9}, "2026-05-04", ["09:00"]),
        ({"day": "last", "hour": 0}, "2026-05-31", ["00:00"]),
        ({"day": "1st mon", "hour": 10}, "2026-05-04", ["10:00"]),
        ({"day": "1st mon", "hour": 10}, "2026-05-11", []),
    ],
)
def test_the_guides_examples_do_what_they_say(keywords: dict[str, Any], day: str, shown: list[str]) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = CronTrigger(**keywords).between(start - timedelta(seconds=1), start + timedelta(seconds=86_399), 99)
    assert [f"{moment:%H:%M}" for moment in found] == shown


def test_a_zone_can_be_given_as_apscheduler_takes_it() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert CronTrigger(hour=1, timezone=berlin).timezone == "Europe/Berlin"
    assert CronTrigger(hour=1, timezone=UTC).timezone == "UTC"
    assert CronTrigger(hour=1, start_date=datetime(2026, 1, 1, tzinfo=berlin)).timezone == "Europe/Berlin"
    assert (
        CronTrigger(hour=1, start_date=date(2026, 1, 1), timezone=berlin).spec()["start_date"]
        == "2026-01-01T00:00:00+01:00"
    )
    assert CronTrigger(hour=1).timezone == "UTC"


def test_pytz_zones_serve_by_name_and_never_by_their_offset() -> None:
    pytz = pytest.importorskip("pytz")
    new_york = pytz.timezone("America/New_York")
    assert CronTrigger(hour=9, timezone=new_york).timezone == "America/New_York"
    with pytest.raises(Invalid, match="pytz"):
        CronTrigger(hour=9, timezone="America/New_York", start_date=datetime(2026, 1, 1, tzinfo=new_york))
    with pytest.raises(Invalid, match="fixed offset"):
        CronTrigger(hour=9, timezone=pytz.FixedOffset(60))
