"""What may be done with a job: create, edit, pause, resume, run now, delete. Pages, API and commands all come here."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import JobState, Role, RunTrigger
from webapp.extensions import db
from webapp.services import audit, new_runs, shared_calendars
from webapp.services import secrets as stored_secrets
from webapp.services.actors import Actor
from webapp.services.definitions import Defaults, Definition, define
from webapp.services.due import settle_job
from webapp.services.periods import boundary, close_and_open, definition_of
from webapp.services.schedule_cache import schedule_of
from webapp.services.signals import catalogue_changed, runs_queued
from webapp.settings import Settings
from webapp.store import jobs as store
from webapp.store import runs as store_runs
from webapp.store.database import retried, writing
from webapp.store.models import Job, JobRevision, Run
from webapp.tasks import MASK, Task, registry

_PAUSE_MAX = timedelta(days=3653)
_DELETED_AT_ONCE = 200


def defaults() -> Defaults:
    """What new jobs take where their raw form is silent, from the settings of the running app."""
    settings: Settings = current_app.config["CARILLON"]
    return Defaults(
        timezone=settings.timezone,
        coalesce=settings.coalesce,
        max_instances=settings.max_instances,
        misfire_grace_s=settings.misfire_grace_time,
        executors=tuple(settings.executor_table()),
        jobstores=settings.jobstore_names,
    )


def find(job_id: str) -> Job | None:
    """The job, if there is one."""
    return store.find(db.session(), job_id)


def get(job_id: str) -> Job:
    """Raises NotFound."""
    job = find(job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def revisions(job_id: str) -> Sequence[JobRevision]:
    """The periods of the job's life, newest first."""
    return store.revisions(db.session(), job_id)


def definition(job: Job) -> dict[str, Any]:
    """The raw form of a stored job: ``create`` with it (under another id) makes the same job."""
    raw = definition_of(job)
    del raw["timezone"], raw["calendar_pins"]
    return raw


def declared_definitions() -> list[Definition]:
    """The active jobs that code has declared, as they are in the catalogue now."""
    rows = store.declared(db.session(), JobState.ACTIVE)
    return [Definition(**definition_of(row)) for row in rows]


def clone_of(job: Job) -> dict[str, Any]:
    """A raw job like this one, without its id, under a name that says so."""
    raw = definition(job)
    raw["id"] = None
    raw["name"] = f"Copy of {job.name}"[:200]
    return raw


def check(raw: Mapping[str, Any], *, now: datetime, stored: Job | None = None, trusted: bool = False) -> Definition:
    """What ``raw`` would be stored as, without storing it. Raises Invalid.

    Its schedule is taken as it is, however old, when it is that of ``stored``, or when it is ``trusted``.
    """
    stored_trigger = raw.get("trigger") if trusted else None if stored is None else stored.trigger
    return define(
        raw,
        now=now,
        defaults=defaults(),
        make_id=_fresh_id,
        stored_trigger=stored_trigger,
        shared=shared_calendars.present(raw.get("trigger")),
    )


@retried
def create(
    raw: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    paused: bool = False,
    origin: str = "user",
    since: datetime | None = None,
) -> Job:
    """Store a new job, in force at once or ``paused``. Raises Invalid, Conflict (the id is taken), Forbidden.

    One that is taken over from elsewhere owes its due times ``since`` a moment that may have passed.
    """
    actor.require(Role.EDITOR)
    wanted = check(raw, now=now, trusted=since is not None)
    taken = Conflict(f"There is already a job with the id {wanted.id!r}.")
    try:
        job = _store(wanted, taken, actor, now, paused, origin, now if since is None else min(since, now))
    except IntegrityError:  # another process stored it in the same moment
        raise taken from None
    catalogue_changed.send()
    return job


def _store(
    wanted: Definition, taken: Conflict, actor: Actor, now: datetime, paused: bool, origin: str, since: datetime
) -> Job:
    with writing() as session:
        wanted = _with_calendars_held(wanted)
        if store.find(session, wanted.id, lock=True) is not None:
            raise taken
        _check_chains(session, wanted)
        job = Job(**wanted.columns(), state=JobState.ACTIVE, origin=origin, created_at=now, created_by=actor.name)
        if paused:
            job.state, job.state_reason = JobState.PAUSED, f"Paused by {actor.name}."
        else:
            _begin(session, job, since)
        close_and_open(session, job, "created", by=actor.name, now=since)
        job.updated_at = now
        session.add(job)
        _audit("job.created", job, actor, now, after=_told(job))
    return job


@retried
def update(
    job_id: str,
    raw: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
    paused: bool | None = None,
) -> Job:
    """Replace a job's definition. Due times that have passed are settled by the old one first.

    A pause is kept, unless ``paused`` says otherwise; so does it for a job in force.

    Raises Invalid, NotFound, Conflict (somebody else saved since ``expected_revision``), Forbidden.
    """
    actor.require(Role.EDITOR)
    with writing() as session:
        shared_calendars.present(raw.get("trigger"), hold=True)  # before the job: who edits a calendar locks so, too
        job = _locked(session, job_id, expected_revision)
        wanted = check({**raw, "id": job.id}, now=now, stored=job)
        before = _told(job)
        is_served = job.state in (JobState.ACTIVE, JobState.PAUSED)
        if wanted.columns() == definition_of(job) and is_served and paused in (None, job.state == JobState.PAUSED):
            return job
        _check_chains(session, wanted)
        settle_job(session, job, now)
        trigger_changed = (wanted.trigger, wanted.calendar_pins) != (job.trigger, job.calendar_pins)
        for name, value in wanted.columns().items():
            setattr(job, name, value)
        if job.state == JobState.QUARANTINED or (job.state == JobState.FINISHED and trigger_changed):
            job.state, job.state_reason = JobState.ACTIVE, None
            trigger_changed = True
        if paused is not None:
            trigger_changed |= _switch(job, paused, actor)
        if trigger_changed and job.state == JobState.ACTIVE:
            _begin(session, job, now)
        close_and_open(session, job, "edited", by=actor.name, now=now)
        _audit("job.edited", job, actor, now, before=before, after=_told(job))
    catalogue_changed.send()
    return job


def patch(
    job_id: str,
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
    paused: bool | None = None,
) -> Job:
    """Change some fields and keep the others; all or nothing. Raises as ``update``."""
    raw = {**definition(get(job_id)), **changes}
    if "task" in changes and "func" not in changes:
        raw["func"] = changes["task"]
    if "func" in changes and "task" not in changes:
        raw["task"] = changes["func"]
    return update(job_id, raw, actor=actor, now=now, expected_revision=expected_revision, paused=paused)


@retried
def pause(job_id: str, *, actor: Actor, now: datetime, until: datetime | None = None) -> Job:
    """Take a job out of the schedule until ``resume``, or until a moment; a paused one only gets the new end.

    Raises NotFound, Conflict, Invalid (``until`` has passed).
    """
    actor.require(Role.OPERATOR)
    with writing() as session:
        job = _locked(session, job_id)
        settle_job(session, job, now)
        if until is not None and not now < until < now + _PAUSE_MAX:
            raise Invalid({"until": "The pause must end after now and within ten years."})
        if job.state == JobState.PAUSED and job.resume_at == until:
            return job
        if job.state == JobState.FINISHED:
            raise Conflict("This job has finished; it has no due time left to pause.")
        if job.state == JobState.QUARANTINED:
            raise Conflict("This job is quarantined; it is not served until it is repaired.")
        job.state, job.state_reason, job.next_due_at = JobState.PAUSED, f"Paused by {actor.name}.", None
        job.resume_at = until
        close_and_open(session, job, "paused", by=actor.name, now=now)
        _audit("job.paused", job, actor, now)
    catalogue_changed.send()
    return job


@retried
def resume(job_id: str, *, actor: Actor, now: datetime) -> Job:
    """Put a paused job back on its own grid. Raises NotFound, and Conflict when no due time is left."""
    actor.require(Role.OPERATOR)
    with writing() as session:
        job = _locked(session, job_id)
        if job.state == JobState.ACTIVE:
            return job
        if job.state == JobState.QUARANTINED:
            shared_calendars.present(job.trigger, hold=True)
            job.calendar_pins = check(definition(job), now=now, stored=job).calendar_pins  # or says what is still wrong
        if schedule_of(job).next_after(now) is None:
            raise Conflict(
                "No due time is left: its date or its end has passed. Give it a new schedule, run it now, or delete it."
            )
        job.state, job.state_reason, job.resume_at = JobState.ACTIVE, None, None
        _begin(session, job, now)
        close_and_open(session, job, "resumed", by=actor.name, now=now)
        _audit("job.resumed", job, actor, now)
    catalogue_changed.send()
    return job


@retried
def delete(job_id: str, *, actor: Actor, now: datetime) -> None:
    """Remove a job. Its runs stay; those that still waited are cancelled, those that run go on. Raises NotFound."""
    actor.require(Role.EDITOR)
    with writing() as session:
        _delete(session, _locked(session, job_id), actor, now)
    catalogue_changed.send()


def delete_all(jobstore: str, *, actor: Actor, now: datetime) -> int:
    """Remove every job of one job store; how many there were. Some in each transaction, so that nobody waits long."""
    actor.require(Role.EDITOR)
    number = 0
    while deleted := _delete_some(jobstore, actor, now):
        number += deleted
        catalogue_changed.send()
    return number


@retried
def _delete_some(jobstore: str, actor: Actor, now: datetime) -> int:
    with writing() as session:
        found = store.of_store(session, jobstore, limit=_DELETED_AT_ONCE, lock=True)
        for job in found:
            _delete(session, job, actor, now)
    return len(found)


def _delete(session: Session, job: Job, actor: Actor, now: datetime) -> None:
    settle_job(session, job, now)
    before = _told(job)
    store_runs.cancel_queued(session, job.id, f"The job was deleted by {actor.name}.", now)
    close_and_open(session, job, "deleted", by=actor.name, now=now)
    session.flush()
    session.execute(sql_delete(Job).where(Job.id == job.id).execution_options(synchronize_session=False))
    session.expunge(job)
    audit.record("job.deleted", "job", job.id, actor=actor, now=now, before=before)


@retried
def run_now(
    job_id: str,
    *,
    actor: Actor,
    now: datetime,
    kwargs: Mapping[str, Any] | None = None,
    trigger: RunTrigger = RunTrigger.MANUAL,
) -> Run:
    """Queue one run beside the schedule, also of a paused job; no due time is used up by it.

    ``kwargs`` replace the job's named arguments of the same names, for this run only. Raises NotFound, Invalid, and
    Conflict when as many runs are going on as the job allows.
    """
    actor.require(Role.OPERATOR)
    with writing() as session:
        job = _locked(session, job_id)
        task = registry.find(job.task)
        if task is None or not task.enabled:
            raise Conflict(f"The task {job.task} is not available here, so the job cannot run.")
        active = store_runs.active_counts(session, [job.id]).get(job.id, 0)
        if active >= job.max_instances:
            raise Conflict(f"{_runs(active)} of this job had not ended yet; {job.max_instances} may go on together.")
        args, named = job.args, job.kwargs
        if kwargs:
            args, named = _arguments(task, job, kwargs)
        run = Run(**new_runs.for_job(job, trigger, now, args=args, kwargs=named, requested_by=actor.name))
        session.add(run)
        session.flush()
        _audit("job.run", job, actor, now, after={"run": run.id, "kwargs": task.redacted(named)})
    runs_queued.send()
    return run


def _arguments(task: Task, job: Job, kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    try:
        args, named = task.validate(job.args, {**job.kwargs, **kwargs})
        stored_secrets.check_known(task, args, named)
    except Invalid as error:
        raise Invalid({f"kwargs.{name}": texts for name, texts in error.fields.items()}) from None
    return args, named


def _runs(number: int) -> str:
    return "One run" if number == 1 else f"{number} runs"


def _locked(session: Session, job_id: str, expected_revision: int | None = None) -> Job:
    job = store.find(session, job_id, lock=True)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    if expected_revision is not None and job.revision != expected_revision:
        raise Conflict(
            f"{job.updated_by} saved revision {job.revision} of this job meanwhile; "
            f"yours began with {expected_revision}."
        )
    return job


def _with_calendars_held(wanted: Definition) -> Definition:
    """With its shared calendars as they are now; none of them changes before the transaction ends."""
    if not wanted.calendar_pins:
        return wanted
    pins = shared_calendars.present(wanted.trigger, hold=True).pins
    if set(pins) != set(wanted.calendar_pins):
        raise Conflict("A calendar that this schedule names was deleted in this moment.")
    return replace(wanted, calendar_pins=pins)


def _switch(job: Job, paused: bool, actor: Actor) -> bool:
    """Pause or resume as a part of an edit; whether its first due time must be found anew."""
    if paused and job.state == JobState.ACTIVE:
        job.state, job.state_reason, job.next_due_at = JobState.PAUSED, f"Paused by {actor.name}.", None
    elif not paused and job.state == JobState.PAUSED:
        job.state, job.state_reason, job.resume_at = JobState.ACTIVE, None, None
        return True
    return False


def _begin(session: Session, job: Job, now: datetime) -> None:
    """Set the first due time of the period that begins; a schedule that has none left leaves the job finished."""
    job.next_due_at = schedule_of(job).next_after(boundary(session, job.id, now))
    if job.next_due_at is None:
        job.state = JobState.FINISHED


def _check_chains(session: Session, wanted: Definition) -> None:
    """Raise Invalid when a chained job is not there, or when following the chains leads back to this job."""
    ahead, seen = [link["job_id"] for link in wanted.chains], {wanted.id}
    for job_id in ahead:
        if store.find(session, job_id) is None:
            raise Invalid({"chains": f"There is no job {job_id!r}."})
    while ahead:
        job_id = ahead.pop()
        if job_id == wanted.id:
            raise Invalid({"chains": "These links go round in a circle: this job would start itself again."})
        if job_id not in seen:
            seen.add(job_id)
            job = store.find(session, job_id)
            ahead += [link["job_id"] for link in job.chains] if job is not None else []


def _fresh_id(name: str) -> str:
    """An id from a name, with a few random letters so that it is new: "nightly-backup-3f9a"."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "job"
    return f"{slug}-{secrets.token_hex(3)}"


def _told(job: Job) -> dict[str, Any]:
    """The definition as the audit may show it: secret arguments masked."""
    told = definition_of(job)
    task = registry.find(job.task)
    if task is None:  # nobody knows what is secret
        told["kwargs"], told["args"] = dict.fromkeys(told["kwargs"], MASK), [MASK for _ in told["args"]]
    else:
        told["kwargs"], told["args"] = task.redacted(told["kwargs"]), task.redacted_args(told["args"])
    return {**told, "state": job.state}


def _audit(
    action: str,
    job: Job,
    actor: Actor,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    audit.record(action, "job", job.id, actor=actor, now=now, before=before, after=after)
