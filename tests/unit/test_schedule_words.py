"""Schedules in plain English, which must agree with what they do."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.schedule_reference import THOROUGH, random_line
from webapp.domain import schedules, words
from webapp.domain.cron import CronTrigger
from webapp.domain.errors import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("*/30 * * * *", "Every 30 minutes"),
        ("*/7 * * * *", "Every 7 minutes from minute 0 to 56 of every hour"),
        ("5-59/15 * * * *", "Every 15 minutes from minute 5 to 50 of every hour"),
        ("0 * * * *", "Every hour"),
        ("5 * * * *", "Every hour at minute 5"),
        ("1-10 * * * *", "At minutes 1 to 10 of every hour"),
        ("0 */2 * * *", "Every 2 hours from 00:00 as the clock shows it"),
        ("5 */6 * * *", "Every 6 hours from 00:05 as the clock shows it"),
        ("0 */5 * * *", "On the hour of the hours 00, 05, 10, 15 and 20 as the clock shows them"),
        ("*/5 */2 * * *", "Every 5 minutes of every 2nd hour"),
        ("0 0-23 * * *", "Every hour from 00:00 to 23:00 every day"),
        ("0 2 * * *", "At 02:00 every day"),
        ("0,30 1 * * *", "At 01:00 and 01:30 every day"),
        ("0 8-20/4 * * *", "At 08:00, 12:00, 16:00 and 20:00 every day"),
        ("0 8-20/2 * * *", "Every 2 hours from 08:00 to 20:00 every day"),
        ("0 9-17 * * 1-5", "Every hour from 09:00 to 17:00, Monday to Friday"),
        ("*/15 9-17 * * 1-5", "Every 15 minutes in the hours 09 to 17, Monday to Friday"),
        ("30 9 * * mon-fri", "At 09:30, Monday to Friday"),
        ("0 1 * * 0,6", "At 01:00 every Saturday and Sunday"),
        ("0 0 * * 1", "At 00:00 every Monday"),
        ("0 0 1 * *", "At 00:00 on the 1st of the month"),
        ("0 0 2,3,11,12,13,22 * *", "At 00:00 on the 2nd, the 3rd, the 11th to 13th and the 22nd of the month"),
        ("0 0 */2 * *", "At 00:00 on every 2nd day from the 1st to the 31st of the month"),
        ("0 0 L * *", "At 00:00 on the last day of the month"),
        ("0 0 15,L 1-3,7 *", "At 00:00 on the 15th and the last day of January to March and July"),
        ("0 0 * * fri#2,5L", "At 00:00 on the 2nd Friday of the month and the last Friday of the month"),
        ("0 0 13 * fri", "At 00:00 on the 13th of the month and also on every Friday"),
        ("0 0 */2 * fri", "At 00:00 on every 2nd day from the 1st to the 31st of the month if that is Friday"),
        ("0 0 1-31 * mon", "At 00:00 every day"),
        ("0 0 * feb *", "At 00:00 every day in February"),
        ("* * * feb *", "Every minute in February"),
        ("*/10 * * * * *", "Every 10 seconds"),
        ("* * * * * *", "Every second"),
        ("15 30 2 * * *", "At 02:30:15 every day"),
        ("30 * 3 * * *", "Every minute in the hour 03, 30 seconds past the minute every day"),
        ("5,10 30 2 * * *", "At seconds 5 and 10 of minute 30 in the hour 02 every day"),
        ("@yearly", "At 00:00 on the 1st of January"),
    ],
)
def test_crontab_strings_in_words(expression: str, text: str) -> None:
    assert CronTrigger.from_crontab(expression, "Europe/Berlin").words() == f"{text} (Europe/Berlin)"


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"week": "1-10", "day_of_week": "mon", "hour": 3}, "At 03:00 every Monday in ISO weeks 1 to 10"),
        ({"year": "2026-2028", "month": 1}, "At 00:00 on the 1st of January in 2026 to 2028"),
        ({"year": "2026,2030", "month": 1}, "At 00:00 on the 1st of January in 2026 and 2030"),
        ({"year": "2026/4", "month": 1}, "At 00:00 on the 1st of January in every 4th year from 2026 to 2198"),
        ({"day": "1st mon,last fri,last"}, "At 00:00 on the 1st Monday, the last Friday and the last day of the month"),
        ({"day": "13", "day_of_week": "fri"}, "At 00:00 on the 13th of the month if that is Friday"),
        (
            {"hour": 2, "gap": "end"},
            "At 02:00 every day, times that a clock change skips at the end of the gap",
        ),
        ({"minute": 0, "gap": "end"}, "Every hour"),
        (
            {"hour": 2, "start_date": "2026-05-01", "end_date": "2026-06-01T10:30:15", "jitter": 1},
            "At 02:00 every day, from 1 May 2026 00:00, until 1 June 2026 10:30:15, "
            "each time up to 1 second later at random",
        ),
        ({"minute": "*/20", "spread": 600}, "Every 20 minutes, always later by the same share of 600 seconds"),
    ],
)
def test_fields_bounds_and_delays_in_words(keywords: dict[str, Any], text: str) -> None:
    assert words.describe(CronTrigger(**keywords)) == f"{text} (UTC)"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"kind": "interval", "minutes": 1}, "Every minute, counted from 1 March 2026 12:01 (UTC)"),
        ({"kind": "interval", "hours": 24}, "Every 24 hours, counted from 2 March 2026 12:00 (UTC)"),
        (
            {"kind": "interval", "days": 1, "hours": 6, "timezone": "Asia/Tokyo"},
            "Every 1 day and 6 hours, counted from 3 March 2026 03:00 (Asia/Tokyo)",
        ),
        ({"kind": "date", "run_date": "2026-12-01T10:00"}, "Once, on 1 December 2026 10:00 (UTC)"),
        (
            {"kind": "date", "run_date": "2026-11-01T01:30", "timezone": "America/New_York", "fold": 1},
            "Once, on 1 November 2026 01:30 (second of two) (America/New_York)",
        ),
        (
            {
                "kind": "combined",
                "any": [{"kind": "cron", "crontab": "0 9 * * 1-5"}, {"kind": "cron", "hour": 12, "timezone": "UTC"}],
                "except": [{"kind": "cron", "month": "8", "day": "*", "hour": "*", "minute": "*"}],
                "calendars": [
                    {"name": "Holidays", "days": ["2026-12-24/2026-12-26"], "yearly": ["01-01"], "weekdays": ["sun"]},
                    {"name": "None"},
                ],
                "timezone": "Europe/Berlin",
            },
            "At 09:00, Monday to Friday; or at 12:00 every day (UTC); except: every minute in August; "
            "not within “Holidays” (3 days, 1 yearly day and Sundays) and “None” (nothing) (Europe/Berlin)",
        ),
        (
            {
                "kind": "combined",
                "all": [{"kind": "cron", "day": 13, "hour": 0}, {"kind": "cron", "day_of_week": "fri"}],
            },
            "When all of these agree: at 00:00 on the 13th of the month; at 00:00 every Friday (UTC)",
        ),
        ({"kind": "combined", "any": [{"kind": "cron", "hour": 2}]}, "At 02:00 every day (UTC)"),
    ],
)
def test_other_kinds_in_words(spec: dict[str, Any], text: str) -> None:
    assert schedules.parse(spec, now=NOW).words() == text


def test_two_schedules_that_read_the_same_do_the_same() -> None:
    """Thousands of crontab strings and fields, many of them alike: equal words only for equal meaning."""
    chance = random.Random(42)
    by_words: dict[str, CronTrigger] = {}
    again = 0
    for _ in range(4000 * THOROUGH):
        trigger = _random_trigger(chance)
        if trigger is None:
            continue
        other = by_words.setdefault(trigger.words(), trigger)
        if other is not trigger and str(other) != str(trigger):
            again += 1
            assert other.parts.same_as(trigger.parts), (str(trigger), str(other), trigger.words())
    assert again > 200


def _random_trigger(chance: random.Random) -> CronTrigger | None:
    """A schedule from a small world, in which equal meanings come often."""
    hour = [
        "*",
        "*/2",
        "0-23",
        "0-22/2",
        "*/6",
        "0,6,12,18",
        "0",
        "2",
        "*/24",
        "0-11",
        "*/12",
        "0,12",
        "1-3",
        "1,2,3",
        "*/5",
    ]
    minute = [
        "*",
        "*/15",
        "0-59/15",
        "0,15,30,45",
        "0",
        "5",
        "*/20",
        "5-59/20",
        "0-29",
        "*/7",
        "0-56/7",
        "*/60",
        "5,6,7",
    ]
    day = [
        "*",
        "*/2",
        "1-31/2",
        "1",
        "1,15",
        "L",
        "1-31",
        "13",
        "1,L",
        "29-31",
        "*/10",
        "1,11,21,31",
        "5/10",
        "5,15,25",
    ]
    month = ["*", "*/2", "1-12", "jan", "1", "feb-apr", "2,3,4", "nov-jan", "1,11,12", "1-12/2"]
    weekday = [
        "*",
        "1-5",
        "mon-fri",
        "0",
        "7",
        "sun",
        "sat,sun",
        "6-7",
        "1#1",
        "fri#2,5L",
        "5L,5#2",
        "0-6",
        "*/2",
        "1,2,3,4,5",
    ]
    second = ["", "", "* ", "0 ", "*/10 ", "0-50/10 ", "30 ", "0,30 ", "5-9 "]
    try:
        if chance.random() < 0.2:
            return CronTrigger.from_crontab(random_line(chance))
        picked = [chance.choice(choices) for choices in (minute, hour, day, month, weekday)]
        if chance.random() < 0.6:
            picked[2:] = chance.choice([["*", "*", "*"], [picked[2], "*", "*"], ["*", "*", picked[4]]])
        if chance.random() < 0.8:
            return CronTrigger.from_crontab(chance.choice(second) + " ".join(picked))
        names = ["day_of_week", "week", "year", "day"]
        values = [["*", "mon", "0-4", "sat,sun"], ["*", "1-52/2", "*/2", "53", "1"], ["*", "2026-2030", "*/2", "2028"]]
        values.append(["last", "last fri", "1st mon,2nd tue", "1,last", "*", "13"])
        keywords = {name: chance.choice(options) for name, options in zip(names, values, strict=True)}
        return CronTrigger(hour=chance.choice(["2", "*", "0-23"]), **keywords)  # type: ignore[arg-type]
    except Invalid:
        return None
