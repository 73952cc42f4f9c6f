"""Why did it not run? Each reason, in order, from what really happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from tests.conftest import CODE, NOW
from tests.engine.test_balance import passes, work
from webapp.domain.errors import NotFound
from webapp.domain.states import Role, RunState
from webapp.extensions import db
from webapp.services import catch_up, control, jobs, ledger, recovery, runs
from webapp.services.actors import Actor
from webapp.services.explain import Explanation, explain
from webapp.services.reasons import Link, Verdict
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import EngineEvent, Job, Run, SchedulerSpan

MakeJob = Callable[..., Job]
MINUTE = timedelta(minutes=1)
HOURLY = {"kind": "cron", "minute": "0", "timezone": "UTC"}
ANNA = Actor("anna", Role.ADMIN, "web")


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute, second=second)


@pytest.fixture
def hourly(make_job: MakeJob) -> Callable[..., Job]:
    """A job due at each full hour from 13:00 on."""
    return lambda **overrides: make_job(trigger=HOURLY, **overrides)


def rows(job: Job) -> list[Run]:
    db.session.expire_all()
    return list(db.session.scalars(select(Run).where(Run.job_id == job.id).order_by(Run.id)))


def ask(job_id: str, moment: datetime, now: datetime | None = None) -> Explanation:
    """Asked late in the evening, unless told otherwise."""
    db.session.expire_all()
    return explain(job_id, moment, now=now or at(23, 30))


def codes(found: Explanation) -> list[str]:
    return [reason.code for reason in found.reasons]


def text(found: Explanation, code: str) -> str:
    return next(reason.text for reason in found.reasons if reason.code == code)


def link(found: Explanation, code: str) -> Link | None:
    return next(reason.link for reason in found.reasons if reason.code == code)


def served(*spans: tuple[datetime, datetime]) -> None:
    """Leaders led in these spans and at no other time."""
    with writing() as session:
        session.execute(delete(SchedulerSpan))
        for number, (from_at, until_at) in enumerate(spans):
            session.add(SchedulerSpan(holder="test", epoch=number, from_at=from_at, until_at=until_at))


def test_it_ran(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13, 0, 1))
    work(lead, at(13, 0, 2), RunState.SUCCEEDED)
    (run,) = rows(job)
    found = ask(job.id, at(13, 0, 40))
    assert (found.verdict, found.due_at, found.run_id, found.state) == (Verdict.RAN, at(13), run.id, "succeeded")
    assert codes(found) == ["succeeded", "revision"]
    assert text(found, "succeeded") == (
        f"Run {run.id} succeeded, started at 13:00:02 on 1 June 2026 (UTC), 2 s after it was due, took 0.0 s."
    )
    assert link(found, "succeeded") == Link("run", run.id)
    assert text(found, "revision") == "Revision 1 was in force since 12:00 on 1 June 2026 (UTC) (created by test)."


def test_the_nearest_due_time_is_meant(make_job: MakeJob) -> None:
    job = make_job(trigger={"kind": "interval", "seconds": 40, "start_date": NOW.isoformat(), "timezone": "UTC"})
    assert ask(job.id, NOW + timedelta(seconds=55)).due_at == NOW + timedelta(seconds=40)
    assert ask(job.id, NOW + timedelta(seconds=65)).due_at == NOW + timedelta(seconds=80)


def test_who_asks_about_now_means_what_has_come(make_job: MakeJob) -> None:
    job = make_job()
    assert ask(job.id, NOW + 1.9 * MINUTE, now=NOW + 1.9 * MINUTE).due_at == NOW + MINUTE
    assert ask(job.id, NOW + 1.9 * MINUTE, now=NOW + 5 * MINUTE).due_at == NOW + 2 * MINUTE
    assert ask(job.id, NOW + 1.9 * MINUTE, now=NOW).due_at == NOW + 2 * MINUTE


def test_it_failed_with_its_error_after_an_earlier_attempt(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(retry={"max_attempts": 2, "delay_s": 60, "backoff": "fixed"})
    passes(lead, at(13))
    work(lead, at(13), RunState.FAILED)
    waiting = ask(job.id, at(13), now=at(13))
    assert waiting.verdict is Verdict.WAITING
    assert "starts at 13:01 on 1 June 2026 (UTC) at the earliest" in text(waiting, "queued")
    work(lead, at(13, 1), RunState.FAILED)
    with writing() as session:
        session.execute(update(Run).where(Run.attempt == 2).values(error="OSError: no route"))
    first, _ = rows(job)
    found = ask(job.id, at(13))
    assert (found.verdict, found.state) == (Verdict.RAN, "failed")
    assert "OSError: no route" in text(found, "failed")
    assert text(found, "attempt") == f"Attempt 1, run {first.id}: failed."


def test_it_is_running(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13))
    with writing() as session:
        ledger.claim(session, lead, {"default": 1}, at(13), "test")
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[0]) == (Verdict.RUNNING, "running")


def test_it_waits_for_a_worker(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13))
    served((NOW, at(13, 5)))
    found = ask(job.id, at(13), now=at(13, 5))
    assert (found.verdict, codes(found)) == (Verdict.WAITING, ["queued", "revision"])


def test_it_waits_for_the_run_before_it(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(overlap="queue")
    passes(lead, at(13))
    with writing() as session:
        ledger.claim(session, lead, {"default": 1}, at(13), "test")
    passes(lead, at(14))
    first, _ = rows(job)
    found = ask(job.id, at(14), now=at(14))
    assert text(found, "still_running") == f"Run {first.id} must end first."


def test_it_was_skipped_because_an_earlier_run_was_still_going(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13))
    with writing() as session:
        ledger.claim(session, lead, {"default": 1}, at(13), "test")
    passes(lead, at(14))
    first, _ = rows(job)
    found = ask(job.id, at(14))
    assert (found.verdict, codes(found)[:2]) == (Verdict.NOT_RUN, ["skipped", "still_running"])
    assert text(found, "skipped") == "The earlier run had not ended yet."
    assert text(found, "still_running") == f"Run {first.id} was running."
    assert link(found, "still_running") == Link("run", first.id)


def test_it_was_missed_because_the_scheduler_was_down(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(misfire_grace_s=60, coalesce=False)
    served((NOW, at(12, 30)), (at(15), at(16)))
    passes(lead, at(15, 0, 2))
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[:2]) == (Verdict.NOT_RUN, ["missed", "down"])
    assert text(found, "missed") == "2 h late; the job may start up to 1 min late."
    assert text(found, "down") == (
        "No scheduler was running from 12:30 on 1 June 2026 (UTC) until 15:00 on 1 June 2026 (UTC)."
    )


def test_it_was_missed_because_somebody_had_stopped_the_scheduler(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(misfire_grace_s=60)
    control.shut_down(actor=ANNA, now=at(12, 50))
    passes(lead, at(13))
    control.start(actor=ANNA, now=at(13, 30))
    passes(lead, at(13, 30))
    served((NOW, at(16)))
    found = ask(job.id, at(13))
    assert codes(found)[:2] == ["missed", "stopped"]
    assert text(found, "stopped") == (
        "The scheduler was stopped by anna at 12:50 on 1 June 2026 (UTC) and started at 13:30 on 1 June 2026 (UTC)."
    )


def test_a_stop_that_had_ended_before_is_no_reason(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(misfire_grace_s=60)
    control.shut_down(actor=ANNA, now=at(12, 10))
    control.start(actor=ANNA, now=at(12, 20))
    served((NOW, at(16)))
    passes(lead, at(13, 30))
    assert codes(ask(job.id, at(13))) == ["missed", "revision"]


def test_it_was_missed_because_the_clock_jumped(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(misfire_grace_s=60)
    served((NOW, at(16)))
    with writing() as session:
        session.add(EngineEvent(at=at(13, 30), kind="clock", message="The clock went forward by 3000 s."))
    passes(lead, at(13, 30))
    assert text(ask(job.id, at(13)), "clock") == "The clock went forward by 3000 s."


def test_it_was_missed_because_the_pool_was_full(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(misfire_grace_s=60)
    passes(lead, at(13))
    work(lead, at(13, 5), RunState.SUCCEEDED)
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)) == (Verdict.NOT_RUN, ["pool_full", "revision"])
    assert "waited for a free worker" in text(found, "pool_full")


def test_it_was_held_by_a_pause_of_everything(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    control.hold(actor=ANNA, now=at(12, 10))
    passes(lead, at(13))
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[0]) == (Verdict.NOT_RUN, "held")
    assert text(found, "held") == "Everything was paused by anna at 2026-06-01 12:10 UTC."


def test_it_was_folded_into_another_run(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(15))
    work(lead, at(15), RunState.SUCCEEDED)
    (run,) = rows(job)
    found = ask(job.id, at(14))
    assert (found.verdict, found.run_id, codes(found)[:2]) == (Verdict.RAN, run.id, ["succeeded", "folded"])
    assert text(found, "folded") == (
        f"It was folded into run {run.id}, which answers for 3 due times from 13:00 on 1 June 2026 (UTC) to 15:00 on "
        "1 June 2026 (UTC)."
    )
    assert text(ask(job.id, at(15)), "folded").startswith("It stands for others as well: run")


def test_it_was_lost(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13))
    with writing() as session:
        ledger.claim(session, lead, {"default": 1}, at(13), "dead")
        recovery.lose_orphans(session, ["test"], at(13, 1))
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[0]) == (Verdict.RAN, "lost")
    assert "ended without a word" in text(found, "lost")


def test_it_was_cancelled_before_it_started(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13))
    runs.stop(rows(job)[0].id, actor=ANNA, now=at(13, 0, 5))
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[0]) == (Verdict.NOT_RUN, "cancelled")
    assert text(found, "cancelled") == "Cancelled by anna before it started."


def test_it_could_not_be_started_for_want_of_its_executor(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13), executors=())
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[0]) == (Verdict.NOT_RUN, "failed")
    assert text(found, "failed").endswith("failed, never started. There is no executor 'default' here.")
    later = ask(job.id, at(14))
    assert (later.verdict, codes(later)) == (Verdict.NOT_DUE, ["quarantined", "revision"])
    assert text(later, "quarantined") == (
        "The job was quarantined since 13:00 on 1 June 2026 (UTC), and still is. There is no executor 'default' here."
    )


def test_it_was_caught_up(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    jobs.pause(job.id, actor=ANNA, now=at(12, 30))
    catch_up.run(job.id, [at(13)], actor=ANNA, now=at(13, 30))
    work(lead, at(13, 30), RunState.SUCCEEDED)
    found = ask(job.id, at(13))
    assert (found.verdict, found.state) == (Verdict.RAN, "succeeded")
    assert codes(found) == ["succeeded", "caught_up", "paused", "revision"]
    assert text(found, "caught_up") == "It was caught up by anna at 13:30 on 1 June 2026 (UTC)."


def test_it_was_paused_until_somebody_resumed_it(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    jobs.pause(job.id, actor=ANNA, now=at(12, 30))
    jobs.patch(job.id, {"name": "Another"}, actor=CODE, now=at(12, 40))
    still = ask(job.id, at(13), now=at(13, 5))
    assert (still.verdict, codes(still)[0]) == (Verdict.NOT_DUE, "paused")
    assert text(still, "paused") == "The job was paused by anna since 12:30 on 1 June 2026 (UTC), and still is."
    jobs.resume(job.id, actor=CODE, now=at(13, 30))
    found = ask(job.id, at(13))
    assert text(found, "paused").endswith("(UTC), until test resumed it at 13:30 on 1 June 2026 (UTC).")
    assert link(found, "paused") == Link("revision", 2)


def test_a_pause_with_an_end_says_it(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    jobs.pause(job.id, actor=ANNA, now=at(12, 30))
    jobs.pause(job.id, actor=CODE, now=at(12, 45), until=at(13, 30))
    begun = "The job was paused by anna since 12:30 on 1 June 2026 (UTC)"
    assert text(ask(job.id, at(13), now=at(13, 5)), "paused") == f"{begun}, until 13:30 on 1 June 2026 (UTC)."
    passes(lead, at(14))
    assert text(ask(job.id, at(13)), "paused") == (
        f"{begun}, until the end that its pause had, 13:30 on 1 June 2026 (UTC)."
    )


def test_it_paused_itself(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly(auto_pause_after=1)
    passes(lead, at(13))
    work(lead, at(13), RunState.FAILED)
    found = ask(job.id, at(14))
    assert text(found, "paused").startswith("The job was paused by carillon since 13:00")
    assert text(found, "paused").endswith("It paused itself after 1 failures in a row.")


def test_it_was_made_paused(app: Any) -> None:
    job = jobs.create({"task": "demo.echo", "trigger": HOURLY}, actor=ANNA, now=NOW, paused=True)
    assert text(ask(job.id, at(13)), "paused").startswith("The job was made paused by anna since 12:00")


def test_it_was_not_there_yet(hourly: Callable[..., Job]) -> None:
    job = hourly()
    found = ask(job.id, at(11))
    assert (found.verdict, found.due_at, codes(found)) == (Verdict.NOT_DUE, at(11), ["not_created"])
    assert text(found, "not_created") == "The job was made only at 12:00 on 1 June 2026 (UTC), by test."


def test_it_was_deleted_and_made_again(hourly: Callable[..., Job]) -> None:
    job_id = hourly(id="again").id
    jobs.delete(job_id, actor=ANNA, now=at(12, 30))
    gone = ask(job_id, at(13))
    assert (gone.verdict, codes(gone)) == (Verdict.NOT_DUE, ["deleted"])
    assert text(gone, "deleted") == "The job was deleted by anna at 12:30 on 1 June 2026 (UTC)."
    hourly(id="again", now=at(14, 30))
    found = ask(job_id, at(13))
    assert codes(found) == ["deleted", "not_created"]
    assert text(found, "not_created") == "The job was made again at 14:30 on 1 June 2026 (UTC), by test."


def test_what_a_deleted_job_did_can_still_be_told(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job_id = hourly().id
    passes(lead, at(13))
    jobs.delete(job_id, actor=ANNA, now=at(13, 30))
    found = ask(job_id, at(13))
    assert (found.verdict, codes(found)) == (Verdict.NOT_RUN, ["cancelled", "revision"])


def test_an_id_that_never_was_is_not_found(app: Any) -> None:
    with pytest.raises(NotFound, match="there never was"):
        explain("nobody", NOW, now=NOW)


def test_it_had_finished(make_job: MakeJob, lead: lease.Held) -> None:
    job = make_job(trigger={"kind": "date", "run_date": at(13).isoformat(), "timezone": "UTC"})
    passes(lead, at(13))
    assert codes(ask(job.id, at(15)))[0] == "finished"
    jobs.patch(job.id, {"name": "Another"}, actor=CODE, now=at(14))
    found = ask(job.id, at(15))
    assert text(found, "finished") == "The job had finished: no due time of its schedule was left."


def test_no_due_time_is_explained_by_the_schedule(hourly: Callable[..., Job]) -> None:
    found = ask(hourly().id, at(13, 30))
    assert (found.verdict, found.due_at) == (Verdict.NOT_DUE, None)
    assert codes(found) == ["schedule", "due_before", "due_after", "revision"]
    assert [reason.at for reason in found.reasons][1:3] == [at(13), at(14)]


def test_an_excluded_time_names_the_calendar(make_job: MakeJob) -> None:
    combined = {"kind": "combined", "any": [HOURLY], "calendars": [{"name": "Feast", "days": ["2026-06-02"]}],
                "timezone": "UTC"}  # fmt: skip
    job = make_job(trigger=combined)
    found = ask(job.id, at(13) + timedelta(days=1), now=NOW + timedelta(days=2))
    assert (found.verdict, codes(found)[0]) == (Verdict.NOT_DUE, "calendar")
    assert "“Feast”" in text(found, "calendar")


def test_an_edit_that_came_later_or_earlier_is_named(hourly: Callable[..., Job]) -> None:
    job = hourly()
    jobs.patch(job.id, {"trigger": {**HOURLY, "minute": "30"}}, actor=ANNA, now=at(14, 10))
    jobs.patch(job.id, {"name": "Another"}, actor=CODE, now=at(15, 10))
    before, after = ask(job.id, at(13, 30)), ask(job.id, at(16))
    assert text(before, "edited") == (
        "The schedule was edited: revision 2 (by anna) is due at 13:30 on 1 June 2026 (UTC), but it is in force only "
        "since 14:10 on 1 June 2026 (UTC)."
    )
    assert codes(before)[0] == "edited"
    assert text(after, "edited") == (
        "The schedule was edited: revision 1 (by test) was due at 16:00 on 1 June 2026 (UTC), but it was in force only "
        "until 14:10 on 1 June 2026 (UTC)."
    )
    assert link(after, "revision") == Link("revision", 3)


def test_a_run_beside_the_schedule_is_named(hourly: Callable[..., Job]) -> None:
    job = hourly()
    run = jobs.run_now(job.id, actor=ANNA, now=at(13, 30, 20))
    assert text(ask(job.id, at(13, 30)), "beside") == (
        f"Run {run.id} began beside the schedule at 13:30:20 on 1 June 2026 (UTC) (manual)."
    )


def test_a_due_time_ahead_says_what_stands_in_its_way(hourly: Callable[..., Job]) -> None:
    job = hourly()
    found = ask(job.id, at(15), now=at(13))
    assert (found.verdict, codes(found)) == (Verdict.AHEAD, ["ahead", "revision"])
    control.hold(actor=ANNA, now=at(13))
    jobs.pause(job.id, actor=ANNA, now=at(13, 10))
    assert codes(ask(job.id, at(15), now=at(13, 20))) == ["ahead", "paused", "held", "revision"]
    control.release(actor=ANNA, now=at(13, 30))
    control.shut_down(actor=ANNA, now=at(13, 40))
    assert codes(ask(job.id, at(15), now=at(13, 50))) == ["ahead", "paused", "stopped", "revision"]
    off_grid = ask(job.id, at(15, 30), now=at(13, 50))
    assert (off_grid.verdict, codes(off_grid)[:2]) == (Verdict.NOT_DUE, ["paused", "ahead"])


def test_a_due_time_that_no_pass_has_taken_waits_for_a_scheduler(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    served((NOW, at(12, 30)))
    found = ask(job.id, at(13), now=at(13, 30))
    assert (found.verdict, codes(found)) == (Verdict.WAITING, ["waiting", "down", "revision"])
    assert text(found, "down") == "No scheduler was running from 12:30 on 1 June 2026 (UTC) until now."


def test_a_due_time_without_a_row_is_called_what_it_is(hourly: Callable[..., Job], lead: lease.Held) -> None:
    job = hourly()
    passes(lead, at(13))
    with writing() as session:
        session.execute(delete(Run))
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)[0]) == (Verdict.UNKNOWN, "unrecorded")


def test_a_schedule_that_cannot_be_read_any_more_is_said(hourly: Callable[..., Job]) -> None:
    job = hourly()
    with writing() as session:
        session.execute(update(Job).values(trigger={"kind": "sundial"}))
        for period in jobs.revisions(job.id):
            period.definition = {**period.definition, "trigger": {"kind": "sundial"}}
    found = ask(job.id, at(13))
    assert (found.verdict, codes(found)) == (Verdict.NOT_DUE, ["unreadable"])


def test_moments_are_said_in_the_jobs_zone(make_job: MakeJob) -> None:
    job = make_job(trigger={**HOURLY, "timezone": "Europe/Berlin"})
    assert "at 14:00 on 1 June 2026 (Europe/Berlin)" in text(ask(job.id, at(11)), "not_created")
