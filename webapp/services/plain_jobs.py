"""Jobs as plain APScheduler code adds and changes them: a raw job and a ``next_run_time``, of which None says paused.

Everything ends in ``services.jobs``, so that it is checked, revised and audited like what a person does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from webapp.domain.beginning import beginning_at
from webapp.domain.errors import NotFound
from webapp.domain.states import JobState
from webapp.services import jobs, shared_calendars
from webapp.services.actors import Actor
from webapp.services.definitions import Definition
from webapp.services.schedule_cache import schedule_of
from webapp.store.models import Job
from webapp.tasks import registry

_INSTANT = timedelta(microseconds=1)
_JUST_NOW = timedelta(seconds=5)


@dataclass(frozen=True)
class Wanted:
    """A job to add: its raw form with the schedule that begins when it is to, and since when due times are owed."""

    raw: dict[str, Any]
    paused: bool
    since: datetime | None


def wanted(raw: Mapping[str, Any], next_run_time: datetime | None, now: datetime, *, owed: bool = False) -> Wanted:
    """A job that is due first at ``next_run_time``; one that has none is paused.

    If that moment has passed, the job is due at once; with ``owed`` it is due from then on, and its rules judge what is
    late. Raises Invalid.
    """
    if next_run_time is None:
        return Wanted(dict(raw), True, now if owed else None)
    first = next_run_time.astimezone(UTC)
    owed = owed or now - _JUST_NOW < first <= now  # it had not passed when the code asked
    after = min(now, first - _INSTANT) if owed else now
    trigger = _beginning(raw["trigger"], raw["id"], first, after)
    return Wanted({**raw, "trigger": trigger}, False, after if owed else None)


def check(job: Wanted, *, now: datetime) -> Definition:
    """What would be stored, without storing it. Raises Invalid."""
    return jobs.check(job.raw, now=now, trusted=job.since is not None)


def add(job: Wanted, *, actor: Actor, now: datetime, origin: str = "user") -> Job:
    """Store it. Raises as ``jobs.create``."""
    return jobs.create(job.raw, actor=actor, now=now, paused=job.paused, origin=origin, since=job.since)


def change(job_id: str, raw: Mapping[str, Any], next_run_time: datetime | None, *, actor: Actor, now: datetime) -> Job:
    """Make a stored job like ``raw``; what is as it was is not judged again. A new schedule keeps a pause.

    Raises as ``jobs.update``.
    """
    stored = jobs.get(job_id)
    changes = differing(raw, stored)
    paused: bool | None = None
    if next_run_time is None:
        paused = True if stored.state == JobState.ACTIVE or (changes and stored.state == JobState.QUARANTINED) else None
    elif stored.state == JobState.PAUSED:
        paused = None if "trigger" in changes else False
    if next_run_time is not None and stored.state != JobState.QUARANTINED:
        moment = next_run_time.astimezone(UTC)
        if moment != stored.next_due_at:
            moved = _beginning(changes.get("trigger", stored.trigger), job_id, moment, now)
            changes |= {"trigger": moved} if moved != stored.trigger else {}
    if changes:
        return jobs.patch(job_id, changes, actor=actor, now=now, paused=paused)
    if paused is None:
        return stored
    return (jobs.pause if paused else jobs.resume)(job_id, actor=actor, now=now)


def replace(job_id: str, raw: Mapping[str, Any], *, actor: Actor, now: datetime) -> Job:
    """``change`` for code that adds the same job at each start: neither its pause nor its next due time is touched."""
    changes = differing(raw, jobs.get(job_id))
    return jobs.patch(job_id, changes, actor=actor, now=now) if changes else jobs.get(job_id)


def differing(raw: Mapping[str, Any], stored: Job) -> dict[str, Any]:
    """The fields of ``raw`` that say something else than the stored job."""
    known = jobs.definition(stored)
    changes = {name: value for name, value in raw.items() if name != "id" and value != known.get(name)}
    if "task" in changes and same_task(changes["task"], stored):
        del changes["task"]
    return changes


def same_task(name: str, stored: Job) -> bool:
    """Whether this spelling names the task of the stored job, which need not be registered here."""
    task = registry.find(stored.task)
    return name in (stored.task, stored.func) or (task is not None and name == task.reference)


def find(job_id: str, jobstore: str) -> Job | None:
    """The job of this id, if it is in this job store."""
    try:
        job = jobs.get(job_id)
    except NotFound:
        return None
    return job if job.jobstore == jobstore else None


def _beginning(spec: Mapping[str, Any], job_id: str, first: datetime, after: datetime) -> dict[str, object]:
    """A recurring schedule that was to begin in the past begins now; a single date that has passed stays as it is."""
    if spec.get("kind") != "date":
        first = max(first, after)
    return beginning_at(shared_calendars.load(spec, job_id=job_id), first, after)


def readable_schedule(job: Job) -> Any:
    """The job's schedule; None where it cannot be read."""
    try:
        return schedule_of(job)
    except Exception:  # stored rubbish must not keep the other jobs from being looked at
        return None
