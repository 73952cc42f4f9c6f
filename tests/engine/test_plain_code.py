"""Plain APScheduler code on Carillon's scheduler: the calls of its user guide, what they store, what they refuse."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from flask import Flask

from tests.conftest import CODE
from webapp import clock
from webapp.domain.errors import Conflict, Invalid
from webapp.domain.states import JobState
from webapp.engine.scheduler import CarillonScheduler
from webapp.extensions import db
from webapp.services import jobs
from webapp.serving import scheduler_of
from webapp.store.models import AuditEntry, Job, JobRevision
from webapp.tasks.builtin.demo import echo

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def scheduler(app: Flask) -> Iterator[CarillonScheduler]:
    """The app's scheduler, started as APScheduler starts it, but without a thread of its own."""
    made = scheduler_of(app).scheduler
    for alias, store in made._jobstores.items():
        store.start(made, alias)
    made.state = 2  # paused: its stores work, nothing is processed
    yield made
    made.state = 0


def stored(job_id: str) -> Job:
    db.session.rollback()
    db.session.expire_all()
    return jobs.get(job_id)


def test_the_guide_s_add_job_stores_a_checked_and_audited_job(scheduler: CarillonScheduler) -> None:
    job = scheduler.add_job(echo, "interval", hours=2, id="cleanup", name="Clean up", kwargs={"text": "hello"})
    row = stored("cleanup")
    assert (row.name, row.task, row.kwargs, row.jobstore) == ("Clean up", "demo.echo", {"text": "hello"}, "default")
    assert (row.coalesce, row.max_instances, row.misfire_grace_s) == (True, 1, 3600)  # the settings', not the library's
    assert job.next_run_time == row.next_due_at
    assert not job.pending
    assert db.session.query(AuditEntry).filter_by(action="job.created", object_id="cleanup").count() == 1
    assert db.session.query(JobRevision).filter_by(job_id="cleanup").count() == 1


@pytest.mark.parametrize("func", ["demo.echo", "webapp.tasks.builtin.demo:echo"])
def test_a_function_may_be_named_by_its_key_or_by_reference(scheduler: CarillonScheduler, func: str) -> None:
    scheduler.add_job(func, "cron", hour=2, id="by-name")
    assert stored("by-name").task == "demo.echo"


@pytest.mark.parametrize("func", ["os:system", "no.such.module:function", lambda: None, print])
def test_only_registered_tasks_can_be_scheduled(scheduler: CarillonScheduler, func: Any) -> None:
    with pytest.raises((Invalid, ValueError), match=r"not a registered task|signature"):
        scheduler.add_job(func, "interval", seconds=10, id="bad")
    assert scheduler.get_job("bad") is None


def test_arguments_that_json_cannot_hold_are_refused_and_nothing_is_stored(scheduler: CarillonScheduler) -> None:
    with pytest.raises(Invalid, match="text"):
        scheduler.add_job(echo, "interval", seconds=10, id="bad", kwargs={"text": object()})
    assert scheduler.get_jobs() == []


def test_a_job_for_one_date_is_never_too_late_unless_the_code_says_so(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "date", run_date=clock.now() + timedelta(hours=1), id="once")
    scheduler.add_job(echo, DateTrigger(clock.now() + timedelta(hours=1), UTC), id="strict", misfire_grace_time=60)
    assert stored("once").misfire_grace_s is None
    assert stored("strict").misfire_grace_s == 60


def test_a_date_that_has_passed_is_refused(scheduler: CarillonScheduler) -> None:
    past = clock.now() - timedelta(hours=1)
    with pytest.raises(Invalid, match="has passed"):
        scheduler.add_job(echo, "date", run_date=past, id="past")
    with pytest.raises(Invalid, match="has passed"):
        scheduler.add_job(echo, DateTrigger(past, UTC), id="past")
    assert scheduler.get_jobs() == []


def test_without_a_trigger_the_job_is_due_at_once(scheduler: CarillonScheduler) -> None:
    before = clock.now()
    scheduler.add_job(echo, id="now")
    due_at = stored("now").next_due_at
    assert due_at is not None
    assert before <= due_at <= clock.now() + timedelta(seconds=1.1)


def test_two_jobs_of_one_id_conflict(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    with pytest.raises(ConflictingIdError):
        scheduler.add_job(echo, "interval", hours=2, id="one")
    assert stored("one").trigger["hours"] == 1


def test_replace_existing_keeps_a_pause_and_the_phase(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    first = stored("one").next_due_at
    scheduler.add_job(echo, "interval", hours=1, id="one", max_instances=3, replace_existing=True)
    row = stored("one")
    assert (row.max_instances, row.next_due_at) == (3, first)
    scheduler.pause_job("one")
    job = scheduler.add_job(echo, "interval", hours=2, id="one", replace_existing=True)
    assert stored("one").state == JobState.PAUSED
    assert stored("one").trigger["hours"] == 2
    assert job.next_run_time is None


def test_next_run_time_moves_an_interval_as_in_apscheduler(scheduler: CarillonScheduler) -> None:
    first = (clock.now() + timedelta(minutes=7)).replace(microsecond=0)
    job = scheduler.add_job(echo, "interval", hours=1, id="moved", next_run_time=first)
    assert job.next_run_time == stored("moved").next_due_at == first
    assert job.trigger.next_after(first) == first + timedelta(hours=1)


def test_next_run_time_now_is_due_at_once_and_then_by_the_schedule(scheduler: CarillonScheduler) -> None:
    now = clock.now()
    scheduler.add_job(echo, CronTrigger(hour=2, timezone="UTC"), id="soon", next_run_time=now)
    row = stored("soon")
    assert row.next_due_at is not None
    assert now <= row.next_due_at <= now + timedelta(seconds=1)
    following = scheduler.get_job("soon").trigger.next_after(row.next_due_at)
    assert (following.hour, following.minute) == (2, 0)
    assert following - now < timedelta(days=1, seconds=1)


def test_next_run_time_none_adds_a_paused_job(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="paused", next_run_time=None)
    row = stored("paused")
    assert (row.state, row.next_due_at) == (JobState.PAUSED, None)
    assert [each.change for each in jobs.revisions("paused")] == ["created"]
    assert scheduler.get_job("paused").next_run_time is None


def test_modify_job_changes_what_it_names_and_no_more(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one", kwargs={"text": "a"})
    before = stored("one")
    scheduler.modify_job("one", name="Another", max_instances=2)
    row = stored("one")
    assert (row.name, row.max_instances, row.kwargs) == ("Another", 2, {"text": "a"})
    assert (row.next_due_at, row.trigger, row.overlap) == (before.next_due_at, before.trigger, before.overlap)
    scheduler.get_job("one").modify(coalesce=False, misfire_grace_time=None)
    assert (stored("one").coalesce, stored("one").misfire_grace_s) == (False, None)


@pytest.mark.parametrize(("field", "value"), [("executor", "nope"), ("max_instances", 5000), ("name", "x" * 300)])
def test_a_change_that_cannot_be_accepted_changes_nothing(scheduler: CarillonScheduler, field: str, value: Any) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    with pytest.raises(ValueError, match=r"."):
        scheduler.modify_job("one", **{field: value})
    assert stored("one").revision == 1


def test_a_change_and_a_pause_in_one_call_are_one_revision(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    scheduler.modify_job("one", name="Asleep", next_run_time=None)
    row = stored("one")
    assert (row.name, row.state, row.next_due_at, row.revision) == ("Asleep", JobState.PAUSED, None, 2)


def test_modify_job_next_run_time_moves_the_job(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "cron", hour=2, id="one")
    at = (clock.now() + timedelta(days=2)).replace(hour=2, minute=0, second=0, microsecond=0)
    scheduler.modify_job("one", next_run_time=at)
    assert stored("one").next_due_at == at
    assert stored("one").trigger["kind"] == "cron"
    early = (clock.now() + timedelta(minutes=3)).replace(microsecond=0)
    job = scheduler.modify_job("one", next_run_time=early)
    assert stored("one").next_due_at == job.next_run_time == early
    assert stored("one").trigger["kind"] == "combined"


def test_reschedule_job_starts_the_new_schedule_and_keeps_a_pause(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    scheduler.reschedule_job("one", trigger="cron", hour=3)
    row = stored("one")
    assert row.trigger["kind"] == "cron"
    assert row.next_due_at is not None
    assert row.next_due_at.hour == 3
    scheduler.pause_job("one")
    job = scheduler.reschedule_job("one", trigger="interval", minutes=5)
    assert stored("one").state == JobState.PAUSED
    assert job.next_run_time is None
    scheduler.resume_job("one")
    assert stored("one").state == JobState.ACTIVE
    assert scheduler.get_job("one").next_run_time - clock.now() <= timedelta(minutes=5, seconds=1)


def test_reschedule_with_jitter_takes_the_delay_of_the_job(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    scheduler.reschedule_job("one", trigger="cron", hour=3, jitter=600)
    row = stored("one")
    assert row.trigger["kind"] == "cron"
    assert row.trigger["jitter"] == 600
    assert row.trigger.get("start_date") is None


def test_pause_and_resume(scheduler: CarillonScheduler) -> None:
    scheduler.add_job(echo, "interval", hours=1, id="one")
    due_at = stored("one").next_due_at
    job = scheduler.pause_job("one")
    assert (stored("one").state, job.next_run_time) == (JobState.PAUSED, None)
    scheduler.pause_job("one")
    job.resume()
    assert (stored("one").state, stored("one").next_due_at) == (JobState.ACTIVE, due_at)


def test_a_job_without_a_due_time_left_is_kept_by_resume(
    scheduler: CarillonScheduler, make_job: Callable[..., Job]
) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    spec = {"kind": "date", "run_date": "2020-01-02T00:00", "timezone": "UTC"}
    make_job(id="ended", now=long_ago, trigger=spec)
    jobs.pause("ended", actor=CODE, now=long_ago)
    with pytest.raises(Conflict, match="No due time is left"):
        scheduler.resume_job("ended")
    assert stored("ended").state == JobState.PAUSED


def test_a_job_whose_task_is_gone_can_still_be_looked_at_paused_and_removed(
    scheduler: CarillonScheduler, make_job: Callable[..., Job]
) -> None:
    make_job(id="orphan", now=clock.now())
    row = stored("orphan")
    row.task, row.func = "gone.task", "gone:task"
    db.session.commit()
    job = scheduler.get_job("orphan")
    assert (job.func, job.func_ref) == (None, "gone:task")
    scheduler.pause_job("orphan")
    assert stored("orphan").state == JobState.PAUSED
    assert "orphan" in [each.id for each in scheduler.get_jobs()]
    scheduler.remove_job("orphan")
    assert scheduler.get_job("orphan") is None


def test_one_row_of_rubbish_does_not_hide_the_others(
    scheduler: CarillonScheduler, make_job: Callable[..., Job]
) -> None:
    make_job(id="bad", now=clock.now())
    make_job(id="good", now=clock.now())
    stored("bad").trigger = {"kind": "rubbish"}
    db.session.commit()
    found = {job.id: job.trigger for job in scheduler.get_jobs()}
    assert found["bad"] is None
    assert found["good"] is not None
    out = io.StringIO()
    scheduler.print_jobs(out=out)
    assert "A job (trigger: None" in out.getvalue()
    assert "Jobstore default:" in out.getvalue()


def test_jobs_can_be_asked_for_by_job_store(scheduler: CarillonScheduler, make_job: Callable[..., Job]) -> None:
    make_job(id="here", now=clock.now())
    assert [job.id for job in scheduler.get_jobs(jobstore="default")] == ["here"]
    assert scheduler.get_job("here", jobstore="default").id == "here"
    assert scheduler.get_jobs(jobstore="elsewhere") == []
    with pytest.raises(KeyError):
        scheduler.add_job(echo, "interval", hours=1, id="x", jobstore="elsewhere")


def test_removing(scheduler: CarillonScheduler, make_job: Callable[..., Job]) -> None:
    for number in range(3):
        make_job(id=f"job-{number}", now=clock.now())
    scheduler.remove_job("job-0")
    with pytest.raises(JobLookupError):
        scheduler.remove_job("job-0")
    scheduler.remove_all_jobs()
    assert scheduler.get_jobs() == []
    assert db.session.query(Job).count() == 0
    removed = db.session.query(AuditEntry).filter_by(action="job.deleted").count()
    assert removed == 3


@pytest.mark.parametrize("call", ["modify_job", "reschedule_job", "pause_job", "resume_job", "remove_job"])
def test_a_job_that_is_not_there_raises_the_documented_error(scheduler: CarillonScheduler, call: str) -> None:
    extra = {"reschedule_job": {"trigger": "interval", "hours": 1}, "modify_job": {"name": "x"}}.get(call, {})
    with pytest.raises(JobLookupError):
        getattr(scheduler, call)("nobody", **extra)
    assert scheduler.get_job("nobody") is None


def test_jobs_are_neither_written_nor_read_as_pickles(scheduler: CarillonScheduler, tmp_path: Any) -> None:
    for call in (scheduler.export_jobs, scheduler.import_jobs):
        with pytest.raises(NotImplementedError, match="JSON API"):
            call(str(tmp_path / "jobs.json"))
    assert not (tmp_path / "jobs.json").exists()


def test_code_in_a_serving_process_adds_a_job_that_runs(served: Flask, eventually: Callable[..., Any]) -> None:
    scheduler_of(served).scheduler.add_job(echo, "interval", hours=1, id="soon", next_run_time=clock.now())
    assert eventually(lambda: db.session.execute(db.text("SELECT 1 FROM run WHERE state = 'succeeded'")).first())
