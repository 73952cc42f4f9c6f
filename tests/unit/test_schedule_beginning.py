"""A schedule that is to begin at a moment of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.domain import schedules
from webapp.domain.beginning import beginning_at
from webapp.domain.errors import Invalid

NOW = datetime(2026, 6, 1, 12, 0, 30, 500, tzinfo=UTC)


def due(spec: Any, count: int = 3, after: datetime = NOW) -> list[datetime]:
    found = schedules.load(spec).between(after, after + timedelta(days=100), count)
    return [moment.astimezone(UTC) for moment in found]


def parsed(**spec: Any) -> schedules.Schedule:
    return schedules.parse({"timezone": "UTC", **spec}, now=NOW)


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "interval", "minutes": 5},
        {"kind": "cron", "hour": "2"},
        {"kind": "cron", "hour": "2", "jitter": 600},
        {"kind": "date", "run_date": "2026-07-01T00:00"},
        {"kind": "combined", "any": [{"kind": "cron", "hour": "2"}, {"kind": "cron", "hour": "5"}]},
    ],
)
def test_what_is_due_then_anyway_stays_as_it_is(spec: dict[str, Any]) -> None:
    schedule = parsed(**spec)
    first = schedule.next_after(NOW)
    assert first is not None
    assert beginning_at(schedule, first, NOW) == schedule.spec()


def test_an_interval_is_counted_from_the_moment() -> None:
    at = NOW + timedelta(minutes=7)
    spec = beginning_at(parsed(kind="interval", hours=1), at, NOW)
    rounded = at.replace(microsecond=0) + timedelta(seconds=1)
    assert due(spec, 2) == [rounded, rounded + timedelta(hours=1)]


def test_a_date_becomes_the_moment() -> None:
    at = datetime(2026, 8, 1, 10, tzinfo=UTC)
    assert due(
        beginning_at(parsed(kind="date", run_date="2026-07-01T00:00"), at, NOW), after=at - timedelta(days=1)
    ) == [at]


def test_cron_leaves_out_what_comes_before_a_later_due_time() -> None:
    at = datetime(2026, 6, 4, 2, tzinfo=UTC)
    spec = beginning_at(parsed(kind="cron", hour="2"), at, NOW)
    assert spec["kind"] == "cron"
    assert due(spec, 2) == [at, at + timedelta(days=1)]


def test_cron_runs_once_off_its_grid_and_then_on_it() -> None:
    at = datetime(2026, 6, 3, 17, 5, tzinfo=UTC)
    spec = beginning_at(parsed(kind="cron", hour="2", jitter=60), at, NOW)
    assert spec["jitter"] == 60
    first, second, third = due(spec)
    assert at <= first <= at + timedelta(seconds=60)
    assert (second.day, second.hour, third.day, third.hour) == (4, 2, 5, 2)


def test_the_moment_is_told_with_its_offset_where_the_clock_shows_it_twice() -> None:
    schedule = schedules.parse({"kind": "cron", "hour": "5", "timezone": "Europe/Berlin"}, now=NOW)
    at = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 for the second time
    assert due(beginning_at(schedule, at, NOW), 1, after=at - timedelta(hours=1)) == [at]


def test_a_combined_schedule_is_not_moved() -> None:
    schedule = parsed(kind="combined", any=[{"kind": "cron", "hour": "2"}])
    with pytest.raises(Invalid, match="cannot be moved"):
        beginning_at(schedule, NOW + timedelta(minutes=5), NOW)
