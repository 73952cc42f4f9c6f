"""What may be done with a shared calendar: create, edit, import, restore, delete. Pages and API both come here.

A calendar's content decides due times. So a change of it first gives every job that names it the outcomes of what was
due by the old content, then opens a new period for each with the new one; all in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.phrases import join, plural
from webapp.domain.states import JobState, Role
from webapp.domain.zones import zone
from webapp.extensions import db
from webapp.services import audit, icalendar_export, icalendars
from webapp.services.actors import Actor
from webapp.services.calendar_content import LISTS, Content, check, check_name, default_zone, definition, told, value_of
from webapp.services.due import quarantine, settle_job
from webapp.services.periods import boundary, close_and_open
from webapp.services.schedule_cache import schedule_of
from webapp.services.signals import catalogue_changed
from webapp.store import calendars as store
from webapp.store import jobs as store_jobs
from webapp.store.database import retried, writing
from webapp.store.models import Calendar, CalendarRevision, Job

CALENDARS_MAX = 1000


@dataclass(frozen=True)
class Saved:
    """A calendar after a change, how many jobs got other due times by it, and what else there is to say about it."""

    calendar: Calendar
    jobs: int = 0
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- reading


def get(name: str) -> Calendar:
    """Raises NotFound."""
    return _found(store.find(db.session(), name), name)


def get_id(calendar_id: int) -> Calendar:
    """Raises NotFound."""
    return _found(store.find_id(db.session(), calendar_id), str(calendar_id))


def every() -> Sequence[Calendar]:
    """All of them, by name."""
    return store.every(db.session(), CALENDARS_MAX)


def users() -> dict[str, list[str]]:
    """The ids of the jobs that use each calendar, by the calendar's name; unused ones are not in it."""
    return store.users(db.session())


def jobs_of(calendar: Calendar, limit: int = 200) -> Sequence[Job]:
    """The jobs whose schedule names it, by name."""
    session = db.session()
    return store.jobs_of(session, store.users(session).get(calendar.name, []), limit)


def revisions(calendar: Calendar) -> Sequence[CalendarRevision]:
    """Every content that it had, newest first."""
    return store.revisions(db.session(), calendar.id)


def export(calendar: Calendar) -> bytes:
    """The calendar as an iCalendar file."""
    return icalendar_export.write(value_of(calendar), calendar.labels, calendar.updated_at)


# ---------------------------------------------------------------- changing


@retried
def create(raw: Mapping[str, Any], *, actor: Actor, now: datetime, change: str = "created") -> Calendar:
    """Store a new calendar. Raises Invalid, Conflict (the name is taken), Forbidden."""
    actor.require(Role.EDITOR)
    content = check(raw)
    with writing() as session:
        _check_free(session, content.value.name)
        if store.count(session) >= CALENDARS_MAX:
            raise Conflict(f"There are {CALENDARS_MAX} calendars already.")
        calendar = Calendar(name=content.value.name, revision=0, created_at=now, created_by=actor.name)
        session.add(calendar)
        _put(session, calendar, content, change, actor, now)
        _audit(f"calendar.{change}", calendar, actor, now, after=told(content.spec, content.labels))
    return calendar


@retried
def update(
    name: str,
    raw: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
    change: str = "edited",
) -> Saved:
    """Replace what a calendar holds, its name included.

    What the jobs that use it had due by then is settled by the old content. Raises Invalid, NotFound, Conflict (the new
    name is taken, or somebody else saved since ``expected_revision``), Forbidden.
    """
    actor.require(Role.EDITOR)
    content = check(raw)
    with writing() as session:
        calendar = _locked(session, name, expected_revision)
        if calendar.content == content.spec and calendar.labels == content.labels:
            return Saved(calendar)
        if content.value.name != name:
            _check_free(session, content.value.name)
        before = told(calendar.content, calendar.labels)
        affected = _jobs_to_settle(session, name, now) if content.digest != calendar.digest else []
        _put(session, calendar, content, change, actor, now)
        with session.no_autoflush:  # all jobs are written together
            idle = [job.name for job in affected if not _move(session, job, name, calendar, actor, now, change)]
        _audit(f"calendar.{change}", calendar, actor, now, before, told(content.spec, content.labels))
    if affected:
        catalogue_changed.send()
    return Saved(calendar, len(affected), _idle_note(idle))


def patch(
    name: str, changes: Mapping[str, Any], *, actor: Actor, now: datetime, expected_revision: int | None = None
) -> Saved:
    """Change some settings and keep the others. Raises as ``update``."""
    raw = {**definition(get(name)), **changes}
    return update(name, raw, actor=actor, now=now, expected_revision=expected_revision)


def import_file(name: str, data: str | bytes, *, add: bool, timezone: str | None, actor: Actor, now: datetime) -> Saved:
    """Fill a calendar, made if there is none of this name, from an iCalendar file; ``add`` keeps what it holds.

    ``timezone`` is the zone of a new calendar; one that is there keeps its own unless this names another. Raises as
    ``update``; Invalid at ``ics`` for what the file does not say clearly.
    """
    actor.require(Role.EDITOR)
    check_name(name)
    name = name.strip()
    found = store.find(db.session(), name)
    raw: dict[str, Any] = definition(found) if found is not None else {"name": name}
    place = timezone or raw.get("timezone") or None
    if place is not None:
        zone(place)
    read = icalendars.read(data, timezone=place, default_timezone=default_zone(), now=now)
    wanted: dict[str, Any] = {**read.spec(), "name": name, "timezone": place, "labels": read.labels}
    if add:
        for each in LISTS:
            held = list(raw.get(each, []))
            wanted[each] = held + [entry for entry in wanted.get(each, []) if entry not in held]
        wanted["labels"] = {**raw.get("labels", {}), **read.labels}
    if found is None:
        saved = Saved(create(wanted, actor=actor, now=now, change="imported"))
    else:
        saved = update(name, wanted, actor=actor, now=now, expected_revision=found.revision, change="imported")
    return Saved(saved.calendar, saved.jobs, (*read.notes, *saved.notes))


def create_from_file(name: str, data: str | bytes, *, timezone: str | None, actor: Actor, now: datetime) -> Saved:
    """Make a new calendar of an iCalendar file. Raises as ``create`` and ``import_file``."""
    actor.require(Role.EDITOR)
    check_name(name)
    _check_free(db.session(), name.strip())
    return import_file(name.strip(), data, add=False, timezone=timezone, actor=actor, now=now)


def restore(name: str, revision: int, *, actor: Actor, now: datetime) -> Saved:
    """Put an earlier content in force again, under the calendar's present name. Raises NotFound and as ``update``."""
    calendar = get(name)
    found = store.revision(db.session(), calendar.id, revision)
    if found is None:
        raise NotFound(f"There is no revision {revision} of the calendar “{name}”.")
    return update(name, {**definition(found), "name": name}, actor=actor, now=now, change="restored")


@retried
def delete(name: str, *, actor: Actor, now: datetime) -> None:
    """Remove a calendar. Raises NotFound, and Conflict while jobs name it."""
    actor.require(Role.EDITOR)
    with writing() as session:
        calendar = _locked(session, name)
        using = store.users(session).get(name, [])
        if using:
            shown = [f"“{job.name}”" for job in store.jobs_of(session, using, 5)]
            more = [f"{len(using) - 5} more"] if len(using) > 5 else []
            raise Conflict(f"“{name}” is used by {join([*shown, *more])}. Take it out of their schedules first.")
        session.delete(calendar)
        _audit("calendar.deleted", calendar, actor, now, before=told(calendar.content, calendar.labels))


# ---------------------------------------------------------------- the parts of it


def _found(calendar: Calendar | None, name: str) -> Calendar:
    if calendar is None:
        raise NotFound(f"There is no calendar “{name}”.")
    return calendar


def _locked(session: Session, name: str, expected_revision: int | None = None) -> Calendar:
    calendar = _found(store.find(session, name, lock=True), name)
    if expected_revision is not None and calendar.revision != expected_revision:
        raise Conflict(
            f"{calendar.updated_by} saved revision {calendar.revision} of this calendar meanwhile; "
            f"yours began with {expected_revision}."
        )
    return calendar


def _check_free(session: Session, name: str) -> None:
    if store.find(session, name) is not None:
        raise Conflict(f"There is already a calendar “{name}”.")


def _put(session: Session, calendar: Calendar, content: Content, change: str, actor: Actor, now: datetime) -> None:
    """Store a content and keep it for ever as a revision."""
    calendar.name, calendar.content, calendar.labels = content.value.name, content.spec, content.labels
    calendar.digest, calendar.revision = content.digest, calendar.revision + 1
    calendar.updated_at, calendar.updated_by = now, actor.name
    try:
        session.flush()
    except IntegrityError:  # somebody took the name in this very moment
        raise Conflict(f"There is already a calendar “{content.value.name}”.") from None
    session.add(
        CalendarRevision(
            calendar_id=calendar.id,
            revision=calendar.revision,
            change=change,
            content=content.spec,
            labels=content.labels,
            digest=content.digest,
            saved_at=now,
            saved_by=actor.name,
        )
    )
    session.flush()


def _jobs_to_settle(session: Session, name: str, now: datetime) -> list[Job]:
    """The jobs that name a calendar, locked, with an outcome for everything that was due by its present content."""
    found = []
    for job_id in store.users(session).get(name, []):
        job = store_jobs.find(session, job_id, lock=True)
        if job is not None and name in (job.calendar_pins or {}):
            settle_job(session, job, now)
            found.append(job)
    return found


def _move(
    session: Session, job: Job, old_name: str, calendar: Calendar, actor: Actor, now: datetime, change: str
) -> bool:
    """Open a job's period with the calendar's new content. False when this leaves an active job without due times."""
    pins = {each: digest for each, digest in (job.calendar_pins or {}).items() if each != old_name}
    job.calendar_pins = {**pins, calendar.name: calendar.digest}
    if old_name != calendar.name:
        renamed = [calendar.name if each == old_name else each for each in job.trigger["calendars"]]
        job.trigger = {**job.trigger, "calendars": renamed}
    was = job.state
    if was in (JobState.ACTIVE, JobState.FINISHED):
        try:
            job.next_due_at = schedule_of(job).next_after(boundary(session, job.id, now))
        except Invalid as error:
            session.flush()
            quarantine(session, job.id, f"Its schedule cannot be computed: {error}", now)
            return True
        job.state = JobState.FINISHED if job.next_due_at is None else JobState.ACTIVE
    reason = f"The calendar “{calendar.name}” was {change} (its revision {calendar.revision})."
    close_and_open(session, job, "calendar", by=actor.name, now=now, reason=reason)
    return job.state != JobState.FINISHED or was == JobState.FINISHED


def _idle_note(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    shown = join([*(f"“{name}”" for name in names[:5]), *([f"{len(names) - 5} more"] if len(names) > 5 else [])])
    return (f"No due time is left for {plural(len(names), 'job')}: {shown}.",)


def _audit(
    action: str,
    calendar: Calendar,
    actor: Actor,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    if after is not None:
        after = {**after, "revision": calendar.revision}
    audit.record(action, "calendar", calendar.name, actor=actor, now=now, before=before, after=after)


def revision_numbers(digests: Sequence[str]) -> dict[str, int]:
    """Which revision of its calendar each content was first, for people who compare periods of a job."""
    return store.revision_numbers(db.session(), digests)
