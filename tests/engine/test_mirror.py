"""Job stores beside the catalogue: what stands where, who decides, and what happens while one is away."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.job import Job as SchedulerJob
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from tests.conftest import CODE, NOW
from tests.jobstores import OUTSIDE, empty, options
from webapp.domain.errors import Invalid
from webapp.domain.states import JobState, RunState
from webapp.engine.mirror import Mirror
from webapp.extensions import db
from webapp.services import due, heartbeat, jobs, store_copies
from webapp.serving import scheduler_of
from webapp.settings import Settings
from webapp.store import lease
from webapp.store.models import EngineEvent, Job, JobCopy, JobRevision, Run, Worker
from webapp.tasks.builtin.demo import echo

pytestmark = pytest.mark.only_on("sqlite")
MINUTE = timedelta(minutes=1)
HOURLY = {"kind": "interval", "hours": 1, "start_date": "2026-06-01T12:30:00+00:00", "timezone": "UTC"}


every_store = pytest.mark.parametrize("kind", OUTSIDE, indirect=True)
every_database = pytest.mark.only_on("sqlite", "postgresql", "mariadb")


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of the store ``side``: Redis, where it makes no difference."""
    return str(getattr(request, "param", "redis"))


@pytest.fixture
def settings(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> Settings:
    return Settings(instance_path=tmp_path, jobstores={"side": options(kind, request, tmp_path)}, _env_file=None)


class Hand:
    """A mirror driven by hand; each turn looks at the whole store."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        mirror._leads = lambda: True
        self.store = mirror.store
        self.mono = 0.0

    def turn(self, now: datetime = NOW) -> None:
        self.mono += 1_000
        self.mirror.round(now, self.mono, threading.Event())
        db.session.rollback()
        db.session.expire_all()

    def write_only(self, now: datetime = NOW) -> None:
        """A round in which it is not time to look."""
        self.mirror.round(now, self.mono, threading.Event())
        db.session.rollback()
        db.session.expire_all()


@pytest.fixture
def hand(app: Flask) -> Hand:
    made = Hand(scheduler_of(app).scheduler.mirrors._mirrors[0])
    made.store.open()
    yield made
    empty(made.store)


@pytest.fixture
def foreign(app: Flask) -> Callable[..., SchedulerJob]:
    """A job as another program would add it to the store."""

    def made(job_id: str, trigger: Any = None, next_run_time: Any = NOW + 30 * MINUTE, **more: Any) -> SchedulerJob:
        fields = {"func": echo, "args": (), "kwargs": {"text": job_id}, "name": job_id, "executor": "default"}
        fields |= {"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600, **more}
        trigger = trigger or IntervalTrigger(hours=1, start_date=NOW + 30 * MINUTE, timezone=UTC)
        scheduler = scheduler_of(app).scheduler
        return SchedulerJob(scheduler, id=job_id, trigger=trigger, next_run_time=next_run_time, **fields)

    return made


def stored(job_id: str) -> Job:
    return jobs.get(job_id)


# -- from here to there ------------------------------------------------------------------------------------------------


@every_store
def test_a_job_that_was_made_here_stands_there(hand: Hand, make_job: Callable[..., Job]) -> None:
    make_job(id="ours", jobstore="side", trigger=HOURLY, kwargs={"text": "hi"})
    make_job(id="elsewhere")
    hand.turn()
    assert hand.store.states().keys() == {"ours"}
    found = hand.store.lookup_job("ours")
    assert (found.func, found.kwargs) == (echo, {"text": "hi"})
    assert found.next_run_time == stored("ours").next_due_at == NOW + 30 * MINUTE
    state = hand.store.state("ours")
    assert state is not None
    assert pickle.loads(state)["func"] == "webapp.tasks.builtin.demo:echo"  # as APScheduler writes it


@every_store
def test_edits_pauses_and_due_times_follow(hand: Hand, make_job: Callable[..., Job], lead: lease.Held) -> None:
    make_job(id="ours", jobstore="side", trigger=HOURLY)
    hand.turn()
    jobs.patch("ours", {"name": "Renamed"}, actor=CODE, now=NOW)
    hand.write_only()
    assert hand.store.lookup_job("ours").name == "Renamed"
    due.due_pass(lead, NOW + 31 * MINUTE)
    hand.write_only()
    assert hand.store.lookup_job("ours").next_run_time == NOW + 90 * MINUTE
    jobs.pause("ours", actor=CODE, now=NOW + 32 * MINUTE)
    hand.write_only()
    assert hand.store.lookup_job("ours").next_run_time is None
    assert store_copies.behind("side", 10) == []


@every_store
def test_deleting_and_moving_removes_it_there(hand: Hand, make_job: Callable[..., Job]) -> None:
    for name in ("gone", "moved"):
        make_job(id=name, jobstore="side", trigger=HOURLY)
    hand.turn()
    jobs.delete("gone", actor=CODE, now=NOW)
    jobs.patch("moved", {"jobstore": "default"}, actor=CODE, now=NOW)
    hand.turn()
    assert hand.store.states() == {}
    assert db.session.query(JobCopy).count() == 0
    assert (stored("moved").jobstore, stored("moved").next_due_at) == ("default", NOW + 30 * MINUTE)
    jobs.patch("moved", {"jobstore": "side"}, actor=CODE, now=NOW)
    hand.turn()
    assert hand.store.states().keys() == {"moved"}


# -- from there to here ------------------------------------------------------------------------------------------------


@every_store
def test_a_job_that_another_program_adds_is_shown_and_served(
    hand: Hand, foreign: Callable[..., SchedulerJob], lead: lease.Held
) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    job = stored("theirs")
    assert (job.task, job.jobstore, job.kwargs) == ("demo.echo", "side", {"text": "theirs"})
    assert job.created_by == "job store side"
    assert job.next_due_at == NOW + 30 * MINUTE
    settled = due.due_pass(lead, NOW + 31 * MINUTE)
    assert settled.queued == 1


@every_database
def test_a_due_time_that_passed_before_we_looked_is_owed(
    hand: Hand, foreign: Callable[..., SchedulerJob], lead: lease.Held
) -> None:
    at = NOW - 10 * MINUTE
    hand.store.add_job(foreign("once", DateTrigger(at, UTC), at, misfire_grace_time=None))
    hand.store.add_job(foreign("late", DateTrigger(at, UTC), at, misfire_grace_time=60))
    hand.turn()
    due.due_pass(lead, NOW)
    states = {run.job_id: (run.state, run.due_at) for run in db.session.query(Run)}
    assert states == {"once": (RunState.QUEUED, at), "late": (RunState.MISSED, at)}
    assert stored("once").state == JobState.FINISHED


@every_store
def test_edits_there_become_revisions_here(hand: Hand, foreign: Callable[..., SchedulerJob]) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    job = hand.store.lookup_job("theirs")
    job._modify(name="New name", kwargs={"text": "new"}, trigger=CronTrigger(hour=5, timezone="Europe/Berlin"))
    job._modify(next_run_time=job.trigger.get_next_fire_time(None, NOW))
    hand.store.update_job(job)
    hand.turn()
    row = stored("theirs")
    assert (row.name, row.kwargs, row.trigger["kind"]) == ("New name", {"text": "new"}, "cron")
    assert (row.revision, row.updated_by, row.overlap) == (2, "job store side", "skip")
    hand.turn()
    assert stored("theirs").revision == 2


@every_store
def test_pausing_resuming_and_moving_there(hand: Hand, foreign: Callable[..., SchedulerJob]) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    job = hand.store.lookup_job("theirs")
    job._modify(next_run_time=None)
    hand.store.update_job(job)
    hand.turn()
    assert stored("theirs").state == JobState.PAUSED
    job._modify(next_run_time=NOW + 30 * MINUTE)
    hand.store.update_job(job)
    hand.turn()
    assert (stored("theirs").state, stored("theirs").next_due_at) == (JobState.ACTIVE, NOW + 30 * MINUTE)
    job._modify(next_run_time=NOW + 5 * MINUTE)
    hand.store.update_job(job)
    hand.turn()
    assert stored("theirs").next_due_at == NOW + 5 * MINUTE


@every_database
def test_an_edit_there_is_seen_before_it_would_be_written_over(
    hand: Hand, foreign: Callable[..., SchedulerJob], lead: lease.Held
) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    due.due_pass(lead, NOW + 31 * MINUTE)  # we have something to write
    job = hand.store.lookup_job("theirs")
    job._modify(name="Edited there")
    hand.store.update_job(job)
    hand.write_only()
    hand.write_only()
    assert stored("theirs").name == "Edited there"
    assert hand.store.lookup_job("theirs").name == "Edited there"
    assert stored("theirs").next_due_at == hand.store.lookup_job("theirs").next_run_time == NOW + 90 * MINUTE


def test_of_two_edits_the_one_that_was_saved_here_stands(hand: Hand, foreign: Callable[..., SchedulerJob]) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    job = hand.store.lookup_job("theirs")
    job._modify(name="Edited there")
    hand.store.update_job(job)
    jobs.patch("theirs", {"name": "Edited here"}, actor=CODE, now=NOW)
    hand.turn()
    assert hand.store.lookup_job("theirs").name == stored("theirs").name == "Edited here"
    event = db.session.query(EngineEvent).filter(EngineEvent.message.contains("what was saved here stands")).one()
    assert event.kind == "job_store"


# -- a crash between the two writes ------------------------------------------------------------------------------------


@every_database
def test_a_crash_before_the_store_was_told_acts_on_no_due_time_twice(
    hand: Hand, foreign: Callable[..., SchedulerJob], lead: lease.Held
) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    at = NOW + 31 * MINUTE
    due.due_pass(lead, at)  # and here the process dies: the store still says 12:30
    assert hand.store.lookup_job("theirs").next_run_time == NOW + 30 * MINUTE
    hand.mirror._seen.clear()  # a new life
    hand.turn(at)
    due.due_pass(lead, at)
    assert db.session.query(Run).count() == 1
    assert stored("theirs").next_due_at == hand.store.lookup_job("theirs").next_run_time == NOW + 90 * MINUTE


def test_what_an_old_leader_wrote_late_is_known_to_be_stale(
    hand: Hand, foreign: Callable[..., SchedulerJob], lead: lease.Held
) -> None:
    hand.store.add_job(foreign("theirs"))
    hand.turn()
    late = hand.store.lookup_job("theirs")
    due.due_pass(lead, NOW + 31 * MINUTE)
    hand.turn(NOW + 31 * MINUTE)
    hand.store.update_job(late)  # 12:30 again, which is settled
    hand.turn(NOW + 32 * MINUTE)
    due.due_pass(lead, NOW + 32 * MINUTE)
    assert db.session.query(Run).count() == 1
    assert stored("theirs").next_due_at == hand.store.lookup_job("theirs").next_run_time == NOW + 90 * MINUTE


def test_a_crash_after_the_store_was_told_changes_nothing(hand: Hand, make_job: Callable[..., Job]) -> None:
    job = make_job(id="ours", jobstore="side", trigger=HOURLY)
    written = hand.mirror._write_one(job, NOW)  # and here the process dies: nobody noted it
    assert written is not None
    hand.mirror._seen.clear()
    hand.turn()
    assert (stored("ours").revision, hand.store.states().keys()) == (1, {"ours"})
    assert store_copies.behind("side", 10) == []


def test_a_leader_that_leads_no_more_writes_nothing(hand: Hand, make_job: Callable[..., Job]) -> None:
    make_job(id="ours", jobstore="side", trigger=HOURLY)
    hand.mirror._leads = lambda: False
    hand.turn()
    assert hand.store.states() == {}


# -- quarantine instead of deletion ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"executor": "nope"}, "executor"),
        ({"func_ref": "os:system"}, "There is no task 'os:system'"),
        ({"args": (1, 2, 3, {1, 2})}, "a set"),
        ({"trigger": CronTrigger(day=31, month=2, timezone="UTC")}, "never fires"),
    ],
)
def test_what_cannot_be_taken_is_quarantined_and_stays_there(
    hand: Hand, foreign: Callable[..., SchedulerJob], more: dict[str, Any], reason: str
) -> None:
    job = foreign(
        "bad", more.get("trigger"), **{k: v for k, v in more.items() if k not in ("func_ref", "trigger", "args")}
    )
    job.args = more.get("args", ())
    job.func_ref = more.get("func_ref", job.func_ref)
    hand.store.add_job(job)
    before = hand.store.state("bad")
    hand.turn()
    hand.turn()
    row = stored("bad")
    assert row.state == JobState.QUARANTINED
    assert reason in (row.state_reason or "")
    assert hand.store.state("bad") == before
    assert [each.change for each in jobs.revisions("bad")] == ["quarantined"]


@every_store
def test_a_repaired_job_leaves_its_quarantine(hand: Hand, foreign: Callable[..., SchedulerJob]) -> None:
    job = foreign("bad", executor="nope")
    hand.store.add_job(job)
    hand.turn()
    job._modify(executor="default")
    hand.store.update_job(job)
    hand.turn()
    row = stored("bad")
    assert (row.state, row.task, row.next_due_at) == (JobState.ACTIVE, "demo.echo", NOW + 30 * MINUTE)


@every_database
def test_deleting_a_quarantined_job_here_removes_it_there(hand: Hand, foreign: Callable[..., SchedulerJob]) -> None:
    hand.store.add_job(foreign("bad", executor="nope"))
    hand.turn()
    jobs.delete("bad", actor=CODE, now=NOW)
    hand.turn()
    assert hand.store.states() == {}
    with pytest.raises(LookupError):
        stored("bad")


@every_store
def test_a_job_that_is_gone_there_is_quarantined_and_resume_puts_it_back(
    hand: Hand, make_job: Callable[..., Job]
) -> None:
    make_job(id="ours", jobstore="side", trigger=HOURLY)
    hand.turn()
    hand.store.remove_all_jobs()
    hand.turn()
    hand.turn()
    assert stored("ours").state == JobState.QUARANTINED
    assert "not in the job store side any more" in (stored("ours").state_reason or "")
    assert hand.store.states() == {}
    jobs.resume("ours", actor=CODE, now=NOW)
    hand.turn()
    assert (stored("ours").state, hand.store.states().keys()) == (JobState.ACTIVE, {"ours"})


def test_an_id_that_another_store_has_is_left_alone(
    hand: Hand, foreign: Callable[..., SchedulerJob], make_job: Callable[..., Job]
) -> None:
    make_job(id="twice")
    hand.store.add_job(foreign("twice"))
    hand.turn()
    assert stored("twice").jobstore == "default"
    assert hand.store.states().keys() == {"twice"}
    assert [each.problem for each in store_copies.problems("side")] == [
        "There is a job with this id in the job store default."
    ]


def test_a_job_that_the_store_does_not_take_keeps_no_other_from_it(
    hand: Hand, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, lead: lease.Held
) -> None:
    put = hand.store.put

    def picky(job: SchedulerJob) -> None:
        if job.id == "bad":
            raise ValueError("not this one")
        put(job)

    monkeypatch.setattr(hand.store, "put", picky)
    for name in ("bad", "good"):
        make_job(id=name, jobstore="side", trigger=HOURLY)
    hand.turn()
    hand.turn()
    assert hand.store.states().keys() == {"good"}
    assert [each.problem for each in store_copies.problems("side")] == ["The store does not take it: not this one"]
    assert due.due_pass(lead, NOW + 31 * MINUTE).queued == 2


# -- a store that is away ----------------------------------------------------------------------------------------------


def test_while_a_store_is_away_its_jobs_wait_and_the_others_do_not(
    app: Flask, make_job: Callable[..., Job], lead: lease.Held, hand: Hand
) -> None:
    make_job(id="waits", jobstore="side", trigger=HOURLY)
    make_job(id="runs", trigger=HOURLY)
    mirrors = scheduler_of(app).scheduler.mirrors
    assert mirrors.waiting() == ("side",)
    settled = due.due_pass(lead, NOW + 31 * MINUTE, waiting=mirrors.waiting())
    assert [run.job_id for run in db.session.query(Run)] == ["runs"]
    assert settled.next_due_at == NOW + 90 * MINUTE
    hand.turn(NOW + 200 * MINUTE)
    assert mirrors.waiting() == ()
    due.due_pass(lead, NOW + 200 * MINUTE, waiting=mirrors.waiting())
    run = db.session.query(Run).filter_by(job_id="waits").one()
    assert (run.state, run.first_due_at, run.due_count) == (RunState.QUEUED, NOW + 30 * MINUTE, 3)


def test_how_a_store_stands_is_told(app: Flask, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    hand.turn()
    assert hand.mirror.told()["state"] == "ready"

    def broken() -> dict[str, bytes]:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(hand.store, "states", broken)
    hand.mirror._next_look = float("-inf")
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda timeout: None)
    hand.mirror.guarded_round(stop)
    told = hand.mirror.told()
    assert (told["state"], told["problem"]) == ("away", "nobody there")
    assert not hand.mirror.is_ready
    events = [event.message for event in db.session.query(EngineEvent).order_by(EngineEvent.id)]
    assert events == ["The job store side is ready.", "The job store side is away: nobody there"]


def test_jobs_of_a_store_that_is_not_configured_any_more_are_kept_and_not_run(
    hand: Hand, make_job: Callable[..., Job]
) -> None:
    make_job(id="homeless", trigger=HOURLY)
    stored("homeless").jobstore = "formerly"
    db.session.commit()
    store_copies.quarantine_homeless(["default", "side"], NOW)
    assert stored("homeless").state == JobState.QUARANTINED
    assert "formerly" in (stored("homeless").state_reason or "")


# -- plain code --------------------------------------------------------------------------------------------------------


def test_plain_code_chooses_the_store(app: Flask, hand: Hand) -> None:
    scheduler = scheduler_of(app).scheduler
    for alias, store in scheduler._jobstores.items():
        store.start(scheduler, alias)
    scheduler.state = 2
    scheduler.add_job(echo, "interval", hours=1, id="there", jobstore="side")
    scheduler.add_job(echo, "interval", hours=1, id="here")
    assert [job.id for job in scheduler.get_jobs(jobstore="side")] == ["there"]
    assert sorted(job.id for job in scheduler.get_jobs()) == ["here", "there"]
    hand.turn()
    assert hand.store.states().keys() == {"there"}
    scheduler.remove_all_jobs(jobstore="side")
    hand.turn()
    assert hand.store.states() == {}
    assert [job.id for job in scheduler.get_jobs()] == ["here"]
    scheduler.state = 0


def test_a_store_that_is_not_configured_cannot_be_chosen(hand: Hand, make_job: Callable[..., Job]) -> None:
    with pytest.raises(Invalid, match="jobstore"):
        make_job(jobstore="nowhere")


def test_the_balance_holds_for_mirrored_jobs(
    hand: Hand, foreign: Callable[..., SchedulerJob], lead: lease.Held
) -> None:
    hand.store.add_job(foreign("theirs", next_run_time=NOW - 30 * MINUTE))
    hand.turn()
    first = db.session.query(JobRevision).filter_by(job_id="theirs").one()
    assert first.from_at < NOW - 30 * MINUTE
    due.due_pass(lead, NOW)
    run = db.session.query(Run).one()
    assert run.due_at == NOW - 30 * MINUTE


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_jobs_in_memory_are_gone_with_the_process(hand: Hand, make_job: Callable[..., Job]) -> None:
    make_job(id="quick", jobstore="side", trigger=HOURLY)
    hand.turn()
    assert hand.store.states().keys() == {"quick"}
    hand.store.remove_all_jobs()  # what the end of a process does
    hand.turn()
    with pytest.raises(LookupError):
        stored("quick")
    assert db.session.query(JobRevision).filter_by(job_id="quick", change="deleted").count() == 1
    assert db.session.query(JobCopy).count() == 0


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_memory_is_refused_while_another_process_may_lead(app: Flask, hand: Hand, make_job: Callable[..., Job]) -> None:
    make_job(id="quick", jobstore="side", trigger=HOURLY)
    scheduler_of(app).scheduler.worker_id = "this"
    for name, detail in {"this": {}, "leaving": {"stopping": True}, "another": {}}.items():
        heartbeat.alive(Worker(id=name, host="here", pid=1, detail={"thread_alive": True, **detail}))
    hand.mirror.guarded_round()
    told = hand.mirror.told()
    assert told["state"] == "refused"
    assert told["problem"] == "another may lead, too, and would not know the jobs in the memory of this process."
    assert scheduler_of(app).scheduler.mirrors.waiting() == ("side",)
    heartbeat.leave("another", None)
    hand.turn()
    assert hand.mirror.told()["state"] == "ready"
