"""The triggers in APScheduler's and Flask-APScheduler's own hands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger as OriginalCron
from apscheduler.triggers.date import DateTrigger as OriginalDate
from apscheduler.triggers.interval import IntervalTrigger as OriginalInterval
from flask_apscheduler.utils import trigger_to_dict

from webapp.domain import schedules
from webapp.domain.cron import CronTrigger

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPECS: list[dict[str, Any]] = [
    {"kind": "cron", "hour": "2", "day_of_week": "0", "timezone": "Europe/Berlin"},
    {"kind": "cron", "crontab": "0 2 * * 1", "timezone": "Europe/Berlin"},
    {"kind": "interval", "hours": 1, "minutes": 30},
    {"kind": "date", "run_date": "2099-12-01T10:00"},
    {"kind": "combined", "any": [{"kind": "cron", "hour": "2"}, {"kind": "interval", "hours": 5}]},
]


@pytest.fixture
def scheduler(tmp_path: Any) -> Iterator[BackgroundScheduler]:
    store = SQLAlchemyJobStore(f"sqlite:///{tmp_path}/jobs.sqlite")
    found = BackgroundScheduler(jobstores={"default": {"type": "memory"}, "sql": store}, timezone=UTC)
    found.start(paused=True)
    yield found
    found.shutdown()
    store.engine.dispose()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("store", ["default", "sql"])
def test_its_scheduler_and_its_stores_take_them(
    scheduler: BackgroundScheduler, spec: dict[str, Any], store: str
) -> None:
    trigger = schedules.parse(spec, now=datetime.now(UTC), job_id="one")
    job = scheduler.add_job(print, trigger, id="one", jobstore=store)
    found = scheduler.get_job("one", store)
    assert found.trigger == trigger
    assert found.next_run_time == job.next_run_time == trigger.get_next_fire_time(None, datetime.now(UTC))
    job.reschedule(trigger)
    assert scheduler.get_job("one", store).next_run_time == job.next_run_time


def test_they_are_the_triggers_that_others_look_for() -> None:
    kinds = {"cron": OriginalCron, "interval": OriginalInterval, "date": OriginalDate}
    for spec in SPECS[:4]:
        assert isinstance(schedules.parse(spec, now=NOW), kinds[spec["kind"]])


def test_flask_apscheduler_reads_their_fields() -> None:
    cron = trigger_to_dict(schedules.parse(SPECS[0], now=NOW))
    assert dict(cron) == {"trigger": "cron", "day_of_week": "mon", "hour": "2"}
    interval = trigger_to_dict(schedules.parse(SPECS[2], now=NOW))
    assert (interval["hours"], interval["minutes"], interval["start_date"].isoformat()) == (
        1,
        30,
        "2026-03-01T13:30:00+00:00",
    )
    date = trigger_to_dict(schedules.parse(SPECS[3], now=NOW))
    assert date["run_date"].isoformat() == "2099-12-01T10:00:00+00:00"


def test_they_can_be_combined_by_apscheduler_itself() -> None:
    both = OrTrigger([CronTrigger(hour=2), CronTrigger.from_crontab("0 1 * * *")])
    assert both.get_next_fire_time(None, NOW) == datetime(2026, 3, 2, 1, tzinfo=UTC)


def test_a_stored_state_of_another_kind_is_refused() -> None:
    trigger = CronTrigger(hour=2)
    state = trigger.__getstate__()
    with pytest.raises(ValueError, match="state of a cron"):
        trigger.__setstate__({**state, "version": 2})
    with pytest.raises(ValueError, match="state of a cron"):
        trigger.__setstate__({"version": 1})
    assert trigger.next_after(NOW) == NOW + timedelta(hours=14)
