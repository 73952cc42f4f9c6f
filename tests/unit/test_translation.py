"""Schedules as APScheduler and Flask-APScheduler write them become specs, or are refused with the reason."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from webapp.domain import translation
from webapp.domain.cron import CronTrigger as OurCronTrigger
from webapp.domain.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("job", "spec"),
    [
        ({"trigger": "interval", "seconds": 10}, {"kind": "interval", "seconds": 10}),
        ({"trigger": {"type": "interval", "seconds": 10}}, {"kind": "interval", "seconds": 10}),
        ({"trigger": {"kind": "cron", "crontab": "0 2 * * *"}}, {"kind": "cron", "crontab": "0 2 * * *"}),
        (
            {"trigger": "cron", "day_of_week": "mon-fri", "hour": 6, "timezone": BERLIN, "jitter": 5},
            {"kind": "cron", "day_of_week": "mon-fri", "hour": 6, "timezone": "Europe/Berlin", "jitter": 5},
        ),
        (
            {"trigger": "date", "run_date": datetime(2026, 7, 1, 2, tzinfo=UTC)},
            {"kind": "date", "run_date": "2026-07-01T02:00:00+00:00"},
        ),
        (
            {"trigger": "interval", "days": 1, "start_date": date(2026, 7, 1)},
            {"kind": "interval", "days": 1, "start_date": "2026-07-01"},
        ),
        ({"trigger": CronTrigger(hour=5, timezone=BERLIN)}, {"kind": "cron", "hour": "5", "timezone": "Europe/Berlin"}),
        (
            {"trigger": IntervalTrigger(minutes=2, timezone="UTC", start_date="2026-07-01 00:00:00", jitter=3)},
            {"kind": "interval", "seconds": 120, "timezone": "UTC", "start_date": "2026-07-01T00:00:00+00:00",
             "jitter": 3},
        ),
        (
            {"trigger": DateTrigger(datetime(2026, 7, 1, 2, tzinfo=BERLIN))},
            {"kind": "date", "run_date": "2026-07-01T02:00:00+02:00", "timezone": "Europe/Berlin"},
        ),
    ],
)  # fmt: skip
def test_every_way_of_writing_a_schedule_is_read(job: dict[str, Any], spec: dict[str, Any]) -> None:
    assert translation.split({"id": "a", "args": (1,), **job}) == (spec, {"id": "a", "args": (1,)})


def test_our_own_triggers_say_their_spec() -> None:
    trigger = OurCronTrigger(crontab="0 2 * * *", timezone="UTC")
    assert translation.split({"trigger": trigger})[0] == trigger.spec()


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({}, "Say when"),
        ({"trigger": None}, "Say when"),
        ({"trigger": ""}, "Say when"),
        ({"trigger": {"seconds": 10}}, "Say once, as type"),
        ({"trigger": {"type": "interval", "kind": "cron"}}, "Say once, as type"),
        ({"trigger": {"type": "interval", "seconds": 10}, "minutes": 1}, "minutes: given beside a trigger"),
        ({"trigger": AndTrigger([IntervalTrigger(minutes=2)])}, "AndTrigger cannot be stored"),
        (
            {"trigger": "date", "run_date": datetime(2026, 7, 1, tzinfo=pytz.timezone("Europe/Berlin"))},
            "carries a pytz zone",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(job: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        translation.split(job)
    assert said in caught.value.fields["trigger"][0]
