"""What happens when a run has ended, and limits that hold others back: chains, retries by error, pauses, groups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.conftest import CODE, NOW
from webapp.domain.errors import Conflict, Invalid
from webapp.domain.states import JobState, RunState
from webapp.extensions import db
from webapp.services import control, jobs, ledger, recovery
from webapp.services.due import due_pass
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import Job, JobRevision, Run

MakeJob = Callable[..., Job]
MINUTE = timedelta(minutes=1)
YEARLY = {"kind": "cron", "month": "1", "day": "1", "hour": "0", "minute": "0", "timezone": "UTC"}


def ledger_of(job: Job) -> list[Run]:
    db.session.rollback()
    return list(db.session.scalars(select(Run).where(Run.job_id == job.id).order_by(Run.id)))


def fresh(job: Job) -> Job:
    db.session.rollback()
    return jobs.get(job.id)


def end(run: Run, state: RunState, at: Any = NOW, error_names: tuple[str, ...] = ()) -> None:
    """Let a run that waits be claimed and end, as the recorder would."""
    item = {
        "run_id": run.id, "state": state, "finished_at": at, "result": None, "error": None, "traceback": None,
        "reason": None, "error_names": error_names, "job_id": run.job_id, "due_at": run.due_at,
        "follow_up": run.follow_up,
    }  # fmt: skip
    with writing() as session:
        session.execute(
            update(Run)
            .where(Run.id == run.id, Run.state == RunState.QUEUED)
            .values(state=RunState.RUNNING, worker="test")
        )
        ledger.write(session, ledger.Entries(outcomes=[item]), at)


@pytest.fixture
def chain(make_job: MakeJob) -> Callable[..., tuple[Job, Job]]:
    """Two jobs: the first starts the second on a condition."""

    def link(on: str, **second: Any) -> tuple[Job, Job]:
        after = make_job(name="after", trigger=YEARLY, **second)
        return make_job(name="first", trigger=YEARLY, chains=[{"job_id": after.id, "on": on}]), after

    return link


@pytest.mark.parametrize(
    ("on", "state", "starts"),
    [
        ("success", RunState.SUCCEEDED, True),
        ("success", RunState.FAILED, False),
        ("failure", RunState.SUCCEEDED, False),
        ("failure", RunState.FAILED, True),
        ("failure", RunState.TIMED_OUT, True),
        ("always", RunState.SUCCEEDED, True),
        ("always", RunState.CANCELLED, True),
    ],
)
def test_a_chain_starts_the_next_job_on_its_condition(
    chain: Callable[..., tuple[Job, Job]], on: str, state: RunState, starts: bool
) -> None:
    first, after = chain(on)
    run = jobs.run_now(first.id, actor=CODE, now=NOW)
    end(run, state)
    found = ledger_of(after)
    assert bool(found) == starts
    if starts:
        assert (found[0].state, found[0].trigger, found[0].cause_id) == (RunState.QUEUED, "chain", run.id)


@pytest.mark.parametrize("second", [RunState.FAILED, RunState.SUCCEEDED])
def test_an_outcome_that_comes_twice_starts_what_follows_once(
    chain: Callable[..., tuple[Job, Job]], second: RunState
) -> None:
    """The answer to the first commit was lost, or the run was given up for lost meanwhile."""
    first, after = chain("always")
    run = jobs.run_now(first.id, actor=CODE, now=NOW)
    end(run, RunState.FAILED)
    end(run, second)
    assert [run.state for run in ledger_of(first)] == [RunState.FAILED]
    assert len(ledger_of(after)) == 1


def test_a_chain_waits_for_the_last_attempt(make_job: MakeJob) -> None:
    after = make_job(name="after", trigger=YEARLY)
    first = make_job(trigger=YEARLY, retry={"max_attempts": 2}, chains=[{"job_id": after.id, "on": "failure"}])
    end(jobs.run_now(first.id, actor=CODE, now=NOW), RunState.FAILED)
    assert ledger_of(after) == []
    end(ledger_of(first)[-1], RunState.FAILED)
    assert len(ledger_of(after)) == 1


def test_a_chained_job_that_is_paused_gets_a_row_that_says_so(chain: Callable[..., tuple[Job, Job]]) -> None:
    first, after = chain("success")
    jobs.pause(after.id, actor=CODE, now=NOW)
    end(jobs.run_now(first.id, actor=CODE, now=NOW), RunState.SUCCEEDED)
    (row,) = ledger_of(after)
    assert row.state == RunState.SKIPPED
    assert (row.reason or "").endswith("But this job is paused.")


def test_a_chained_job_obeys_the_pause_of_everything(chain: Callable[..., tuple[Job, Job]]) -> None:
    first, after = chain("success")
    run = jobs.run_now(first.id, actor=CODE, now=NOW)
    control.hold(actor=CODE, now=NOW)
    end(run, RunState.SUCCEEDED)
    assert [row.state for row in ledger_of(after)] == [RunState.HELD]


def test_chains_that_go_round_are_refused(make_job: MakeJob) -> None:
    third = make_job(name="third", trigger=YEARLY)
    second = make_job(name="second", trigger=YEARLY, chains=[{"job_id": third.id}])
    first = make_job(name="first", trigger=YEARLY, chains=[{"job_id": second.id}])
    with pytest.raises(Invalid, match="round in a circle"):
        jobs.patch(third.id, {"chains": [{"job_id": first.id}]}, actor=CODE, now=NOW)
    with pytest.raises(Invalid, match="There is no job 'nowhere'"):
        jobs.patch(third.id, {"chains": [{"job_id": "nowhere"}]}, actor=CODE, now=NOW)
    with pytest.raises(Invalid, match="cannot start itself"):
        jobs.patch(third.id, {"chains": [{"job_id": third.id}]}, actor=CODE, now=NOW)


@pytest.mark.parametrize(
    ("only_on", "names", "state", "again"),
    [
        (["ConnectionError"], ("ConnectionResetError", "ConnectionError", "OSError"), RunState.FAILED, True),
        (["httpx.ConnectTimeout"], ("ConnectTimeout", "httpx.ConnectTimeout"), RunState.FAILED, True),
        (["ConnectionError"], ("ValueError", "Exception"), RunState.FAILED, False),
        (["timed_out"], (), RunState.TIMED_OUT, True),
        ([], ("ValueError",), RunState.FAILED, True),
    ],
)
def test_a_retry_may_be_for_given_errors_only(
    make_job: MakeJob, only_on: list[str], names: tuple[str, ...], state: RunState, again: bool
) -> None:
    job = make_job(trigger=YEARLY, retry={"max_attempts": 2, "only_on": only_on})
    end(jobs.run_now(job.id, actor=CODE, now=NOW), state, error_names=names)
    assert (len(ledger_of(job)) == 2) == again


def test_a_job_pauses_itself_after_so_many_failures_in_a_row(make_job: MakeJob) -> None:
    job = make_job(auto_pause_after=3)
    for state in (RunState.FAILED, RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT):
        end(jobs.run_now(job.id, actor=CODE, now=NOW), state)
    assert fresh(job).state == JobState.ACTIVE
    end(jobs.run_now(job.id, actor=CODE, now=NOW), RunState.FAILED)
    assert fresh(job).state == JobState.PAUSED
    assert fresh(job).state_reason == "It paused itself after 3 failures in a row."
    assert fresh(job).next_due_at is None


def test_a_pause_with_an_end_ends_by_itself_on_the_jobs_own_grid(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    jobs.pause(job.id, actor=CODE, now=NOW, until=NOW + 10 * MINUTE)
    due_pass(lead, NOW + 9 * MINUTE)
    assert fresh(job).state == JobState.PAUSED
    due_pass(lead, NOW + 12 * MINUTE)
    assert (fresh(job).state, fresh(job).resume_at) == (JobState.ACTIVE, None)
    # The leader came two minutes after the pause had ended: what was due since then is not lost.
    assert [(run.due_at, run.due_count) for run in ledger_of(job)] == [(NOW + 12 * MINUTE, 2)]
    periods = db.session.scalars(select(JobRevision).order_by(JobRevision.revision)).all()
    assert [(period.change, period.from_at) for period in periods][-1] == ("resumed", NOW + 10 * MINUTE)


def test_a_pause_cannot_end_before_it_begins(make_job: MakeJob) -> None:
    job = make_job()
    with pytest.raises(Invalid, match="must end after now"):
        jobs.pause(job.id, actor=CODE, now=NOW, until=NOW)


def test_a_group_has_no_more_runs_going_on_than_its_limit(make_job: MakeJob, lead: lease.Held) -> None:
    grouped = [make_job(name=f"grouped {number}", group="warehouse") for number in range(3)]
    free = make_job(name="free")
    due_pass(lead, NOW + MINUTE)
    with writing() as session:
        claimed = ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "test", {"warehouse": 2})
    assert len(claimed.rows) == 3
    assert free.id in {row["job_id"] for row in claimed.rows}
    with writing() as session:
        assert ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "test", {"warehouse": 2}).rows == []
    running = next(run for job in grouped for run in ledger_of(job) if run.state == RunState.RUNNING)
    end(running, RunState.SUCCEEDED)
    with writing() as session:
        assert len(ledger.claim(session, lead, {"default": 10}, NOW + MINUTE, "test", {"warehouse": 2}).rows) == 1


def test_many_runs_that_must_wait_do_not_hide_one_that_may_start(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(overlap="together", max_instances=1000, coalesce=False, misfire_grace_s=None)
    due_pass(lead, NOW + 200 * MINUTE)
    with writing() as session:
        session.execute(update(Run).values(instances_max=1))
        (first,) = ledger.claim(session, lead, {"default": 1}, NOW + 200 * MINUTE, "test").rows
    other = make_job(name="other", now=NOW + 199 * MINUTE)
    due_pass(lead, NOW + 200 * MINUTE)
    with writing() as session:
        claimed = ledger.claim(session, lead, {"default": 1}, NOW + 200 * MINUTE, "test")
    assert [row["job_id"] for row in claimed.rows] == [other.id]
    assert first["job_id"] == job.id


def test_a_job_whose_executor_is_gone_is_quarantined_when_due(make_job: MakeJob, lead: lease.Held) -> None:
    job, sound = make_job(), make_job(name="sound")
    with writing() as session:
        session.execute(update(Job).where(Job.id == job.id).values(executor="gone"))
    due_pass(lead, NOW + MINUTE, ["default"])
    assert (fresh(job).state, fresh(job).state_reason) == (JobState.QUARANTINED, "There is no executor 'gone' here.")
    assert [(run.state, run.error) for run in ledger_of(job)] == [("failed", "There is no executor 'gone' here.")]
    assert [run.state for run in ledger_of(sound)] == [RunState.QUEUED]


def test_queued_runs_of_an_executor_that_is_gone_get_an_outcome(make_job: MakeJob) -> None:
    job = make_job()
    jobs.run_now(job.id, actor=CODE, now=NOW)
    with writing() as session:
        session.execute(update(Run).values(executor="gone"))
        recovery.fail_without_executor(session, ["default"], NOW)
    assert [run.state for run in ledger_of(job)] == [RunState.FAILED]
    assert fresh(job).state == JobState.QUARANTINED


def test_a_quarantined_job_is_not_paused_over_its_reason(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    with writing() as session:
        session.execute(update(Job).values(executor="gone"))
    due_pass(lead, NOW + MINUTE, ["default"])
    with pytest.raises(Conflict, match="quarantined"):
        jobs.pause(job.id, actor=CODE, now=NOW + MINUTE)


def test_a_repaired_job_is_served_again(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job()
    with writing() as session:
        session.execute(update(Job).values(executor="gone"))
    due_pass(lead, NOW + MINUTE, ["default"])
    jobs.patch(job.id, {"executor": "default"}, actor=CODE, now=NOW + 1.5 * MINUTE)
    assert (fresh(job).state, fresh(job).next_due_at) == (JobState.ACTIVE, NOW + 2 * MINUTE)
