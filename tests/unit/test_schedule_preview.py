"""Due times as pages show them, and any day simulated."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from webapp.domain import preview, schedules
from webapp.domain.preview import PreviewRow

NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)


def berlin(expression: str, **others: Any) -> schedules.Schedule:
    return schedules.load({"kind": "cron", "crontab": expression, "timezone": "Europe/Berlin", **others})


def told(rows: list[PreviewRow]) -> list[str]:
    return [f"{row.text} {row.note}".strip() for row in rows]


def test_a_row_has_the_time_in_three_zones() -> None:
    (row,) = preview.rows(berlin("0 12 * * *"), NOW, 1, "America/New_York")
    assert row.utc.isoformat() == "2026-03-28T11:00:00+00:00"
    assert row.local.isoformat() == "2026-03-28T12:00:00+01:00"
    assert row.viewer.isoformat() == "2026-03-28T07:00:00-04:00"
    assert (row.text, row.note, row.skipped, row.repeated) == ("2026-03-28 12:00", "", False, False)


def test_times_that_a_clock_change_skips_are_shown_between_the_others() -> None:
    rows = preview.rows(berlin("*/20 2 * * *"), NOW, 6, "UTC")
    assert told(rows) == [
        "2026-03-28 02:00", "2026-03-28 02:20", "2026-03-28 02:40",
        "2026-03-29 02:00 to 02:40 (3 times) skipped: the clock goes from 02:00 to 03:00",
        "2026-03-30 02:00", "2026-03-30 02:20", "2026-03-30 02:40",
    ]  # fmt: skip
    assert [row.skipped for row in rows] == [False] * 3 + [True] + [False] * 3
    assert rows[3].utc == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_moved_time_says_what_it_stands_for() -> None:
    rows = preview.rows(berlin("30 2 * * *", gap="end"), NOW, 3, "UTC")
    assert told(rows) == [
        "2026-03-28 02:30",
        "2026-03-29 03:00 stands for 02:30, which the clock skips",
        "2026-03-30 02:30",
    ]


def test_repeated_times_are_marked() -> None:
    night = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    fixed = preview.rows(berlin("30 2 * * *"), night, 2, "UTC")
    assert told(fixed) == ["2026-10-25 02:30 comes twice, runs the first time only", "2026-10-26 02:30"]
    assert [row.repeated for row in fixed] == [True, False]
    follows = preview.rows(berlin("30 * * * *"), night, 3, "UTC")
    assert told(follows) == [
        "2026-10-25 02:30 comes twice, this is the first time",
        "2026-10-25 02:30 comes twice, this is the second time",
        "2026-10-25 03:30",
    ]


def test_jitter_shows_what_was_planned_and_how_late_it_can_be() -> None:
    (row,) = preview.rows(berlin("0 12 * * *", jitter=90), NOW, 1, "UTC")
    assert row.note == "planned for 12:00, up to 1 minute and 30 seconds later"
    assert timedelta(0) <= row.utc - datetime(2026, 3, 28, 11, tzinfo=UTC) <= timedelta(seconds=90)


def test_there_are_fewer_rows_when_the_schedule_ends_and_none_when_it_is_over() -> None:
    once = schedules.load({"kind": "date", "run_date": "2026-04-01T00:00:00+00:00"})
    assert told(preview.rows(once, NOW, 10, "UTC")) == ["2026-04-01 00:00"]
    assert preview.rows(once, datetime(2026, 5, 1, tzinfo=UTC), 10, "UTC") == []
    assert len(preview.rows(berlin("* * * * *"), NOW, 10_000, "UTC")) == preview.MOST_ROWS


@pytest.mark.parametrize(
    ("expression", "day", "count", "hours"),
    [
        ("*/20 2 * * *", date(2026, 3, 28), 3, 24), ("*/20 2 * * *", date(2026, 3, 29), 0, 23),
        ("*/20 2 * * *", date(2026, 10, 25), 3, 25), ("*/20 * * * *", date(2026, 10, 25), 75, 25),
        ("* * * * * *", date(2026, 3, 29), 23 * 3600, 23), ("0 0 * * *", date(1999, 1, 1), 1, 24),
    ],
)  # fmt: skip
def test_any_day_can_be_simulated(expression: str, day: date, count: int, hours: int) -> None:
    seen = preview.day(berlin(expression), day, "UTC")
    assert (seen.count, seen.length_s) == (count, hours * 3600)
    assert len([row for row in seen.rows if not row.skipped]) == min(count, 100)
    assert {row.local.date() for row in seen.rows} <= {day}


def test_a_simulated_day_shows_what_it_skips() -> None:
    seen = preview.day(berlin("30 2 * * *"), date(2026, 3, 29), "UTC")
    assert told(seen.rows) == ["2026-03-29 02:30 skipped: the clock goes from 02:00 to 03:00"]


def test_a_day_that_a_zone_left_out_is_empty_and_says_so() -> None:
    apia = schedules.load({"kind": "cron", "crontab": "0 12 * * *", "timezone": "Pacific/Apia"})
    seen = preview.day(apia, date(2011, 12, 30), "UTC")
    assert (seen.count, seen.length_s) == (0, 0)
    jump = "the clock goes from 00:00 on 30 December 2011 to 00:00 on 31 December 2011"
    assert told(seen.rows) == [f"2011-12-30 12:00 skipped: {jump}"]


def test_a_day_whose_midnight_is_skipped_begins_later() -> None:
    beirut = schedules.load({"kind": "cron", "crontab": "0 0-2 * * *", "timezone": "Asia/Beirut"})
    seen = preview.day(beirut, date(2026, 3, 29), "UTC")
    assert told(seen.rows) == [
        "2026-03-29 00:00 skipped: the clock goes from 00:00 to 01:00",
        "2026-03-29 01:00",
        "2026-03-29 02:00",
    ]


def test_the_first_rows_of_a_long_day_are_shown() -> None:
    seen = preview.day(berlin("*/5 * * * *"), date(2026, 3, 29), "UTC", limit=12)
    assert (len(seen.rows), seen.count) == (12, 276)
    assert seen.rows[-1].text == "2026-03-29 00:55"
