"""Why a schedule is not due at a moment, in the order in which the reasons decide."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from webapp.domain import absence
from webapp.domain.schedules import Schedule, load

DAILY = {"kind": "cron", "hour": "2", "minute": "30", "timezone": "America/New_York"}


def reasons(spec: dict[str, Any], moment: datetime) -> list[tuple[str, str]]:
    return [(each.code, each.text) for each in absence.find(load(spec, job_id="a"), moment)]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_a_moment_off_the_grid_is_told_by_the_schedule_and_its_neighbours() -> None:
    assert reasons(DAILY, utc(2026, 6, 1, 12)) == [
        ("schedule", "Its schedule: At 02:30 every day (America/New_York)."),
        ("due_before", "The due time before was 02:30 on 1 June 2026 (America/New_York)."),
        ("due_after", "The due time after is 02:30 on 2 June 2026 (America/New_York)."),
    ]


@pytest.mark.parametrize("minute", [30, 59])
def test_a_local_time_that_the_clock_skips_is_the_first_reason(minute: int) -> None:
    code, text = reasons(DAILY, utc(2026, 3, 8, 7, minute))[0]
    assert code == "clock_change"
    assert text == "On 8 March 2026 the clock goes from 02:00 to 03:00: 02:30 does not exist and is skipped."


def test_the_second_pass_of_a_repeated_hour_does_not_count() -> None:
    daily = {**DAILY, "hour": "1"}
    code, text = reasons(daily, utc(2026, 11, 1, 6, 30))[0]
    assert code == "clock_change"
    assert "01:30 comes twice and runs the first time only" in text


def test_a_clock_change_of_another_hour_is_no_reason() -> None:
    assert reasons(DAILY, utc(2026, 3, 8, 12))[0][0] == "schedule"
    assert reasons({**DAILY, "hour": "1"}, utc(2026, 11, 1, 5, 40))[0][0] == "schedule"


def test_before_the_start_and_after_the_end_are_reasons() -> None:
    bounded = {**DAILY, "start_date": "2026-05-01T00:00:00-04:00", "end_date": "2026-05-31T00:00:00-04:00"}
    early, late = reasons(bounded, utc(2026, 4, 1)), reasons(bounded, utc(2026, 6, 1))
    assert early[0] == ("before_start", "Its schedule begins only at 00:00 on 1 May 2026 (America/New_York).")
    assert [code for code, _ in early][-1] == "due_after"
    assert late[0] == ("after_end", "Its schedule ended at 00:00 on 31 May 2026 (America/New_York).")
    assert late[1] == ("finished", "After this moment its schedule is never due again.")


COMBINED: dict[str, Any] = {
    "kind": "combined",
    "any": [{"kind": "cron", "minute": "0"}],
    "except": [{"kind": "cron", "hour": "13"}],
    "calendars": [{"name": "Holidays", "days": ["2026-12-25"]}, {"name": "Winter", "days": ["2026-12-24/2026-12-26"]}],
    "timezone": "UTC",
}


def test_an_excluded_time_names_its_calendars() -> None:
    assert reasons(COMBINED, utc(2026, 12, 25, 10, 0, 20))[0] == (
        "calendar",
        "10:00 on 25 December 2026 (UTC) is excluded by the calendars “Holidays” and “Winter”.",
    )
    assert "by the calendar “Winter”." in reasons(COMBINED, utc(2026, 12, 24, 10))[0][1]


def test_an_exception_is_named_by_what_it_says() -> None:
    code, text = reasons(COMBINED, utc(2026, 6, 1, 13))[0]
    assert code == "exception"
    assert text.startswith("13:00 on 1 June 2026 (UTC) is taken away by an exception: ")
    assert "13" in text.partition(": ")[2]


def test_an_excluded_day_says_nothing_of_moments_that_would_not_be_due_anyway() -> None:
    assert reasons(COMBINED, utc(2026, 12, 25, 10, 30))[0][0] == "schedule"


def test_the_last_due_time_until_a_moment_counts_delays() -> None:
    jittered = load({"kind": "interval", "minutes": 10, "jitter": 500, "start_date": "2026-06-01T00:00:00+00:00",
                     "timezone": "UTC"}, job_id="a")  # fmt: skip
    times = jittered.between(utc(2026, 6, 1), utc(2026, 6, 2), 50)
    assert [jittered.last_until(each) for each in times] == times
    assert empty().last_until(utc(2026, 6, 1)) is None


def empty() -> Schedule:
    return load({"kind": "date", "run_date": "2027-01-01T00:00:00+00:00", "timezone": "UTC"})
