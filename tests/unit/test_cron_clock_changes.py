"""The policy for clock changes, to the letter, in zones that change in every known way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import ZONES, Line, due_minutes, examples, line, lines
from webapp.domain.cron import CronTrigger
from webapp.domain.crontab import next_fire_times
from webapp.domain.zones import EPOCH, seconds, zone

NEW_YORK = "America/New_York"


def local_times(expression: str, timezone: str, day: str, days: int = 1, gap: str = "skip") -> list[str]:
    """The due times of some local days as ``02:30-05:00``."""
    trigger = CronTrigger(crontab=expression, timezone=timezone, gap=gap)
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(timezone))
    until = (start + timedelta(days=days)).replace(fold=0)
    found = trigger.between(start - timedelta(seconds=1), until - timedelta(seconds=1), 5000)
    return [f"{moment:%H:%M}{moment.isoformat()[-6:]}" for moment in found]


@pytest.mark.parametrize(
    ("timezone", "day", "at"),
    [
        (NEW_YORK, "2026-03-08", "30 2 * * *"),
        (NEW_YORK, "2027-03-14", "30 2 * * *"),
        ("Europe/London", "2026-03-29", "30 1 * * *"),
        ("Europe/London", "2027-03-28", "30 1 * * *"),
        ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *"),
        ("Asia/Beirut", "2026-03-29", "30 0 * * *"),
    ],
)
def test_a_local_time_that_does_not_exist_is_skipped(timezone: str, day: str, at: str) -> None:
    assert local_times(at, timezone, day) == []
    assert len(local_times(at, timezone, day, days=3)) == 2


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        ("30 2 * * *", ["03:00-04:00"]),
        ("*/15 2 * * *", ["03:00-04:00"]),
        ("0,30 2-3 * * *", ["03:00-04:00", "03:30-04:00"]),
    ],
)
def test_a_skipped_time_can_run_once_at_the_end_of_the_gap_instead(expression: str, at: list[str]) -> None:
    assert local_times(expression, NEW_YORK, "2026-03-08", gap="end") == at
    trigger = CronTrigger(crontab=expression, timezone=NEW_YORK, gap="end")
    end_of_gap = datetime(2026, 3, 8, 7, tzinfo=UTC)
    window = trigger.span(end_of_gap - timedelta(hours=2), end_of_gap)
    assert window.count == 1
    assert window.last is not None
    assert window.last.astimezone(UTC) == end_of_gap
    assert trigger.span(end_of_gap - timedelta(hours=2), end_of_gap + timedelta(hours=2)).count == len(at)


@pytest.mark.parametrize(
    ("gap", "shown"), [("skip", ["29T12:00", "31T12:00"]), ("end", ["29T12:00", "31T00:00", "31T12:00"])]
)
def test_a_zone_can_leave_out_a_whole_day(gap: str, shown: list[str]) -> None:
    trigger = CronTrigger(crontab="0 12 * * *", timezone="Pacific/Apia", gap=gap)
    due = trigger.between(datetime(2011, 12, 29, 12, tzinfo=UTC), datetime(2011, 12, 31, 12, tzinfo=UTC), 9)
    assert [f"{moment:%dT%H:%M}" for moment in due] == shown


@pytest.mark.parametrize(
    ("timezone", "day", "at", "first"),
    [
        (NEW_YORK, "2026-11-01", "30 1 * * *", "01:30-04:00"),
        (NEW_YORK, "2027-11-07", "30 1 * * *", "01:30-04:00"),
        ("Europe/London", "2026-10-25", "30 1 * * *", "01:30+01:00"),
        ("Europe/London", "2027-10-31", "30 1 * * *", "01:30+01:00"),
        ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", "01:45+11:00"),
        ("Antarctica/Troll", "2026-10-25", "30 1 * * *", "01:30+02:00"),
    ],
)
def test_a_local_time_that_repeats_fires_once_in_the_first_pass(timezone: str, day: str, at: str, first: str) -> None:
    assert local_times(at, timezone, day) == [first]


def test_a_schedule_of_every_hour_follows_the_clock_through_both_passes() -> None:
    assert len(local_times("0 * * * *", NEW_YORK, "2026-11-01")) == 25
    assert len(local_times("0 * * * *", NEW_YORK, "2026-03-08")) == 23
    assert len(local_times("*/15 * * * *", "Australia/Lord_Howe", "2026-04-05")) == 98


def test_the_hour_field_alone_decides_who_follows_the_clock() -> None:
    assert len(local_times("*/15 1 * * *", NEW_YORK, "2026-11-01")) == 4
    assert len(local_times("* 1 * * *", NEW_YORK, "2026-11-01")) == 60
    assert len(local_times("0 0-23 * * *", NEW_YORK, "2026-11-01")) == 24
    assert len(local_times("30 */1 * * *", NEW_YORK, "2026-11-01")) == 25
    assert len(local_times("0 */2 * * *", "Antarctica/Troll", "2026-10-25")) == 13


def test_fields_have_the_same_policy_as_crontab_strings() -> None:
    day = datetime(2026, 11, 1, tzinfo=ZoneInfo(NEW_YORK))
    fixed = CronTrigger(hour=1, minute="*/15", timezone=NEW_YORK)
    follows = CronTrigger(minute="*/15", timezone=NEW_YORK)
    assert fixed.span(day, day + timedelta(days=1)).count == 4
    assert follows.span(day, day + timedelta(days=1)).count == 100


@pytest.mark.parametrize("at", ["0 0 {}", "30 0 {}", "59 0 {}"])
@pytest.mark.parametrize("days", ["* * *", "* * mon", "1 * *"])
@pytest.mark.parametrize(
    "timezone",
    [NEW_YORK, "America/Los_Angeles", "Europe/London", "Europe/Berlin", "Australia/Sydney", "Australia/Lord_Howe"],
)
def test_nothing_is_lost_or_doubled_after_midnight_over_two_years(timezone: str, days: str, at: str) -> None:
    """APScheduler loses a whole day, week or month there (its issues 606 and 529)."""
    expression = at.format(days)
    due = next_fire_times(expression, timezone, datetime(2026, 1, 1, tzinfo=UTC), 800)
    due = [moment for moment in due if moment.year < 2028]
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(timezone))
    named = [start.replace(tzinfo=None) + timedelta(days=n) for n in range(-1, 730)]
    hour, minute = due[0].hour, due[0].minute
    wanted = [
        day.replace(hour=hour, minute=minute)
        for day in named
        if (days != "* * mon" or day.weekday() == 0) and (days != "1 * *" or day.day == 1)
    ]
    after = datetime(2026, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    assert [moment.replace(tzinfo=None) for moment in due] == [day for day in wanted if after < day]


@pytest.mark.parametrize("expression", ["38 * * 4 2,6", "38 * 4 4 *"])
def test_the_second_pass_counts_also_when_the_next_day_is_far_away(expression: str) -> None:
    """At midnight the clock of Santiago goes back to 23:00 of a Saturday; the next time it names is on Tuesday."""
    second_pass = datetime(2020, 4, 5, 3, 38, tzinfo=UTC)
    trigger = CronTrigger.from_crontab(expression, "America/Santiago")
    found = trigger.next_after(second_pass - timedelta(hours=1))
    assert found is not None
    assert found.astimezone(UTC) == second_pass
    later = trigger.span(second_pass, second_pass + timedelta(minutes=5))
    assert later.count == 0
    window = trigger.span(second_pass - timedelta(minutes=70), second_pass)
    assert window.last is not None
    assert window.last.astimezone(UTC) == second_pass


def test_looking_back_from_a_second_pass_finds_the_first_pass_though_its_clock_is_ahead() -> None:
    trigger = CronTrigger.from_crontab("30 23 4 4 *", "America/Santiago")
    second_pass = datetime(2020, 4, 5, 3, 10, tzinfo=UTC)
    last = trigger.span(datetime(2019, 1, 1, tzinfo=UTC), second_pass).last
    assert last is not None
    assert last.isoformat() == "2020-04-04T23:30:00-03:00"


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and a moment some hours before one of its clock changes between 2000 and 2037."""
    name = draw(st.sampled_from(ZONES))
    start = datetime(draw(st.integers(2000, 2036)), 1, 1, tzinfo=UTC)
    changes = [piece.start for piece in zone(name).changes(seconds(start), seconds(start) + 366 * 86_400)]
    at = draw(st.sampled_from(changes)) if changes else seconds(start) + 86_400 * draw(st.integers(1, 360))
    return name, EPOCH + timedelta(minutes=at // 60 - 36 * 60)


@given(lines(), windows(), st.sampled_from(["skip", "end"]), st.sampled_from([None, -1, 0, 1]))
@examples(400)
def test_it_agrees_with_a_scan_of_every_minute_around_a_change(
    one: Line, window: tuple[str, datetime], gap: str, day: int | None
) -> None:
    """``day``: the line follows the clock, only on the day of the change or on the one before or after."""
    name, first = window
    count = 4 * 24 * 60
    if day is not None:
        at = (first + timedelta(hours=36)).astimezone(ZoneInfo(name)) + timedelta(days=day)
        one = line(f"{one.text.split()[0]} * {at.day} * *")
    trigger = CronTrigger(crontab=one.text, timezone=name, gap=gap)
    wanted = due_minutes(one, name, first, count, gap)
    until = first + timedelta(minutes=count - 1)
    found = trigger.between(first - timedelta(seconds=1), until, count)
    assert [moment.astimezone(UTC) for moment in found] == wanted
    span = trigger.span(first - timedelta(seconds=1), until)
    assert span.count == len(wanted)
    assert (span.first, span.last) == ((found[0], found[-1]) if found else (None, None))
    for moment in wanted[-20:]:
        just_before = moment - timedelta(seconds=1)
        assert trigger.span(first - timedelta(seconds=1), moment).last == trigger.next_after(just_before)
        assert trigger.span(just_before, moment).count == 1
        assert trigger.span(moment, moment + timedelta(seconds=59)).count == 0


YEARS = [
    ("America/New_York", 2026),
    ("Europe/Berlin", 2027),
    ("Australia/Lord_Howe", 2026),
    ("America/Sao_Paulo", 2018),
    ("America/St_Johns", 2010),
    ("America/Caracas", 2016),
    ("America/Havana", 2012),
    ("Africa/Casablanca", 2016),
    ("Africa/Cairo", 2014),
    ("Asia/Gaza", 2011),
    ("Asia/Pyongyang", 2015),
    ("Asia/Tehran", 2022),
    ("Pacific/Apia", 2011),
    ("Pacific/Kwajalein", 1993),
    ("Antarctica/Troll", 2026),
    ("Antarctica/Casey", 2010),
    ("Europe/London", 2038),
]
YEAR_LINES = [
    line(text) for text in ("30 2 * * *", "0,59 0 * * 1-5", "15 23 31 * *", "*/20 */3 * * *", "5 0-3 1,29 * 0")
]


@pytest.mark.parametrize(("timezone", "year"), YEARS)
def test_it_agrees_with_a_scan_of_every_minute_of_a_year(timezone: str, year: int) -> None:
    """Pauses for Ramadan, a day that was left out, changes of half an hour, at midnight and at one minute past."""
    start, minutes = datetime(year, 1, 1, tzinfo=UTC), 365 * 24 * 60
    tz, first = ZoneInfo(timezone), int(start.timestamp())
    wanted: dict[str, list[int]] = {one.text: [] for one in YEAR_LINES}
    times = [(one, {60 * h + m for h in one.hours for m in one.minutes}) for one in YEAR_LINES]
    for n in range(minutes):
        local = datetime.fromtimestamp(first + 60 * n, tz)
        of_day = 60 * local.hour + local.minute
        for one, named in times:
            if of_day in named and one.names(local) and (one.hour_star or not local.fold):
                wanted[one.text].append(first + 60 * n)
    until = start + timedelta(minutes=minutes - 1)
    for one in YEAR_LINES:
        trigger = CronTrigger.from_crontab(one.text, timezone)
        found = trigger.between(start - timedelta(seconds=1), until, minutes)
        assert [int(moment.timestamp()) for moment in found] == wanted[one.text]
        assert trigger.span(start - timedelta(seconds=1), until).count == len(found)
