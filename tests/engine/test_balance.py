"""The balance: due times computed from the periods equal the outcomes in the ledger, whatever happened to the jobs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from tests.conftest import CODE, NOW
from webapp.domain.errors import CarillonError
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import balance, catch_up, control, jobs, ledger
from webapp.services.due import due_pass
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import Installation, Job, JobRevision, Run, RunLog

MakeJob = Callable[..., Job]
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EVERY_SECOND = {"kind": "interval", "seconds": 1, "timezone": "UTC"}


def passes(lead: lease.Held, now: datetime, executors: tuple[str, ...] = ("default",)) -> None:
    while due_pass(lead, now, executors).more:
        pass


def test_due_times_are_counted_by_their_outcome(make_job: MakeJob, lead: lease.Held) -> None:
    make_job()
    passes(lead, NOW + MINUTE)
    passes(lead, NOW + 2 * MINUTE)
    found = balance.read(NOW, NOW + 2 * MINUTE)
    assert (found.due, found.by_state) == (2, {RunState.QUEUED: 1, RunState.SKIPPED: 1})
    assert (found.adds_up, found.waiting, found.mismatches, found.compared) == (True, 0, (), True)
    assert found.settled == 1


def test_due_times_that_no_pass_has_taken_yet_are_waiting(make_job: MakeJob, lead: lease.Held) -> None:
    make_job()
    passes(lead, NOW + 2 * MINUTE)
    found = balance.read(NOW, NOW + 5 * MINUTE)
    assert (found.due, sum(found.by_state.values()), found.waiting, found.adds_up) == (5, 2, 3, True)


def test_a_folded_row_counts_with_those_of_its_due_times_that_lie_inside(make_job: MakeJob, lead: lease.Held) -> None:
    make_job(trigger=EVERY_SECOND)
    passes(lead, NOW + HOUR)
    inside = balance.read(NOW + 10 * MINUTE, NOW + 20 * MINUTE)
    assert (inside.due, inside.by_state, inside.adds_up) == (600, {RunState.QUEUED: 600}, True)
    passes(lead, NOW + 2 * HOUR)
    across = balance.read(NOW + 59 * MINUTE, NOW + 61 * MINUTE)
    assert (across.due, across.by_state, across.adds_up) == (120, {RunState.QUEUED: 60, RunState.SKIPPED: 60}, True)


def test_a_missing_row_is_found_and_its_job_named(make_job: MakeJob, lead: lease.Held) -> None:
    sound, robbed = make_job(), make_job()
    passes(lead, NOW + MINUTE)
    with writing() as session:
        session.execute(delete(Run).where(Run.job_id == robbed.id))
    found = balance.read(NOW, NOW + MINUTE)
    assert not found.adds_up
    assert found.mismatches == (balance.Difference(robbed.id, 1, 0),)
    assert balance.read(NOW, NOW + MINUTE, sound.id).adds_up


def test_two_errors_of_opposite_sign_do_not_hide_each_other(make_job: MakeJob, lead: lease.Held) -> None:
    one, other = make_job(), make_job()
    passes(lead, NOW + MINUTE)
    with writing() as session:
        session.execute(update(Run).where(Run.job_id == one.id).values(due_count=2))
        session.execute(update(Run).where(Run.job_id == other.id).values(due_count=0))
    found = balance.read(NOW, NOW + MINUTE)
    assert found.due == sum(found.by_state.values())
    assert not found.adds_up
    assert {(each.expected, each.found) for each in found.mismatches} == {(1, 2), (1, 0)}


def test_outcomes_of_a_job_that_never_was_do_not_add_up(make_job: MakeJob, make_run: Callable[..., Run]) -> None:
    job = make_job()
    make_run(job, job_id="ghost", due_at=NOW)
    assert balance.read(NOW - MINUTE, NOW).mismatches == (balance.Difference("ghost", 0, 1),)


def test_the_last_attempt_is_the_outcome(make_job: MakeJob, lead: lease.Held) -> None:
    make_job(retry={"max_attempts": 2, "delay_s": 60, "backoff": "fixed"})
    passes(lead, NOW + MINUTE)
    work(lead, NOW + MINUTE, RunState.FAILED)
    found = balance.read(NOW, NOW + MINUTE)
    assert (found.due, found.by_state, found.adds_up) == (1, {RunState.QUEUED: 1}, True)


def test_while_a_job_is_paused_nothing_is_due(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    jobs.pause(job.id, actor=CODE, now=NOW + 2.5 * MINUTE)
    jobs.resume(job.id, actor=CODE, now=NOW + 6 * MINUTE)
    passes(lead, NOW + 8 * MINUTE)
    found = balance.read(NOW, NOW + 8 * MINUTE)
    assert (found.due, found.adds_up) == (4, True)  # at 1, 2, 7 and 8 minutes


def test_due_times_between_the_end_of_a_pause_and_an_edit_that_comes_before_the_pass_count(
    make_job: MakeJob, lead: lease.Held
) -> None:
    job = make_job()
    jobs.pause(job.id, actor=CODE, now=NOW, until=NOW + 2.5 * MINUTE)
    jobs.patch(job.id, {"name": "Another"}, actor=CODE, now=NOW + 5 * MINUTE)
    passes(lead, NOW + 6 * MINUTE)
    found = balance.read(NOW, NOW + 6 * MINUTE)
    assert (found.due, found.adds_up) == (4, True)


def test_a_pause_whose_moment_was_read_before_the_last_pass_adds_up(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    passes(lead, NOW + MINUTE)
    jobs.pause(job.id, actor=CODE, now=NOW + MINUTE - timedelta(milliseconds=5))
    found = balance.read(NOW, NOW + 2 * MINUTE)
    assert (found.due, found.adds_up) == (1, True)


def test_an_automatic_pause_settles_what_is_due_first(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(auto_pause_after=1)
    passes(lead, NOW + MINUTE)
    work(lead, NOW + 3 * MINUTE, RunState.FAILED)
    assert jobs.get(job.id).state == "paused"
    found = balance.read(NOW, NOW + 5 * MINUTE)
    assert (found.due, found.adds_up) == (3, True)


@pytest.mark.parametrize("coalesce", [True, False])
def test_a_job_whose_executor_is_gone_adds_up_to_its_quarantine(
    make_job: MakeJob, lead: lease.Held, coalesce: bool
) -> None:
    make_job(trigger=EVERY_SECOND, coalesce=coalesce, misfire_grace_s=None)
    passes(lead, NOW + HOUR, executors=())
    found = balance.read(NOW, NOW + 2 * HOUR)
    assert found.due > 0
    assert found.adds_up


def test_a_job_whose_schedule_cannot_be_read_adds_up_to_its_quarantine(make_job: MakeJob, lead: lease.Held) -> None:
    make_job()
    with writing() as session:
        session.execute(update(Job).values(trigger={"kind": "sundial"}))
    passes(lead, NOW + 5 * MINUTE)
    found = balance.read(NOW, NOW + 9 * MINUTE)
    assert (found.due, found.by_state, found.adds_up) == (1, {RunState.FAILED: 1}, True)


def test_a_period_whose_schedule_cannot_be_read_is_named(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    passes(lead, NOW + MINUTE)
    with writing() as session:
        session.execute(update(JobRevision).values(definition={**jobs.definition(job), "trigger": {"kind": "sundial"}}))
    found = balance.read(NOW, NOW + MINUTE)
    assert (found.due, found.adds_up) == (1, False)
    assert found.mismatches == (balance.Difference(job.id, None, 1),)


def test_with_too_many_periods_the_ledgers_sum_stands_alone(
    make_job: MakeJob, lead: lease.Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(), make_job()
    passes(lead, NOW + MINUTE)
    with writing() as session:
        session.execute(update(Run).values(due_count=7))
    monkeypatch.setattr(balance, "PERIODS_MAX", 1)
    found = balance.read(NOW, NOW + MINUTE)
    assert (found.compared, found.due, found.by_state) == (False, 14, {RunState.QUEUED: 14})


def test_a_balance_that_takes_long_is_shown_again_with_its_own_time(
    make_job: MakeJob, lead: lease.Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job()
    short, long, early, late = [0.0, 0.01], [1.0, 2.0], [11.9], [12.1, 12.2]
    moments = iter([*short, *long, *early, *late])
    monkeypatch.setattr(balance.clock, "monotonic", lambda: next(moments))
    assert balance.recent(NOW, HOUR).until == NOW
    slow = balance.recent(NOW + MINUTE, HOUR)
    assert slow.until == NOW + MINUTE
    assert balance.recent(NOW + 2 * MINUTE, HOUR) is slow
    assert balance.recent(NOW + 3 * MINUTE, HOUR).until == NOW + 3 * MINUTE


# -- whatever happens, in any order --------------------------------------------------------------------------------

IDS = ("a", "b")
GRIDS = (
    {"kind": "interval", "seconds": 1, "start_date": "2026-06-01T00:00:00+00:00", "timezone": "UTC"},
    {"kind": "interval", "seconds": 7, "timezone": "UTC"},
    {"kind": "interval", "minutes": 10, "jitter": 500, "timezone": "UTC"},
    {"kind": "interval", "minutes": 3, "spread": 100, "timezone": "UTC"},
    {"kind": "cron", "crontab": "*/20 * * * *", "timezone": "Europe/Berlin"},
    {"kind": "cron", "minute": "5", "jitter": 3000, "timezone": "UTC"},
    {"kind": "date", "run_date": "2026-06-01T13:30:00+00:00", "timezone": "UTC"},
    {"kind": "cron", "minute": "*/10", "end_date": "2026-06-01T15:05:00+00:00", "timezone": "UTC"},
    {"kind": "combined", "any": [{"kind": "cron", "minute": "*/15"}],
     "except": [{"kind": "cron", "hour": "13"}], "timezone": "UTC"},
)  # fmt: skip
RULES = st.fixed_dictionaries(
    {
        "trigger": st.sampled_from(GRIDS),
        "coalesce": st.booleans(),
        "misfire_grace_s": st.sampled_from([1, 60, 3600, None]),
        "overlap": st.sampled_from(["skip", "queue", "together", "replace"]),
        "max_instances": st.sampled_from([1, 3]),
        "auto_pause_after": st.sampled_from([None, 1]),
        "retry": st.sampled_from([{}, {"max_attempts": 2, "delay_s": 30}]),
    }
)
JOB_ID = st.sampled_from(IDS)
STEPS = st.one_of(
    st.tuples(st.just("create"), JOB_ID, RULES),
    st.tuples(st.just("edit"), JOB_ID, RULES),
    st.tuples(st.just("rename"), JOB_ID),
    st.tuples(st.just("pause"), JOB_ID),
    st.tuples(st.just("pause until"), JOB_ID, st.sampled_from([30, 900, 4000])),
    st.tuples(st.just("resume"), JOB_ID),
    st.tuples(st.just("delete"), JOB_ID),
    st.tuples(st.just("switch"), st.sampled_from([control.hold, control.release, control.shut_down, control.start])),
    st.tuples(st.just("pass")),
    st.tuples(st.just("pass")),
    st.tuples(st.just("pass without executor")),
    st.tuples(st.just("catch up"), JOB_ID, st.sampled_from([5, 300, 9000])),
    st.tuples(st.just("work"), st.sampled_from([RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])),
)
LATER = st.one_of(
    st.integers(0, 3_000_000),
    st.integers(0, 1_000_000_000),
    st.integers(1_000_000_000, 7_200_000_000),
    st.sampled_from([-900_000, -1_800_000_000]),
)
"""Microseconds from one step to the next. Now and then somebody read the clock before the step that came first, or the
clock is set back by half an hour.
"""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=RULES,
    history=st.lists(st.tuples(LATER, STEPS), min_size=3, max_size=14),
    edges=st.lists(st.tuples(st.floats(-0.1, 1), st.floats(-0.1, 1)), min_size=3, max_size=3),
)
def test_the_balance_adds_up_for_any_window_of_any_history(
    app: Flask, first: dict[str, Any], history: list[Any], edges: list[tuple[float, float]]
) -> None:
    lead = _fresh_start()
    now = latest = NOW
    _do("create", lead, now, "a", first)
    for later_us, (verb, *args) in history:
        now = now + timedelta(microseconds=later_us)
        with suppress(CarillonError):
            _do(verb, lead, now, *args)
        db.session.rollback()
        latest = max(latest, now)
    length = latest - NOW
    windows = [(NOW - HOUR, latest)] + [
        (NOW + min(one, other) * length, NOW + max(one, other) * length) for one, other in edges
    ]
    for since, until in windows:
        for job_id in (None, *IDS):
            found = balance.read(since, until, job_id)
            assert found.adds_up, (since, until, found)


def _fresh_start() -> lease.Held:
    with writing() as session:
        for model in (RunLog, Run, JobRevision, Job, Installation):
            session.execute(delete(model))
        held = lease.acquire(session, "test")
    assert held is not None
    return held


def _do(verb: str, lead: lease.Held, now: datetime, *args: Any) -> None:
    match verb:
        case "create":
            jobs.create({"id": args[0], "task": "demo.echo", "name": "A job", **args[1]}, actor=CODE, now=now)
        case "edit":
            jobs.patch(args[0], args[1], actor=CODE, now=now)
        case "rename":
            jobs.patch(args[0], {"name": f"Since {now}"}, actor=CODE, now=now)
        case "pause":
            jobs.pause(args[0], actor=CODE, now=now)
        case "pause until":
            jobs.pause(args[0], actor=CODE, now=now, until=now + timedelta(seconds=args[1]))
        case "resume":
            jobs.resume(args[0], actor=CODE, now=now)
        case "delete":
            jobs.delete(args[0], actor=CODE, now=now)
        case "switch":
            args[0](actor=CODE, now=now)
        case "pass":
            passes(lead, now)
        case "pass without executor":
            passes(lead, now, ())
        case "catch up":
            listed = catch_up.candidates(args[0], now - timedelta(seconds=args[1]), now, now=now, limit=20)
            chosen = [each.due_at for each in listed if each.state is None or each.state.is_final]
            catch_up.run(args[0], chosen[::3], actor=CODE, now=now, again=True)
        case "work":
            work(lead, now, args[0])


def work(lead: lease.Held, now: datetime, state: RunState) -> None:
    """Start what may start and end it at once."""
    with writing() as session:
        rows = ledger.claim(session, lead, {"default": 3}, now, "test").rows
        ends = [
            {"run_id": row["run_id"], "job_id": row["job_id"], "due_at": row["due_at"], "follow_up": row["follow_up"],
             "state": state, "finished_at": now, "result": None, "error": None, "traceback": None, "reason": None,
             "error_names": ()}
            for row in rows
        ]  # fmt: skip
        ledger.write(session, ledger.Entries(outcomes=ends), now)
