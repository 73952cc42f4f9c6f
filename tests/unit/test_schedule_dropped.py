"""What calendars and exceptions take away, as previews tell it; shared calendars inside schedules."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from webapp.domain import calendars, dropped, hazards, preview, schedules

NOW = datetime(2026, 12, 21, 12, tzinfo=UTC)
HOLIDAYS = {"name": "Holidays", "yearly": ["12-25", "12-26"], "timezone": "Europe/Berlin"}
WEEKENDS = {"name": "Weekends", "weekdays": ["sat", "sun"]}


def combined(crontab: str, *closed: Any, **others: Any) -> schedules.Schedule:
    part = {"kind": "cron", "crontab": crontab}
    spec = {"kind": "combined", "any": [part], "calendars": list(closed), "timezone": "Europe/Berlin", **others}
    return schedules.parse(spec, now=NOW)


def told(schedule: schedules.Schedule, count: int) -> list[str]:
    return [f"{row.text} {row.note}".strip() for row in preview.rows(schedule, NOW, count, "UTC")]


def test_a_preview_shows_what_a_calendar_leaves_out_between_the_due_times() -> None:
    assert told(combined("0 9 * * *", HOLIDAYS), 5) == [
        "2026-12-22 09:00",
        "2026-12-23 09:00",
        "2026-12-24 09:00",
        "2026-12-25 09:00 to 2026-12-26 09:00 (2 times) left out: “Holidays”",
        "2026-12-27 09:00",
        "2026-12-28 09:00",
    ]


def test_many_times_are_one_line_and_every_cause_is_named() -> None:
    fridays = {"kind": "cron", "crontab": "0 23 * * fri"}
    assert told(combined("*/15 * * * fri,sat", HOLIDAYS, WEEKENDS), 1) == [
        "2026-12-25 00:00 to 2026-12-26 23:45 (192 times) left out: “Holidays” and “Weekends”",
        "2027-01-01 00:00",
    ]
    assert told(combined("0 23 * * *", WEEKENDS, **{"except": [fridays]}), 5)[-2:] == [
        "2026-12-25 23:00 to 2026-12-27 23:00 (3 times) left out: an exception and “Weekends”",
        "2026-12-28 23:00",
    ]


def test_a_dropped_row_stands_at_its_first_moment_and_is_marked() -> None:
    rows = preview.rows(combined("0 9 * * *", HOLIDAYS), NOW, 5, "America/New_York")
    (lost,) = [row for row in rows if row.dropped]
    assert lost.utc == datetime(2026, 12, 25, 8, tzinfo=UTC)
    assert lost.local.isoformat() == "2026-12-25T09:00:00+01:00"
    assert lost.viewer.isoformat() == "2026-12-25T03:00:00-05:00"
    assert not lost.skipped


def test_a_simulated_day_shows_what_is_left_out_of_it() -> None:
    closing = {"name": "Evening", "hours": [{"from": "18:00", "to": "24:00"}], "timezone": "Europe/Berlin"}
    shown = preview.day(combined("0 */8 * * *", closing), date(2026, 12, 25), "UTC")
    assert [f"{row.text} {row.note}".strip() for row in shown.rows] == [
        "2026-12-25 00:00",
        "2026-12-25 08:00",
        "2026-12-25 16:00",
    ]
    shown = preview.day(combined("0 */6 * * *", closing), date(2026, 12, 25), "UTC")
    assert [row.text for row in shown.rows if row.dropped] == ["2026-12-25 18:00"]
    whole = preview.day(combined("0 */6 * * *", HOLIDAYS), date(2026, 12, 25), "UTC")
    assert (whole.count, [row.text for row in whole.rows]) == (0, ["2026-12-25 00:00 to 18:00 (4 times)"])
    cut = preview.day(combined("* * * * *", closing), date(2026, 12, 25), "UTC", limit=5)
    assert (cut.count, [row.dropped for row in cut.rows]) == (1080, [False] * 5)


def test_a_schedule_without_exceptions_drops_nothing() -> None:
    plain = schedules.parse({"kind": "cron", "crontab": "0 9 * * *"}, now=NOW)
    assert dropped.between(plain, NOW, [NOW + timedelta(days=9)]) == []
    assert dropped.between(combined("0 9 * * *"), NOW, [NOW + timedelta(days=9)]) == []


def test_the_count_agrees_with_the_list_of_what_is_dropped() -> None:
    schedule = combined("*/7 * * * *", HOLIDAYS, WEEKENDS)
    due = schedule.between(NOW, NOW + timedelta(days=30), 2000)
    lines = dropped.between(schedule, NOW, due)
    listed = schedule.dropped_between(NOW, due[-1], 100_000)  # type: ignore[attr-defined]
    assert sum(line.count for line in lines) == len(listed) > 1000
    assert {line.first for line in lines} <= set(listed)
    assert {line.last for line in lines} <= set(listed)


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (["2026-12-24/2026-12-28"], ["“List” holds no day after 28 December 2026."]),
        (["2020-01-01/2020-01-05"], ["“List” holds no day after 5 January 2020."]),
        (["2027-12-24/2027-12-28"], []),
        (["2026-12-24/2026-12-27"], []),  # too short to be a list that somebody continues
    ],
)
def test_a_list_of_days_that_runs_out_is_a_hazard(days: list[str], found: list[str]) -> None:
    schedule = combined("0 9 * * *", {"name": "List", "days": days})
    told_hazards = [each for each in hazards.find(schedule, NOW) if each.code == hazards.CALENDAR_ENDS]
    assert [each.message for each in told_hazards] == found
    for more in ({"yearly": ["12-25"]}, {"weekdays": ["sun"]}):
        endless = combined("0 9 * * *", {"name": "List", "days": days, **more})
        assert hazards.CALENDAR_ENDS not in {each.code for each in hazards.find(endless, NOW)}


def shared() -> calendars.Calendar:
    return replace(calendars.read(HOLIDAYS), shared=True)


def test_a_spec_names_a_shared_calendar_and_holds_any_other_whole() -> None:
    schedule = combined("0 9 * * *", shared(), WEEKENDS)
    assert schedule.spec()["calendars"] == ["Holidays", WEEKENDS]
    assert "“Holidays” (2 yearly days)" in schedule.words()


def test_a_pickled_schedule_needs_nobody_to_look_up_its_shared_calendars() -> None:
    schedule = combined("0 9 * * *", shared(), WEEKENDS)
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert again.spec() == schedule.spec()
    assert json.loads(json.dumps(schedule.__getstate__())) == schedule.__getstate__()


def test_schedules_with_other_contents_under_one_name_are_not_equal() -> None:
    other = replace(calendars.read({"name": "Holidays", "yearly": ["12-24"]}), shared=True)
    assert combined("0 9 * * *", shared()).spec() == combined("0 9 * * *", other).spec()
    assert combined("0 9 * * *", shared()) != combined("0 9 * * *", other)
    assert combined("0 9 * * *", shared()) == combined("0 9 * * *", shared())
