"""Catching up: past due times are run after all, linked to the rows they repair, and the balance stays exact."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import CODE, NOW
from tests.engine.test_balance import passes, work
from webapp.domain.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.domain.states import Role, RunState, RunTrigger
from webapp.extensions import db
from webapp.services import balance, catch_up, jobs, ledger
from webapp.services.actors import Actor
from webapp.services.catch_up import CatchUp
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import AuditEntry, Job, Run

MakeJob = Callable[..., Job]
MINUTE = timedelta(minutes=1)
HOURLY = {"kind": "cron", "minute": "0", "timezone": "UTC"}


def at(hour: int, minute: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute)


def missed(make_job: MakeJob, lead: lease.Held, **overrides: Any) -> Job:
    """An hourly job whose due times at 13:00, 14:00 and 15:00 were missed, each in a row of its own."""
    job = make_job(trigger=HOURLY, coalesce=False, misfire_grace_s=60, **overrides)
    passes(lead, at(15, 30))
    return job


def rows(job: Job) -> list[Run]:
    db.session.expire_all()
    return list(db.session.scalars(select(Run).where(Run.job_id == job.id).order_by(Run.id)))


def told(caught: pytest.ExceptionInfo[Invalid]) -> str:
    return " ".join(caught.value.fields["moments"])


def test_past_due_times_are_listed_with_what_became_of_them(make_job: MakeJob, lead: lease.Held) -> None:
    job = missed(make_job, lead)
    passes(lead, at(16))
    first, second, third, last = rows(job)
    found = catch_up.candidates(job.id, at(13), at(20), now=at(16, 30))
    assert found == [
        CatchUp(at(14), RunState.MISSED, second.id),
        CatchUp(at(15), RunState.MISSED, third.id),
        CatchUp(at(16), RunState.QUEUED, last.id),
    ]
    assert [each.is_open for each in found] == [True, True, False]
    assert catch_up.candidates(job.id, at(12), at(20), now=at(16, 30), limit=1) == [
        CatchUp(at(13), RunState.MISSED, first.id)
    ]


def test_folded_and_never_due_times_are_listed_too(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger=HOURLY)
    passes(lead, at(14, 30))
    jobs.pause(job.id, actor=CODE, now=at(14, 40))
    (row,) = rows(job)
    assert catch_up.candidates(job.id, at(10, 30), at(15), now=at(15)) == [
        CatchUp(at(11), None, None),  # before it was made
        CatchUp(at(12), None, None),
        CatchUp(at(13), RunState.QUEUED, row.id, folded=True),
        CatchUp(at(14), RunState.QUEUED, row.id, folded=True),
        CatchUp(at(15), None, None),  # paused
    ]


def test_what_succeeded_or_still_goes_on_can_be_left_out(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger={"kind": "interval", "seconds": 1, "timezone": "UTC"}, coalesce=False, misfire_grace_s=1)
    passes(lead, NOW + timedelta(seconds=90))
    work(lead, NOW + timedelta(seconds=90), RunState.SUCCEEDED)
    found = catch_up.candidates(job.id, NOW, NOW + timedelta(seconds=95), now=NOW + timedelta(seconds=95))
    still_open = catch_up.candidates(
        job.id, NOW, NOW + timedelta(seconds=95), now=NOW + timedelta(seconds=95), open_only=True, limit=94
    )
    assert len(found) == 95
    assert still_open == [each for each in found if each.is_open]


def test_a_time_is_listed_by_the_schedule_that_was_in_force_then(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger=HOURLY)
    jobs.patch(job.id, {"trigger": {**HOURLY, "minute": "30"}}, actor=CODE, now=at(14, 10))
    found = catch_up.candidates(job.id, NOW, at(16), now=at(16))
    assert [each.due_at for each in found] == [at(13), at(14), at(14, 30), at(15, 30)]


def test_in_a_repeated_hour_both_passes_are_told_apart(make_job: MakeJob) -> None:
    night = datetime(2026, 10, 25, 0, tzinfo=UTC)
    later = night + timedelta(hours=4)
    job = make_job(now=later, trigger={"kind": "cron", "crontab": "0 * * * *", "timezone": "Europe/Berlin"})
    found = catch_up.candidates(job.id, night - MINUTE, night + timedelta(hours=1), now=later)
    assert [each.due_at for each in found] == [night, night + timedelta(hours=1)]
    made = catch_up.run(job.id, [night + timedelta(hours=1)], actor=CODE, now=later)
    assert [run.due_at for run in made] == [night + timedelta(hours=1)]


def test_a_missed_due_time_gets_another_attempt_that_is_its_outcome(make_job: MakeJob, lead: lease.Held) -> None:
    job = missed(make_job, lead)
    jobs.patch(job.id, {"kwargs": {"message": "mended"}}, actor=CODE, now=at(15, 40))
    made = catch_up.run(job.id, [at(14), at(13)], actor=CODE, now=at(15, 45))
    first, second, third, one, other = rows(job)
    assert [run.id for run in made] == [one.id, other.id]
    assert (one.due_at, one.attempt, one.previous_id, one.trigger) == (at(13), 2, first.id, RunTrigger.CATCH_UP)
    assert (first.next_id, second.next_id, third.next_id) == (one.id, other.id, None)
    assert (one.state, one.due_count, one.kwargs, one.requested_by) == ("queued", 1, {"message": "mended"}, "test")
    assert one.reason == f"Caught up by test; run {first.id} was missed."
    found = balance.read(NOW, at(15, 45))
    assert (found.by_state, found.adds_up) == ({RunState.QUEUED: 2, RunState.MISSED: 1}, True)


def test_caught_up_runs_go_on_as_the_job_allows_oldest_first(make_job: MakeJob, lead: lease.Held) -> None:
    job = missed(make_job, lead)
    catch_up.run(job.id, [at(15), at(13), at(14)], actor=CODE, now=at(15, 45))
    started = []
    for _ in range(3):
        with writing() as session:
            claimed = ledger.claim(session, lead, {"default": 10}, at(15, 45), "test").rows
            started.append([row["due_at"] for row in claimed])
            ends = [
                {"run_id": row["run_id"], "job_id": job.id, "due_at": row["due_at"], "follow_up": False,
                 "state": RunState.SUCCEEDED, "finished_at": at(15, 45), "result": None, "error": None,
                 "traceback": None, "reason": None, "error_names": ()}
                for row in claimed
            ]  # fmt: skip
            ledger.write(session, ledger.Entries(outcomes=ends), at(15, 45))
    assert started == [[at(13)], [at(14)], [at(15)]]
    assert balance.read(NOW, at(15, 45)).by_state == {RunState.SUCCEEDED: 3}


def test_catching_up_the_row_of_a_folded_due_time_repairs_all_it_answers_for(
    make_job: MakeJob, lead: lease.Held
) -> None:
    job = make_job(trigger=HOURLY, misfire_grace_s=60)
    passes(lead, at(15, 30))
    (made,) = catch_up.run(job.id, [at(15)], actor=CODE, now=at(15, 45))
    assert (made.due_count, made.first_due_at) == (3, at(13))
    found = balance.read(NOW, at(15, 45))
    assert (found.by_state, found.adds_up) == ({RunState.QUEUED: 3}, True)


@pytest.mark.parametrize("moment", [at(14), at(11), at(16)])
def test_times_without_a_row_of_their_own_run_beside_the_balance(
    make_job: MakeJob, lead: lease.Held, moment: datetime
) -> None:
    """14:00 was folded into 15:00, 11:00 came before the job, 16:00 while it was paused."""
    job = make_job(trigger=HOURLY, misfire_grace_s=60)
    jobs.pause(job.id, actor=CODE, now=at(15, 30))
    (made,) = catch_up.run(job.id, [moment], actor=CODE, now=at(16, 30))
    assert (made.due_count, made.attempt, made.due_at, made.state) == (0, 1, moment, "queued")
    assert "it had no run of its own" in (made.reason or "")
    found = balance.read(at(9), at(16, 30))
    assert (found.due, found.by_state, found.adds_up) == (3, {RunState.MISSED: 3, RunState.QUEUED: 0}, True)
    work(lead, at(16, 30), RunState.FAILED)
    (again,) = catch_up.run(job.id, [moment], actor=CODE, now=at(16, 31))
    assert (again.due_count, again.attempt, again.previous_id) == (0, 2, made.id)
    assert balance.read(at(9), at(16, 31)).adds_up


def test_due_times_that_still_wait_are_settled_before_others_are_caught_up(make_job: MakeJob, lead: lease.Held) -> None:
    job = missed(make_job, lead)
    catch_up.run(job.id, [at(13)], actor=CODE, now=at(16))
    assert [run.due_at for run in rows(job)][3:] == [at(16), at(13)]
    assert balance.read(NOW, at(16)).adds_up


def test_a_pause_that_has_ended_counts_before_a_time_in_it_is_caught_up(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger=HOURLY)
    jobs.pause(job.id, actor=CODE, now=NOW, until=at(13, 30))
    catch_up.run(job.id, [at(13)], actor=CODE, now=at(14, 30))
    passes(lead, at(14, 30))
    found = balance.read(NOW, at(14, 30))
    assert (found.due, found.adds_up) == (1, True)


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        ([at(17)], "2026-06-01 17:00:00 UTC lies in the future."),
        ([at(14, 1)], "2026-06-01 14:01:00 UTC is not a time of the schedule that was in force then."),
        ([at(14) + timedelta(microseconds=1)], "is not a time of the schedule"),
        ([], "Choose at least one due time."),
        ([at(14).replace(tzinfo=None)], "Each time needs an offset from UTC."),
        ([NOW + timedelta(seconds=number) for number in range(500)], "At most 500 due times at once; these are 501."),
    ],
)
def test_times_that_cannot_be_caught_up_are_refused_and_nothing_is_queued(
    make_job: MakeJob, lead: lease.Held, moments: list[datetime], said: str
) -> None:
    job = missed(make_job, lead)
    with pytest.raises(Invalid) as caught:
        catch_up.run(job.id, [at(13), *moments] if moments else [], actor=CODE, now=at(15, 45))
    assert said in told(caught)
    assert len(rows(job)) == 3


def test_many_refusals_are_told_in_few_lines(make_job: MakeJob) -> None:
    job = make_job(trigger=HOURLY)
    with pytest.raises(Invalid) as caught:
        catch_up.run(job.id, [NOW - number * MINUTE for number in range(1, 50)], actor=CODE, now=NOW)
    assert len(caught.value.fields["moments"]) == 21
    assert caught.value.fields["moments"][-1] == "And 29 more."


def test_what_succeeded_is_run_again_only_on_purpose(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger=HOURLY)
    passes(lead, at(13))
    work(lead, at(13), RunState.SUCCEEDED)
    with pytest.raises(Invalid) as caught:
        catch_up.run(job.id, [at(13)], actor=CODE, now=at(13, 30))
    assert "has succeeded already" in told(caught)
    (made,) = catch_up.run(job.id, [at(13)], actor=CODE, now=at(13, 30), again=True)
    assert (made.attempt, made.due_count) == (2, 1)
    assert balance.read(NOW, at(13, 30)).by_state == {RunState.QUEUED: 1}


def test_what_still_goes_on_is_not_run_beside_itself(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger=HOURLY)
    passes(lead, at(13))
    with pytest.raises(Invalid) as caught:
        catch_up.run(job.id, [at(13)], actor=CODE, now=at(13, 30), again=True)
    assert "is still going on" in told(caught)


def test_catching_up_is_for_operators_and_leaves_an_entry(make_job: MakeJob, lead: lease.Held) -> None:
    job = missed(make_job, lead)
    with pytest.raises(Forbidden):
        catch_up.run(job.id, [at(13)], actor=Actor("eve", Role.VIEWER, "web"), now=at(15, 45))
    (made,) = catch_up.run(job.id, [at(13)], actor=Actor("olga", Role.OPERATOR, "web"), now=at(15, 45))
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "job.caught_up")).one()
    assert (entry.actor, entry.object_id) == ("olga", job.id)
    assert entry.after == {"runs": [made.id], "due_at": ["2026-06-01T13:00:00+00:00"]}


def test_a_job_that_is_not_there_or_whose_task_is_gone_cannot_catch_up(make_job: MakeJob, lead: lease.Held) -> None:
    with pytest.raises(NotFound):
        catch_up.candidates("nobody", NOW, at(13), now=at(14))
    with pytest.raises(NotFound):
        catch_up.run("nobody", [at(13)], actor=CODE, now=at(14))
    job = missed(make_job, lead)
    with writing() as session:
        session.get(Job, job.id).task = "gone.task"  # type: ignore[union-attr]
    with pytest.raises(Conflict, match=r"gone\.task is not available"):
        catch_up.run(job.id, [at(13)], actor=CODE, now=at(15, 45))
