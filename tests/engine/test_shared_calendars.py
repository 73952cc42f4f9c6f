"""Shared calendars: an edit settles what was due by the old content, and the balance stays exact over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from tests.conftest import CODE, NOW
from webapp.domain.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.domain.states import JobState, Role, RunState
from webapp.engine.job_store import CatalogueJobStore
from webapp.extensions import db
from webapp.services import balance, calendars, jobs, schedule_cache, shared_calendars
from webapp.services.actors import Actor
from webapp.services.calendar_content import definition
from webapp.services.definitions import Definition
from webapp.services.due import due_pass
from webapp.services.schedule_cache import schedule_of, schedule_of_period
from webapp.serving import scheduler_of
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import AuditEntry, Calendar, CalendarRevision, Job, JobRevision, Run

HOUR = timedelta(hours=1)
VIEWER = Actor("viewer", Role.OPERATOR, "web")


def closed(*windows: tuple[int, int], name: str = "Freeze") -> dict[str, Any]:
    """A calendar of windows, in hours from NOW."""
    entries = [{"start": (NOW + a * HOUR).isoformat(), "end": (NOW + b * HOUR).isoformat()} for a, b in windows]
    return {"name": name, "windows": entries}


def make_calendar(*windows: tuple[int, int], name: str = "Freeze") -> Calendar:
    return calendars.create(closed(*windows, name=name), actor=CODE, now=NOW)


def edit(now: datetime, *windows: tuple[int, int], name: str = "Freeze") -> calendars.Saved:
    return calendars.update(name, closed(*windows, name=name), actor=CODE, now=now)


def trigger(*names: Any, **part: Any) -> dict[str, Any]:
    part = {"kind": "interval", "hours": 1, "start_date": NOW.isoformat(), **part}
    return {"kind": "combined", "any": [part], "calendars": list(names or ["Freeze"]), "timezone": "UTC"}


@pytest.fixture
def hourly(make_job: Callable[..., Job]) -> Callable[..., Job]:
    """A job due every hour from NOW + 1 h on, not within the calendar Freeze."""

    def make(*names: Any, **overrides: Any) -> Job:
        return make_job(**{"trigger": trigger(*names), "misfire_grace_s": None, "coalesce": False, **overrides})

    return make


def fresh(job: Job) -> Job:
    db.session.expire_all()
    return jobs.get(job.id)


def due_hours(job: Job) -> list[float]:
    """The due times that have a row, in hours from NOW."""
    rows = db.session.query(Run).filter_by(job_id=job.id).order_by(Run.due_at)
    return [(run.due_at - NOW) / HOUR for run in rows if run.due_at is not None]


def periods(job: Job) -> list[JobRevision]:
    return db.session.query(JobRevision).filter_by(job_id=job.id).order_by(JobRevision.revision).all()


def test_a_job_leaves_out_what_its_calendar_excludes(lead: lease.Held, hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    job = hourly()
    due_pass(lead, NOW + 6 * HOUR)
    assert due_hours(job) == [1, 4, 5, 6]
    assert job.trigger["calendars"] == ["Freeze"]


def test_an_edit_settles_what_was_due_by_the_old_content_and_goes_on_by_the_new(
    lead: lease.Held, hourly: Callable[..., Job]
) -> None:
    make_calendar((2, 4))
    job = hourly()
    saved = edit(NOW + 5.5 * HOUR, (1, 6), (8, 10))
    assert saved.jobs == 1
    assert due_hours(job) == [1, 4, 5]  # by the old content, although nothing had looked at the clock since
    assert fresh(job).next_due_at == NOW + 6 * HOUR
    due_pass(lead, NOW + 11 * HOUR)
    assert due_hours(job) == [1, 4, 5, 6, 7, 10, 11]


@pytest.mark.parametrize("coalesce", [True, False])
def test_the_balance_is_exact_over_every_kind_of_edit(
    lead: lease.Held, hourly: Callable[..., Job], coalesce: bool
) -> None:
    make_calendar((2, 4))
    job = hourly(coalesce=coalesce)
    other = hourly(id="other", coalesce=coalesce)
    due_pass(lead, NOW + 3 * HOUR)
    edit(NOW + 3.5 * HOUR, (5, 8))  # shrinks: 4 becomes due, as it was by the old content, too
    due_pass(lead, NOW + 6 * HOUR)
    edit(NOW + 9.25 * HOUR, (9, 12))  # with a backlog: 8 and 9 are due by the old content
    calendars.update("Freeze", {**closed((9, 12)), "name": "Frost"}, actor=CODE, now=NOW + 10 * HOUR)
    jobs.pause(other.id, actor=CODE, now=NOW + 11 * HOUR)
    calendars.update("Frost", closed((13, 14), name="Frost"), actor=CODE, now=NOW + 12.5 * HOUR)
    jobs.resume(other.id, actor=CODE, now=NOW + 14.5 * HOUR)
    due_pass(lead, NOW + 16.5 * HOUR)
    for first, last in [(0, 16.5), (0, 9), (3.2, 9.1), (9, 13), (12.4, 16)]:
        found = balance.read(NOW + first * HOUR, NOW + last * HOUR)
        assert found.mismatches == (), (first, last)
        assert found.adds_up
    expected = [1, 4, 8, 9, 12, 14, 15, 16]
    assert balance.read(NOW, NOW + 16.5 * HOUR, job.id).due == len(expected)
    if not coalesce:
        assert due_hours(job) == expected


def test_past_periods_are_computed_by_the_content_that_was_in_force(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    job = hourly()
    edit(NOW + 5 * HOUR, (6, 9))
    calendars.patch("Freeze", {"name": "Frost", "windows": []}, actor=CODE, now=NOW + 7 * HOUR)
    counts = [schedule_of_period(period).span(NOW, NOW + 12 * HOUR).count for period in periods(job)]
    assert counts == [10, 9, 12]
    assert [period.change for period in periods(job)] == ["created", "calendar", "calendar"]
    assert "“Frost” was edited (its revision 3)" in (periods(job)[-1].reason or "")


def test_past_periods_can_be_computed_after_the_calendar_was_deleted(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    job = hourly()
    jobs.update(job.id, {**jobs.definition(job), "trigger": trigger()["any"][0]}, actor=CODE, now=NOW + HOUR)
    calendars.delete("Freeze", actor=CODE, now=NOW + 2 * HOUR)
    assert schedule_of_period(periods(job)[0]).span(NOW, NOW + 12 * HOUR).count == 10


def test_renaming_a_calendar_renames_it_in_the_schedules(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    job = hourly()
    calendars.patch("Freeze", {"name": "Frost"}, actor=CODE, now=NOW + HOUR)
    job = fresh(job)
    assert job.trigger["calendars"] == ["Frost"]
    assert "“Frost” (1 window)" in schedule_of(job).words()
    with pytest.raises(NotFound):
        calendars.get("Freeze")


def test_what_days_are_called_changes_no_job(hourly: Callable[..., Job]) -> None:
    raw = {"name": "Freeze", "days": ["2026-12-25"], "labels": {"2026-12-25": "Christmas"}}
    calendars.create(raw, actor=CODE, now=NOW)
    job = hourly()
    saved = calendars.update("Freeze", {**raw, "labels": {"2026-12-25": "Xmas"}}, actor=CODE, now=NOW + HOUR)
    assert (saved.calendar.revision, saved.jobs) == (2, 0)
    assert fresh(job).revision == 1
    jobs.update(job.id, jobs.definition(job), actor=CODE, now=NOW + HOUR)
    assert fresh(job).revision == 1


def test_saving_a_calendar_as_it_is_changes_nothing(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    job = hourly()
    assert edit(NOW + HOUR, (2, 4)) == calendars.Saved(calendars.get("Freeze"))
    assert (calendars.get("Freeze").revision, fresh(job).revision) == (1, 1)


def test_jobs_that_do_not_name_it_are_left_alone(hourly: Callable[..., Job], make_job: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    make_calendar((2, 4), name="Other")
    bystanders = [hourly("Other", id="a"), make_job(id="b"), hourly({"name": "Freeze", "weekdays": ["sun"]}, id="c")]
    assert edit(NOW + HOUR, (2, 5)).jobs == 0
    assert [fresh(job).revision for job in bystanders] == [1, 1, 1]


def test_a_calendar_that_takes_the_last_due_time_finishes_a_job_and_giving_it_back_revives_it(
    make_job: Callable[..., Job],
) -> None:
    make_calendar((200, 201))
    part = {"kind": "date", "run_date": (NOW + 30 * HOUR).isoformat()}
    spec = {"kind": "combined", "any": [part], "calendars": ["Freeze"], "timezone": "UTC"}
    job = make_job(trigger=spec, name="Once")
    saved = edit(NOW + HOUR, (29, 31))
    assert saved.notes == ("No due time is left for 1 job: “Once”.",)
    assert (fresh(job).state, fresh(job).next_due_at) == (JobState.FINISHED, None)
    edit(NOW + 2 * HOUR, (35, 36))
    assert (fresh(job).state, fresh(job).next_due_at) == (JobState.ACTIVE, NOW + 30 * HOUR)


def test_a_paused_job_takes_the_new_content_when_it_is_resumed(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    job = hourly()
    jobs.pause(job.id, actor=CODE, now=NOW)
    edit(NOW + HOUR, (1, 8))
    assert (fresh(job).state, fresh(job).next_due_at) == (JobState.PAUSED, None)
    jobs.resume(job.id, actor=CODE, now=NOW + HOUR)
    assert fresh(job).next_due_at == NOW + 8 * HOUR


def test_a_calendar_in_use_cannot_be_deleted_and_the_jobs_are_named(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    for number in range(7):
        hourly(id=f"job-{number}", name=f"Job {number}")
    with pytest.raises(Conflict, match=r"“Job 0”, “Job 1”.*“Job 4” and 2 more"):
        calendars.delete("Freeze", actor=CODE, now=NOW)
    for number in range(7):
        jobs.delete(f"job-{number}", actor=CODE, now=NOW)
    calendars.delete("Freeze", actor=CODE, now=NOW)
    assert calendars.every() == []


def test_a_calendar_that_does_not_exist_is_refused_at_its_place(make_job: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    with pytest.raises(Invalid) as caught:
        make_job(trigger=trigger("Freeze", "Nowhere"))
    assert caught.value.fields == {"trigger.calendars.1": ["There is no calendar “Nowhere”."]}


def test_a_job_whose_calendar_is_gone_is_quarantined_and_can_be_repaired(
    lead: lease.Held, hourly: Callable[..., Job]
) -> None:
    make_calendar((2, 4))
    job, healthy = hourly(), hourly({"name": "own", "weekdays": ["sun"]}, id="healthy")
    with writing() as session:  # as a restored backup may have it; no service does this
        session.execute(sql_delete(Calendar))
        session.execute(sql_delete(CalendarRevision))
    schedule_cache._cache.clear()  # as in a server that has just started
    shared_calendars._built.clear()
    due_pass(lead, NOW + HOUR)
    job = fresh(job)
    assert job.state == JobState.QUARANTINED
    assert "There is no calendar “Freeze”." in (job.state_reason or "")
    (failed,) = db.session.query(Run).filter_by(job_id=job.id)
    assert (failed.state, failed.due_at) == (RunState.FAILED, NOW + HOUR)
    assert fresh(healthy).state == JobState.ACTIVE
    with pytest.raises(Invalid, match="There is no calendar “Freeze”"):
        jobs.resume(job.id, actor=CODE, now=NOW + HOUR)
    make_calendar((2, 6))
    jobs.resume(job.id, actor=CODE, now=NOW + HOUR)
    assert (fresh(job).state, fresh(job).next_due_at) == (JobState.ACTIVE, NOW + 6 * HOUR)


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.QUARANTINED])
def test_a_deleted_row_alone_is_enough_to_be_told(
    hourly: Callable[..., Job], lead: lease.Held, state: JobState
) -> None:
    """The content that the job was pinned to is still there, but nobody could see or edit what it obeys."""
    make_calendar((2, 4))
    job = hourly()
    with writing() as session:
        session.execute(sql_delete(Calendar))
    schedule_cache._cache.clear()
    if state == JobState.PAUSED:
        jobs.pause(job.id, actor=CODE, now=NOW)
        with pytest.raises(Invalid, match="There is no calendar"):
            jobs.resume(job.id, actor=CODE, now=NOW)
    else:
        due_pass(lead, NOW + HOUR)
    assert fresh(job).state == state


def test_every_change_is_a_revision_and_an_audit_entry(hourly: Callable[..., Job]) -> None:
    make_calendar((2, 4))
    edit(NOW + HOUR, (2, 5))
    calendars.restore("Freeze", 1, actor=CODE, now=NOW + 2 * HOUR)
    calendars.delete("Freeze", actor=CODE, now=NOW + 3 * HOUR)
    kept = db.session.query(CalendarRevision).order_by(CalendarRevision.revision).all()
    assert [each.change for each in kept] == ["created", "edited", "restored"]
    assert kept[0].digest == kept[2].digest != kept[1].digest
    entries = db.session.query(AuditEntry).order_by(AuditEntry.id).all()
    assert [entry.action for entry in entries] == [
        f"calendar.{each}" for each in ("created", "edited", "restored", "deleted")
    ]
    assert entries[1].before is not None
    assert entries[1].after is not None
    assert entries[1].before["windows"][0]["end"] == (NOW + 4 * HOUR).isoformat()
    assert entries[1].after["windows"][0]["end"] == (NOW + 5 * HOUR).isoformat()


def test_two_editors_cannot_overwrite_each_other_unseen(app: Any) -> None:
    make_calendar((2, 4))
    edit(NOW, (2, 5))
    with pytest.raises(Conflict, match="test saved revision 2"):
        calendars.update("Freeze", closed((1, 2)), actor=CODE, now=NOW, expected_revision=1)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x", "days": ["25 December"]}, "days"),
        ({"name": "x", "days": ["2026-01-01/2036-01-01", "2036-01-01/2046-01-01"]}, "days"),
        ({"name": "x", "windows": [{"start": "2026-01-02T00:00", "end": "2026-01-01T00:00"}]}, "windows"),
        ({"name": "x", "timezone": "Mars/Olympus"}, "timezone"),
        ({"name": "x", "labels": ["Christmas"]}, "labels"),
        ({"name": "x", "days": ["2026-12-25"], "labels": {"2026-12-25": "x" * 201}}, "labels"),
        ({"name": "x", "colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_a_calendar_is_refused_at_its_field(app: Any, raw: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        calendars.create(raw, actor=CODE, now=NOW)
    assert list(caught.value.fields) == [field]
    assert calendars.every() == []


def test_a_name_is_taken_once(app: Any) -> None:
    make_calendar((2, 4))
    make_calendar((2, 4), name="Other")
    with pytest.raises(Conflict, match="already a calendar “Freeze”"):
        make_calendar((1, 2))
    with pytest.raises(Conflict, match="already a calendar “Freeze”"):
        calendars.patch("Other", {"name": "Freeze"}, actor=CODE, now=NOW)


def test_only_editors_change_calendars(app: Any) -> None:
    make_calendar((2, 4))
    for change in (
        lambda: calendars.create(closed(name="x"), actor=VIEWER, now=NOW),
        lambda: calendars.update("Freeze", closed(), actor=VIEWER, now=NOW),
        lambda: calendars.delete("Freeze", actor=VIEWER, now=NOW),
        lambda: calendars.restore("Freeze", 1, actor=VIEWER, now=NOW),
        lambda: calendars.import_file("Freeze", "", add=False, timezone=None, actor=VIEWER, now=NOW),
    ):
        with pytest.raises(Forbidden):
            change()


def test_an_edit_that_fails_leaves_everything_as_it_was(
    lead: lease.Held, hourly: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_calendar((2, 4))
    job = hourly()
    with monkeypatch.context() as patch:
        patch.setattr(calendars, "close_and_open", lambda *_, **__: (_ for _ in ()).throw(RuntimeError))
        with pytest.raises(RuntimeError):
            edit(NOW + 5.5 * HOUR, (1, 9))
    assert due_hours(job) == []
    assert (calendars.get("Freeze").revision, fresh(job).next_due_at) == (1, NOW + HOUR)
    edit(NOW + 5.5 * HOUR, (6, 7))  # another second revision: nothing built from the lost one may be used
    due_pass(lead, NOW + 8 * HOUR)
    assert due_hours(job) == [1, 4, 5, 7, 8]


def test_labels_follow_their_entries_and_those_of_nothing_are_dropped(app: Any) -> None:
    raw = {
        "name": "x",
        "days": ["2026-12-24/2026-12-25"],
        "yearly": ["01-01"],
        "windows": [
            {"start": "2026-06-01T10:00", "end": "2026-06-01T12:00"},
            {"start": "2026-06-01T11:00", "end": "2026-06-01T13:00"},
        ],
        "timezone": "Europe/Berlin",
        "labels": {
            "2026-12-25": " Christmas  Day ", "01-01": "New Year", "2026-06-01T10:00": "Move",
            "2026-06-01T11:00": "Upgrade", "2026-12-31": "no such day", "soon": "?",
        },
    }  # fmt: skip
    made = calendars.create(raw, actor=CODE, now=NOW)
    assert made.labels == {
        "2026-12-25": "Christmas Day",
        "01-01": "New Year",
        "2026-06-01T08:00:00+00:00": "Move, Upgrade",
    }
    again = calendars.create({**definition(made), "name": "y"}, actor=CODE, now=NOW)
    assert (again.content, again.labels) == ({**made.content, "name": "y"}, made.labels)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_job_that_is_saved_while_its_calendar_is_edited_goes_by_the_new_content(
    app: Flask, hourly: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    make_calendar((2, 4))
    raw = {**jobs.definition(hourly(id="saved")), "name": "X"}
    if is_new:
        jobs.delete("saved", actor=CODE, now=NOW)
    inside, go_on = Event(), Event()
    check_chains = jobs._check_chains

    def slowly(session: Session, wanted: Definition) -> None:
        inside.set()
        assert go_on.wait(20)
        check_chains(session, wanted)

    def in_the_app(what: Callable[[], Any]) -> Thread:
        def run() -> None:
            with app.app_context():
                what()

        thread = Thread(target=run)
        thread.start()
        return thread

    monkeypatch.setattr(jobs, "_check_chains", slowly)
    saving = in_the_app(
        lambda: jobs.create(raw, actor=CODE, now=NOW) if is_new else jobs.update("saved", raw, actor=CODE, now=NOW)
    )
    assert inside.wait(20)
    editing = in_the_app(lambda: edit(NOW, (1, 8)))
    editing.join(0.3)
    assert editing.is_alive()
    go_on.set()
    for thread in (saving, editing):
        thread.join(20)
        assert not thread.is_alive()
    db.session.expire_all()
    job = jobs.get("saved")
    assert (job.name, job.next_due_at, periods(job)[-1].change) == ("X", NOW + 8 * HOUR, "calendar")
    assert job.calendar_pins == {"Freeze": calendars.get("Freeze").digest}


def test_a_calendar_that_is_deleted_while_a_job_begins_to_name_it_is_refused_or_gone(
    app: Flask, hourly: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job was checked when the calendar was there; its transaction finds it gone."""
    make_calendar((2, 4))
    check = jobs.check

    def then_gone(*args: Any, **options: Any) -> Definition:
        wanted = check(*args, **options)
        calendars.delete("Freeze", actor=CODE, now=NOW)
        return wanted

    monkeypatch.setattr(jobs, "check", then_gone)
    with pytest.raises(Conflict, match="deleted in this moment"):
        hourly()
    assert db.session.query(Job).count() == 0


def test_code_names_calendars_through_apscheduler_as_well(app: Flask) -> None:
    make_calendar((2, 4))
    scheduler = scheduler_of(app).scheduler
    part = {"kind": "interval", "hours": 1, "start_date": NOW.isoformat()}
    scheduler._create_trigger("combined", {"any": [part], "calendars": ["Freeze"]})
    with pytest.raises(Invalid, match="There is no calendar “Nowhere”"):
        scheduler._create_trigger("combined", {"any": [part], "calendars": ["Nowhere"]})


def test_a_job_that_goes_through_the_job_store_keeps_the_names_of_its_calendars(
    app: Flask, hourly: Callable[..., Job]
) -> None:
    make_calendar((2, 4))
    job = hourly()
    store = CatalogueJobStore(app)
    outward = store.lookup_job(job.id)
    assert outward is not None
    outward.name = "Renamed"
    store.update_job(outward)
    job = fresh(job)
    assert (job.name, job.trigger["calendars"]) == ("Renamed", ["Freeze"])


def test_what_a_calendar_leaves_out_has_no_outcome(lead: lease.Held, hourly: Callable[..., Job]) -> None:
    make_calendar((1, 100))
    hourly()
    due_pass(lead, NOW + 50 * HOUR)
    assert db.session.query(Run).count() == 0
    found = balance.read(NOW, NOW + 50 * HOUR)
    assert (found.due, found.by_state, found.adds_up) == (0, {}, True)
