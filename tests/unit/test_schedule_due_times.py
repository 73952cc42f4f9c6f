"""What holds for the due times of every schedule, of whatever kind, with and without delays."""

from __future__ import annotations

import json
import pickle
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import ZONES, examples, random_line
from webapp.domain import schedules
from webapp.domain.errors import Invalid
from webapp.domain.recurrence import Schedule

SECOND = timedelta(seconds=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def utc(moments: list[datetime]) -> list[datetime]:
    """Times in a repeated hour can only be compared as UTC."""
    return [moment.astimezone(UTC) for moment in moments]


def load(spec: dict[str, Any], job_id: str = "") -> Schedule:
    return schedules.load(spec, job_id=job_id)


def interval(period_s: int, **others: Any) -> dict[str, Any]:
    start = {"start_date": "2025-12-31T23:59:50+00:00"}
    return {"kind": "interval", "seconds": period_s, "timezone": "UTC", **start, **others}


@st.composite
def basic(draw: st.DrawFn, delays: bool = True) -> dict[str, Any]:
    """A spec of one of the three basic kinds, due now and then in the first days of 2026."""
    zone = draw(st.sampled_from(ZONES))
    kind = draw(st.sampled_from(["interval", "cron", "cron", "date"]))
    offset = timedelta(seconds=draw(st.integers(-200_000, 200_000)))
    if kind == "date":
        return {"kind": "date", "run_date": (START + offset).isoformat(), "timezone": zone}
    spec: dict[str, Any] = {"kind": kind, "timezone": zone}
    if kind == "cron":
        chance = draw(st.randoms(use_true_random=False))
        seconds = draw(st.sampled_from(["", "", "*/17 ", "0,30 "]))
        spec["crontab"] = seconds + random_line(chance)
        spec["gap"] = draw(st.sampled_from(["skip", "end"]))
    else:
        spec["seconds"] = draw(st.integers(1, 100_000))
        spec["start_date"] = (START + offset).isoformat()
    if draw(st.booleans()):
        spec["end_date"] = (START + timedelta(seconds=draw(st.integers(200_001, 900_000)))).isoformat()
    if delays and draw(st.booleans()):
        spec[draw(st.sampled_from(["jitter", "spread"]))] = draw(st.integers(1, 30))
    return spec


@st.composite
def combined(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "combined", "timezone": draw(st.sampled_from(ZONES))}
    spec[draw(st.sampled_from(["any", "all"]))] = draw(st.lists(basic(delays=False), min_size=1, max_size=3))
    if draw(st.booleans()):
        spec["except"] = draw(st.lists(basic(delays=False), max_size=2))
    if draw(st.booleans()):
        spec["calendars"] = [
            {"name": "nights", "hours": [{"from": "22:00", "to": "06:00", "weekdays": ["mon", "sat"]}]},
            {"name": "days", "days": ["2026-01-02"], "yearly": ["01-04"], "weekdays": ["sun"]},
        ]
    return spec


SPECS = st.one_of(basic(), basic(), combined())
WINDOWS = st.tuples(st.integers(-300_000, 700_000), st.integers(1, 300_000), st.integers(-31, 31), st.integers(-31, 31))
Window = tuple[int, int, int, int]


def edges(schedule: Schedule, window: Window) -> tuple[datetime, datetime]:
    """A window whose edges lie within half a minute of a due time: that is where counting goes wrong."""
    after = START + timedelta(seconds=window[0])
    until = after + timedelta(seconds=window[1])
    near = [schedule.next_after(after) or after, schedule.next_after(until) or until]
    first, last = (moment.astimezone(UTC) + timedelta(seconds=by) for moment, by in zip(near, window[2:], strict=True))
    return min(first, last), min(max(first, last), min(first, last) + timedelta(days=9))


def made(spec: dict[str, Any], job_id: str = "job") -> Schedule | None:
    """The schedule; None for what is refused because of its delays."""
    try:
        return load(spec, job_id)
    except Invalid as error:
        if "jitter" in error.fields or "spread" in error.fields or "never fires" in str(error):
            return None
        raise


@given(SPECS, WINDOWS)
@examples(300)
def test_count_first_and_last_of_a_window_agree_with_its_list(spec: dict[str, Any], window: Window) -> None:
    schedule = made(spec)
    if schedule is None:
        return
    after, until = edges(schedule, window)
    due = utc(schedule.between(after, until, 400_000))
    span = schedule.span(after, until)
    assert span.count == len(due)
    assert all(a < b for a, b in zip([after, *due], due, strict=False)), "strictly increasing, later than the start"
    if due:
        assert span.first is not None
        assert span.last is not None
        assert utc([span.first, span.last]) == [due[0], due[-1]]
        assert due[-1] <= until


@given(SPECS, WINDOWS, st.floats(0, 1))
@examples(200)
def test_a_window_has_as_many_due_times_as_its_two_parts(spec: dict[str, Any], window: Window, cut: float) -> None:
    schedule = made(spec)
    if schedule is None:
        return
    after, until = edges(schedule, window)
    middle = after + (until - after) * cut
    parts = schedule.span(after, middle), schedule.span(middle, until)
    assert parts[0].count + parts[1].count == schedule.span(after, until).count


@given(SPECS)
@examples(300)
def test_a_schedule_comes_back_from_its_json_and_from_a_pickle(spec: dict[str, Any]) -> None:
    schedule = made(spec)
    if schedule is None:
        return
    stored = json.loads(json.dumps(schedule.spec()))
    again = load(stored, "job")
    assert again.spec() == stored == schedule.spec()
    assert again == schedule
    assert hash(again) == hash(schedule)
    copy = pickle.loads(pickle.dumps(schedule))
    assert copy == schedule
    assert json.loads(json.dumps(schedule.__getstate__()))["spec"] == stored
    until = START + timedelta(days=20)
    assert (
        utc(again.between(START, until, 20))
        == utc(schedule.between(START, until, 20))
        == utc(copy.between(START, until, 20))
    )


@given(basic(), WINDOWS)
@examples(200)
def test_delays_stay_within_their_bound_and_never_accumulate(spec: dict[str, Any], window: Window) -> None:
    schedule = made(spec)
    if schedule is None:
        return
    most = int(spec.get("jitter", 0) or spec.get("spread", 0))
    plain = load({name: value for name, value in spec.items() if name not in ("jitter", "spread")})
    after, until = edges(schedule, window)
    for moment in schedule.between(after, until, 500):
        due = moment.astimezone(UTC)
        grid = plain.span(due - timedelta(seconds=most + 1), due).last
        assert grid is not None
        assert timedelta(0) <= due - grid.astimezone(UTC) <= timedelta(seconds=most)
        planned = schedule.grid_time(moment)
        assert planned is not None
        assert utc([planned]) == utc([grid])
        end = schedule.end_date
        assert end is None or due <= end.astimezone(UTC)


def test_jitter_does_not_drift_over_a_day() -> None:
    """APScheduler adds each delay to the last: 144 runs of 10 minutes took 25 h 09 min."""
    schedule = load(interval(600, jitter=60), "drift")
    due = utc(schedule.between(START - SECOND, START + timedelta(days=1), 200))
    assert len(due) == 144
    assert due[-1] - due[0] < timedelta(hours=24)
    assert len({moment.timestamp() % 600 for moment in due}) > 30, "it looks random"


def test_jitter_is_the_same_when_it_is_asked_again_and_another_for_another_job() -> None:
    times = {
        job: utc(load(interval(600, jitter=60), job).between(START, START + timedelta(days=1), 200)) for job in "aab"
    }
    assert times["a"] == utc(load(interval(600, jitter=60), "a").between(START, START + timedelta(days=1), 200))
    assert times["a"] != times["b"]


def test_spread_is_one_delay_for_each_job_and_spreads_many_jobs() -> None:
    schedule = load({"kind": "cron", "crontab": "0 * * * *", "spread": 600}, "one")
    delays = {moment.minute * 60 + moment.second for moment in schedule.between(START, START + timedelta(days=9), 200)}
    assert len(delays) == 1
    jobs = [
        load({"kind": "cron", "crontab": "0 * * * *", "spread": 600}, f"job-{n}").next_after(START) for n in range(200)
    ]
    seconds = [moment.minute * 60 + moment.second for moment in jobs if moment is not None]
    assert max(seconds) <= 600
    assert len(set(seconds)) > 100


def test_jitter_keeps_its_order_where_a_clock_change_brings_two_times_together() -> None:
    """01:59 and 03:00 are 61 minutes apart, but one minute on 8 March 2026 in New York."""
    spec = {"kind": "cron", "crontab": "59 1 * * *", "timezone": "America/New_York", "jitter": 1800}
    both = {"kind": "cron", "crontab": "0,59 1,3 * * *", "timezone": "America/New_York", "jitter": 3500}
    assert load(spec).span(START, START + timedelta(days=100)).count == 100
    for job in range(50):
        due = utc(load(both, str(job)).between(START + timedelta(days=65), START + timedelta(days=68), 50))
        assert due == sorted(set(due))
        assert len(due) == 12, "four on each of three days"


def test_a_delay_never_passes_the_end() -> None:
    for job in range(50):
        spec = {"kind": "cron", "crontab": "0 * * * *", "jitter": 600, "end_date": "2026-01-01T05:00:30+00:00"}
        (due,) = utc(load(spec, str(job)).between(START + timedelta(hours=4, minutes=30), START + timedelta(days=1), 9))
        assert due <= START + timedelta(hours=5, seconds=30)


def test_due_times_are_in_the_schedules_zone() -> None:
    due = load({"kind": "cron", "crontab": "0 2 * * *", "timezone": "Asia/Tokyo"}).next_after(START)
    assert due is not None
    assert due.isoformat() == "2026-01-02T02:00:00+09:00"


def test_end_and_start_are_inclusive() -> None:
    spec = {"kind": "cron", "crontab": "0 * * * *", "start_date": "2026-01-01T05:00:00+00:00"}
    schedule = load({**spec, "end_date": "2026-01-01T07:00:00+00:00"})
    assert [moment.hour for moment in schedule.between(START, START + timedelta(days=1), 9)] == [5, 6, 7]
    assert schedule.next_after(START + timedelta(hours=7)) is None


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({"kind": "cron", "crontab": "* * * * * *", "timezone": "Europe/Berlin"}, 365 * 86_400),
        ({"kind": "cron", "crontab": "* * 0-22 * * *", "timezone": "Europe/Berlin"}, 365 * 23 * 3600 - 3600),
        (interval(1), 365 * 86_400),
        (interval(1, end_date="2200-01-01T00:00:00+00:00"), None),
        ({"kind": "cron", "crontab": "*/7 * * * *", "timezone": "America/New_York", "jitter": 30}, 365 * 24 * 9),
        ({"kind": "combined", "any": [interval(1)], "calendars": [{"name": "w", "weekdays": ["sun"]}]}, 313 * 86_400),
    ],
)
def test_a_year_of_seconds_that_was_slept_through_costs_milliseconds(spec: dict[str, Any], count: int | None) -> None:
    if count is None:
        with pytest.raises(Invalid):
            load(spec)
        return
    schedule = load(spec)
    schedule.span(START, START + timedelta(days=1))
    began = time.perf_counter()
    span = schedule.span(START, START + timedelta(days=365))
    took = time.perf_counter() - began
    assert abs(span.count - count) <= 1
    assert took < (0.25 if spec["kind"] == "combined" else 0.02)


def test_apscheduler_is_answered_by_its_own_rules() -> None:
    schedule = load({"kind": "cron", "crontab": "0 * * * *"})
    assert schedule.get_next_fire_time(None, START) == START, "the first time may be now"
    assert schedule.get_next_fire_time(None, START + timedelta(microseconds=1)) == START + timedelta(hours=1)
    assert schedule.get_next_fire_time(START, START) == START + timedelta(hours=1)
    late = START + timedelta(days=1)
    assert schedule.get_next_fire_time(START, late) == START + timedelta(hours=1), "missed times are seen one by one"


def test_a_clock_set_back_does_not_bring_a_due_time_again() -> None:
    schedule = load({"kind": "cron", "crontab": "0 * * * *"})
    assert schedule.get_next_fire_time(START, START - timedelta(hours=3)) == START + timedelta(hours=1)


def test_a_date_that_has_passed_is_still_owed_until_it_was_used() -> None:
    schedule = load({"kind": "date", "run_date": "2026-01-01T00:00:00+00:00"})
    late = START + timedelta(days=1)
    assert schedule.get_next_fire_time(None, late) == START
    assert schedule.get_next_fire_time(START, late) is None
    assert schedule.next_after(START) is None


def test_start_in_the_past_keeps_the_phase() -> None:
    schedule = load(interval(12 * 3600, start_date="2025-01-01T00:17:00+00:00"))
    assert schedule.next_after(START + timedelta(hours=1)) == START + timedelta(hours=12, minutes=17)


def test_moments_must_be_aware() -> None:
    with pytest.raises(TypeError):
        load(interval(60)).next_after(datetime(2026, 1, 1))


@pytest.mark.parametrize("year", [1, 1799, 2199, 9999])
def test_moments_far_away_are_answered_without_overflow(year: int) -> None:
    at = datetime(year, 6, 1, tzinfo=UTC)
    for spec in (
        interval(60),
        {"kind": "cron", "crontab": "0 0 29 2 mon#5", "timezone": "Asia/Tokyo"},
        {"kind": "date", "run_date": "2100-12-31T23:59:59+00:00"},
    ):
        schedule = load(spec)
        schedule.next_after(at)
        schedule.span(at, at + timedelta(days=30))
        schedule.between(at, datetime.max.replace(tzinfo=UTC), 3)
