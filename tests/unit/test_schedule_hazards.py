"""What may surprise the owner of a schedule, with the date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from webapp.domain import hazards, schedules
from webapp.domain.hazards import Hazard

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def found(expression: str, **others: Any) -> list[Hazard]:
    spec = {"kind": "cron", "crontab": expression, "timezone": "Europe/Berlin", **others}
    return hazards.find(schedules.load(spec), NOW)


def only(code: str, all_of_them: list[Hazard]) -> Hazard:
    (one,) = [hazard for hazard in all_of_them if hazard.code == code]
    return one


GOES = "On 29 March 2026 the clock goes from 02:00 to 03:00: "


@pytest.mark.parametrize(
    ("expression", "others", "message"),
    [
        ("30 2 * * *", {}, f"{GOES}02:30 does not exist and is skipped."),
        ("*/5 2 * * *", {}, f"{GOES}02:00 to 02:55 (12 times) do not exist and are skipped."),
        ("30 2 * * *", {"gap": "end"}, f"{GOES}02:30 does not exist and runs at 03:00 instead."),
        (
            "*/5 2 * * *",
            {"gap": "end"},
            f"{GOES}02:00 to 02:55 (12 times) do not exist and run once, at 03:00 instead.",
        ),
        ("0 * * * *", {}, f"{GOES}02:00 is not there, and the schedule goes on with the clock."),
        ("0 */2 * * *", {}, f"{GOES}02:00 does not exist and is skipped."),
    ],
)
def test_the_next_clock_change_and_what_it_will_do(expression: str, others: dict[str, Any], message: str) -> None:
    assert only(hazards.CLOCK_CHANGE, found(expression, **others)) == Hazard("clock_change", date(2026, 3, 29), message)


def test_a_clock_set_back_is_told_too() -> None:
    back = "On 25 October 2026 the clock goes from 03:00 to 02:00: "
    once = found("30 2 * 10 *")
    assert only(hazards.CLOCK_CHANGE, once).message == f"{back}02:30 comes twice and runs the first time only."
    twice = found("30 * * 10 *")
    assert only(hazards.CLOCK_CHANGE, twice).message == f"{back}02:30 comes twice and runs both times."
    midnight = found("30 23 * * *", timezone="America/Santiago")
    assert "the clock goes from 00:00 on 5 April 2026 to 23:00 on 4 April 2026" in midnight[0].message


def test_schedules_that_no_change_touches_have_no_hazard() -> None:
    assert found("0 12 * * *") == []
    assert found("30 2 * * 1") == []
    assert found("30 2 * * *", timezone="UTC") == []
    assert found("30 2 * * *", end_date="2026-03-28T00:00:00+01:00") == []


def test_the_next_change_is_the_next_that_matters_not_the_next_there_is() -> None:
    last_sunday = only(hazards.CLOCK_CHANGE, found("0 2 L * *"))
    assert last_sunday.date == date(2027, 10, 31)


@pytest.mark.parametrize(
    ("unit", "touched"),
    [
        ({"hours": 24}, True),
        ({"weeks": 1}, True),
        ({"hours": 6}, True),
        ({"hours": 7}, False),
        ({"minutes": 30}, False),
    ],
)
def test_an_interval_that_keeps_its_local_time_is_told_that_it_will_move(unit: dict[str, int], touched: bool) -> None:
    spec = {"kind": "interval", "start_date": "2026-03-01T09:00:00+01:00", "timezone": "Europe/Berlin", **unit}
    messages = [hazard.message for hazard in hazards.find(schedules.load(spec), NOW)]
    assert messages == ([f"{GOES}its runs then come 1 hour later by the clock."] if touched else [])


@pytest.mark.parametrize(
    ("expression", "month", "day"),
    [
        ("0 0 31 * *", date(2026, 4, 1), 31),
        ("0 0 30 * *", date(2027, 2, 1), 30),
        ("0 0 15,31 * *", date(2026, 4, 1), 31),
    ],
)
def test_months_without_the_day_are_named(expression: str, month: date, day: int) -> None:
    hazard = only(hazards.SHORT_MONTH, found(expression))
    assert hazard.date == month
    assert f"no day {day}, so that run is left out: the next is {month:%B} {month.year}" in hazard.message


def test_month_ends_that_are_no_surprise_are_not_told() -> None:
    for expression in ("0 0 L * *", "0 0 31 1,3 *", "0 0 */2 * *", "0 0 28 * *", "0 0 1-31 * 1", "0 0 31 * *"):
        others = {"end_date": "2026-03-30T00:00:00+02:00"} if expression == "0 0 31 * *" else {}
        if not others:
            assert hazards.SHORT_MONTH not in {hazard.code for hazard in found(expression)}, expression


def test_leap_days_and_fifth_weekdays_are_told() -> None:
    leap = found("0 0 29 2 *")
    assert only(hazards.FAR_OFF, leap) == Hazard(
        "far_off", date(2028, 2, 29), "The next run is only on 29 February 2028."
    )
    assert only(hazards.SHORT_MONTH, leap).date == date(2027, 2, 1)
    fifth = only(hazards.SHORT_MONTH, found("0 0 * * mon#5"))
    assert fifth.date == date(2026, 4, 1)
    assert "no 5th Monday" in fifth.message


def test_the_or_of_two_day_fields_is_told() -> None:
    hazard = only(hazards.EITHER_DAY, found("0 0 13 * fri"))
    assert hazard.message.endswith("this runs on the 13th of the month and also on every Friday.")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("*/7 * * * *", "*/7 in the minute field is not even: after minute 56 the count starts anew with the next"),
        ("0 */5 * * *", "*/5 in the hour field is not even: after hour 20 the count starts anew with the next day."),
        ("0 0 */2 * *", "*/2 in the day field is not even: after day 31 the count starts anew with the next month."),
        ("*/90 * * * *", "*/90 in the minute field is not every 90 minutes, but once every hour."),
    ],
)  # fmt: skip
def test_uneven_steps_are_told(expression: str, message: str) -> None:
    assert only(hazards.UNEVEN_STEP, found(expression, timezone="UTC")).message.startswith(message)


def test_even_steps_are_not() -> None:
    assert found("*/15 */6 * * *", timezone="UTC") == []


def test_due_times_closer_together_than_a_run_takes() -> None:
    schedule = schedules.load({"kind": "cron", "crontab": "0,20 * * * *"})
    hazard = only(hazards.TOO_CLOSE, hazards.find(schedule, NOW, usual_duration_s=1500.4))
    assert hazard.message == "Runs are due 20 minutes apart at the closest, but one usually takes 25 minutes."
    assert hazards.find(schedule, NOW, usual_duration_s=600) == []
    both = schedules.load(
        {"kind": "combined", "any": [{"kind": "cron", "hour": 2}, {"kind": "cron", "hour": 2, "minute": 1}]}
    )
    assert only(hazards.TOO_CLOSE, hazards.find(both, NOW, usual_duration_s=90)).message.startswith(
        "Runs are due 1 minute apart"
    )


def test_what_never_fires_again() -> None:
    over = schedules.load({"kind": "date", "run_date": "2026-01-01T00:00:00+00:00"})
    assert hazards.find(over, NOW) == [Hazard(hazards.NEVER_FIRES, None, "This never fires again.")]


def test_twins_are_found_however_they_are_written() -> None:
    def cron(expression: str, **others: Any) -> schedules.Schedule:
        return schedules.load({"kind": "cron", "crontab": expression, **others})

    others = {
        "nightly": cron("0 2 * * *"),
        "Berlin": cron("0 2 * * *", timezone="Europe/Berlin"),
        "fields": schedules.load({"kind": "cron", "hour": "2", "jitter": 60}),
        "interval": schedules.load({"kind": "interval", "days": 1, "start_date": "2026-01-01T02:00:00+00:00"}),
        "hourly": cron("0 * * * *"),
        "over": cron("0 2 * * *", end_date="2026-01-01T00:00:00+00:00"),
    }
    twin = only(hazards.TWIN, hazards.find(cron("00 02 * * *"), NOW, others=others))
    assert twin.message == "Due at the same times as “nightly”, “fields” and “interval”."
    many = {f"job {n}": cron("0 2 * * *") for n in range(5)}
    assert only(hazards.TWIN, hazards.find(cron("0 2 * * *"), NOW, others=many)).message.endswith("“job 2” and 2 more.")


def test_each_part_of_a_combination_has_its_own() -> None:
    parts = [{"kind": "cron", "crontab": "30 2 * * *"}, {"kind": "cron", "crontab": "0 0 31 * *"}]
    schedule = schedules.load({"kind": "combined", "any": parts, "timezone": "Europe/Berlin"})
    all_of_them = hazards.find(schedule, NOW)
    assert {hazard.code for hazard in all_of_them} == {hazards.CLOCK_CHANGE, hazards.SHORT_MONTH}
    assert only(hazards.CLOCK_CHANGE, all_of_them).message.startswith("At 02:30 every day (Europe/Berlin): On 29 March")
