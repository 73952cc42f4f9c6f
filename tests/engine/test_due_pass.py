"""The due pass: due times become ledger rows and jobs advance, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.conftest import CODE, NOW
from webapp.domain.states import JobState, RunState
from webapp.extensions import db
from webapp.services import control, jobs, ledger, recovery
from webapp.services.due import LeaseLost, due_pass
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import Job, JobRevision, Run, SchedulerLease

MakeJob = Callable[..., Job]
MINUTE = timedelta(minutes=1)


def ledger_of(job: Job) -> list[Run]:
    return list(db.session.scalars(select(Run).where(Run.job_id == job.id).order_by(Run.id)))


def fresh(job: Job) -> Job:
    db.session.expire_all()
    return jobs.get(job.id)


def hourly(make_job: MakeJob, **overrides: Any) -> Job:
    """Due at 13:00, 14:00 ..."""
    return make_job(trigger={"kind": "cron", "minute": "0", "timezone": "UTC"}, **overrides)


def test_a_due_time_becomes_a_queued_run_and_the_job_advances(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(kwargs={"message": "hello"})
    settled = due_pass(lead, NOW + MINUTE)
    (run,) = ledger_of(job)
    assert (run.state, run.due_at, run.trigger, run.attempt) == (RunState.QUEUED, NOW + MINUTE, "schedule", 1)
    assert (run.job_name, run.task, run.kwargs) == ("A job", "demo.echo", {"message": "hello"})
    assert fresh(job).next_due_at == NOW + 2 * MINUTE
    assert settled.next_due_at == NOW + 2 * MINUTE


def test_nothing_is_due_before_its_time(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    due_pass(lead, NOW + MINUTE - timedelta(microseconds=1))
    assert ledger_of(job) == []


def test_a_date_job_runs_once_and_stays_as_finished(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger={"kind": "date", "run_date": (NOW + MINUTE).isoformat(), "timezone": "UTC"})
    due_pass(lead, NOW + MINUTE)
    due_pass(lead, NOW + 5 * MINUTE)
    assert [run.due_at for run in ledger_of(job)] == [NOW + MINUTE]
    assert (fresh(job).state, fresh(job).next_due_at) == (JobState.FINISHED, None)


def test_a_date_job_runs_however_late(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger={"kind": "date", "run_date": (NOW + MINUTE).isoformat(), "timezone": "UTC"})
    due_pass(lead, NOW + timedelta(days=3))
    assert [run.state for run in ledger_of(job)] == [RunState.QUEUED]


@pytest.mark.parametrize(
    ("grace_s", "coalesce", "expected"),
    [
        # The guide's example, hourly and down for 5 h 02 min, by each grace: (state, due times folded into the row).
        (300, True, [(RunState.QUEUED, 5)]),
        (300, False, [(RunState.MISSED, 1)] * 4 + [(RunState.QUEUED, 1)]),
        (7200, False, [(RunState.MISSED, 1)] * 3 + [(RunState.QUEUED, 1)] * 2),
        (None, True, [(RunState.QUEUED, 5)]),
        (None, False, [(RunState.QUEUED, 1)] * 5),
        (60, True, [(RunState.MISSED, 5)]),
    ],
)
def test_down_time_is_accounted_for_by_grace_and_coalesce(
    make_job: MakeJob, lead: lease.Held, grace_s: int | None, coalesce: bool, expected: list[Any]
) -> None:
    job = hourly(make_job, coalesce=coalesce, misfire_grace_s=grace_s, max_instances=10)
    due_pass(lead, NOW + timedelta(hours=5, minutes=2))
    assert [(run.state, run.due_count) for run in ledger_of(job)] == expected
    assert fresh(job).next_due_at == NOW + timedelta(hours=6)


def test_a_job_of_every_second_that_slept_a_month_is_one_row(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger={"kind": "interval", "seconds": 1, "timezone": "UTC"})
    wake = NOW + timedelta(days=30)
    due_pass(lead, wake)
    (run,) = ledger_of(job)
    assert (run.state, run.due_count, run.due_at) == (RunState.QUEUED, 30 * 86_400, wake)
    assert run.first_due_at == NOW + timedelta(seconds=1)
    assert fresh(job).next_due_at == wake + timedelta(seconds=1)


def test_many_due_times_without_folding_come_in_bounded_batches(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(
        trigger={"kind": "interval", "seconds": 1, "timezone": "UTC"},
        coalesce=False, misfire_grace_s=None, max_instances=1000,
    )  # fmt: skip
    passes = 0
    while due_pass(lead, NOW + timedelta(seconds=1200)).more:
        passes += 1
    assert passes == 2
    rows = ledger_of(job)
    assert [run.due_at for run in rows] == [NOW + timedelta(seconds=second) for second in range(1, 1201)]
    assert [run.state for run in rows].count(RunState.QUEUED) == 1000


def test_a_leader_that_lost_its_lease_can_change_nothing(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    with writing() as session:
        session.execute(update(SchedulerLease).values(holder="another", epoch=lead.epoch + 1))
    with pytest.raises(LeaseLost):
        due_pass(lead, NOW + MINUTE)
    assert ledger_of(job) == []
    assert fresh(job).next_due_at == NOW + MINUTE


def test_a_due_time_that_was_acted_on_is_not_acted_on_again(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    due_pass(lead, NOW + MINUTE)
    with writing() as session:  # as after a restored catalogue or a clock that went back
        session.execute(update(Job).values(next_due_at=NOW + MINUTE))
    due_pass(lead, NOW + MINUTE)
    assert [run.due_at for run in ledger_of(job)] == [NOW + MINUTE]
    assert fresh(job).next_due_at == NOW + 2 * MINUTE


def test_a_job_that_cannot_be_read_is_quarantined_and_the_others_go_on(make_job: MakeJob, lead: lease.Held) -> None:
    broken, sound = make_job(name="broken"), make_job(name="sound")
    with writing() as session:
        session.execute(update(Job).where(Job.id == broken.id).values(trigger={"kind": "sundial"}))
    due_pass(lead, NOW + MINUTE)
    assert fresh(broken).state == JobState.QUARANTINED
    assert "schedule cannot be computed" in (fresh(broken).state_reason or "")
    assert [(run.state, run.due_at) for run in ledger_of(broken)] == [(RunState.FAILED, NOW + MINUTE)]
    assert [run.state for run in ledger_of(sound)] == [RunState.QUEUED]


def test_a_due_time_during_the_earlier_run_is_skipped_with_the_reason(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    due_pass(lead, NOW + MINUTE)
    due_pass(lead, NOW + 2 * MINUTE)
    first, second = ledger_of(job)
    assert (first.state, second.state) == (RunState.QUEUED, RunState.SKIPPED)
    assert second.reason == "The earlier run had not ended yet."


def test_replace_asks_the_run_that_goes_on_to_stop(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(overlap="replace")
    due_pass(lead, NOW + MINUTE)
    due_pass(lead, NOW + 2 * MINUTE)
    first, second = ledger_of(job)
    assert first.stop_requested_at == NOW + 2 * MINUTE
    assert (second.state, second.instances_max) == (RunState.QUEUED, 1)
    assert second.stop_requested_at is None


def test_while_everything_is_paused_due_times_are_held(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    control.hold(actor=CODE, now=NOW)
    due_pass(lead, NOW + MINUTE)
    control.release(actor=CODE, now=NOW + MINUTE)
    due_pass(lead, NOW + 2 * MINUTE)
    assert [run.state for run in ledger_of(job)] == [RunState.HELD, RunState.QUEUED]
    assert "paused by test" in (ledger_of(job)[0].reason or "")


def test_while_stopped_due_times_wait_and_are_settled_at_the_start(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    control.shut_down(actor=CODE, now=NOW)
    due_pass(lead, NOW + MINUTE)
    assert ledger_of(job) == []
    control.start(actor=CODE, now=NOW + 3 * MINUTE)
    due_pass(lead, NOW + 3 * MINUTE)
    assert [(run.state, run.due_count) for run in ledger_of(job)] == [(RunState.QUEUED, 3)]


def test_an_edit_settles_what_was_due_before_by_the_old_definition(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(kwargs={"message": "old"})
    later = NOW + 3 * MINUTE
    jobs.patch(job.id, {"kwargs": {"message": "new"}}, actor=CODE, now=later)
    due_pass(lead, later + MINUTE)
    rows = ledger_of(job)
    assert [(run.kwargs["message"], run.due_count) for run in rows] == [("old", 3), ("new", 1)]


def test_a_pause_settles_what_was_due_and_resume_keeps_the_phase(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    jobs.pause(job.id, actor=CODE, now=NOW + 2 * MINUTE)
    assert [run.due_count for run in ledger_of(job)] == [2]
    due_pass(lead, NOW + 10 * MINUTE)
    jobs.resume(job.id, actor=CODE, now=NOW + 10.5 * MINUTE)
    assert fresh(job).next_due_at == NOW + 11 * MINUTE
    assert len(ledger_of(job)) == 1


def test_deleting_a_job_gives_its_waiting_runs_an_outcome(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    job_id = job.id
    due_pass(lead, NOW + MINUTE)
    jobs.delete(job_id, actor=CODE, now=NOW + MINUTE)
    db.session.expire_all()
    (run,) = db.session.scalars(select(Run).where(Run.job_id == job_id)).all()
    assert (run.state, run.reason) == (RunState.CANCELLED, "The job was deleted by test.")


def test_the_periods_of_a_job_join_without_gap_or_overlap(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    moments = [NOW + minute * MINUTE for minute in (1, 2, 3, 4)]
    jobs.patch(job.id, {"name": "Another"}, actor=CODE, now=moments[0])
    jobs.pause(job.id, actor=CODE, now=moments[1])
    jobs.resume(job.id, actor=CODE, now=moments[2])
    jobs.delete(job.id, actor=CODE, now=moments[3])
    periods = db.session.scalars(select(JobRevision).order_by(JobRevision.revision)).all()
    assert [period.change for period in periods] == ["created", "edited", "paused", "resumed", "deleted"]
    assert [period.serving for period in periods] == [True, True, False, True, False]
    assert [period.from_at for period in periods] == [NOW, *moments]
    assert [period.until_at for period in periods] == [*moments, moments[3]]


def test_claims_are_handed_out_by_priority_then_age(make_job: MakeJob, lead: lease.Held) -> None:
    usual, urgent = make_job(name="usual"), make_job(name="urgent", priority=5)
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        claimed = ledger.claim(session, lead, {"default": 1}, NOW + MINUTE, "test")
    assert [row["job_id"] for row in claimed.rows] == [urgent.id]
    assert claimed.more
    assert [run.state for run in ledger_of(usual)] == [RunState.QUEUED]


def test_a_run_is_claimed_once(make_job: MakeJob, lead: lease.Held) -> None:
    make_job()
    due_pass(lead, NOW + MINUTE)
    claims = []
    for worker in ("test", "other"):
        with writing() as session:
            claims.append(ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, worker))
    assert [len(claimed.rows) for claimed in claims] == [1, 0]


def test_a_run_that_waited_longer_than_its_grace_is_missed_with_the_reason(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(misfire_grace_s=30)
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        claimed = ledger.claim(session, lead, {"default": 10}, NOW + 2 * MINUTE, "test")
    assert claimed.rows == []
    (run,) = ledger_of(job)
    assert run.state == RunState.MISSED
    assert "waited for a free worker until it was 1 min late" in (run.reason or "")


def test_a_run_whose_task_is_gone_fails_and_its_job_is_quarantined(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    with writing() as session:
        session.execute(update(Job).values(task="gone.task"))
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "test")
    (run,) = ledger_of(job)
    assert (run.state, "There is no task 'gone.task'" in (run.error or "")) == (RunState.FAILED, True)
    assert fresh(job).state == JobState.QUARANTINED


def test_a_replacement_starts_only_when_the_earlier_run_has_ended(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(overlap="replace")
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        (first,) = ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "test").rows
    due_pass(lead, NOW + 2 * MINUTE)
    with writing() as session:
        assert ledger.claim(session, lead, {"default": 10}, NOW + 2 * MINUTE, "test").rows == []
    with writing() as session:
        ledger.write(session, ended(first["run_id"], RunState.CANCELLED, NOW + 2 * MINUTE), NOW + 2 * MINUTE)
        assert len(ledger.claim(session, lead, {"default": 10}, NOW + 2 * MINUTE, "test").rows) == 1
    assert [run.state for run in ledger_of(job)] == [RunState.CANCELLED, RunState.RUNNING]


def ended(run_id: int, state: RunState, at: datetime, **values: Any) -> ledger.Entries:
    """An outcome as an executor reports it."""
    empty = {"result": None, "error": None, "traceback": None, "reason": None, "error_names": (), "job_id": "",
             "due_at": None, "follow_up": True}  # fmt: skip
    return ledger.Entries(outcomes=[{**empty, "run_id": run_id, "state": state, "finished_at": at, **values}])


def test_a_failed_run_is_tried_again_as_a_linked_attempt_that_waits(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(retry={"max_attempts": 2, "delay_s": 60, "backoff": "fixed"})
    now = NOW + MINUTE
    due_pass(lead, now)
    with writing() as session:
        (first,) = ledger.claim(session, lead, {"default": 10}, now, "test").rows
        ledger.write(session, ended(first["run_id"], RunState.FAILED, now, error="no"), now)
    old, new = ledger_of(job)
    assert (old.state, old.next_id) == (RunState.FAILED, new.id)
    assert (new.state, new.attempt, new.trigger, new.previous_id) == (RunState.QUEUED, 2, "retry", old.id)
    assert (new.due_at, new.available_at) == (old.due_at, now + MINUTE)
    with writing() as session:
        assert ledger.claim(session, lead, {"default": 10}, now, "test").rows == []
        (second,) = ledger.claim(session, lead, {"default": 10}, now + MINUTE, "test").rows
        ledger.write(session, ended(second["run_id"], RunState.FAILED, now + MINUTE), now + MINUTE)
    db.session.expire_all()
    assert [run.state for run in ledger_of(job)] == [RunState.FAILED, RunState.FAILED]


def test_an_outcome_that_comes_twice_changes_nothing(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        (row,) = ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "test").rows
        ledger.write(session, ended(row["run_id"], RunState.SUCCEEDED, NOW + MINUTE, result="1"), NOW)
        ledger.write(session, ended(row["run_id"], RunState.FAILED, NOW + MINUTE, error="late"), NOW)
    (run,) = ledger_of(job)
    assert (run.state, run.result, run.error) == (RunState.SUCCEEDED, "1", None)


def test_runs_of_a_dead_process_are_lost_and_run_again_only_if_the_job_says_so(
    make_job: MakeJob, lead: lease.Held
) -> None:
    careful, safe = make_job(name="careful"), make_job(name="safe", rerun_if_lost=True)
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "dead")
        recovery.lose_orphans(session, ["test"], NOW + 2 * MINUTE)
    assert [run.state for run in ledger_of(careful)] == [RunState.LOST]
    assert "ended without a word" in (ledger_of(careful)[0].reason or "")
    assert [(run.state, run.attempt) for run in ledger_of(safe)] == [(RunState.LOST, 1), (RunState.QUEUED, 2)]
