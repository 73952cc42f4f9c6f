"""From a client's body to what the services are asked: the job that POST makes, the changes that PATCH means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webapp.api import shapes
from webapp.api.schemas import READ_ONLY_KEYS, TRIGGER_KEYS, JobChanges, NewJob, read
from webapp.domain.errors import Conflict, Invalid
from webapp.domain.states import JobState
from webapp.services import jobs
from webapp.store.models import Job
from webapp.tasks import registry


@dataclass(frozen=True)
class Wanted:
    """A job to create. ``paused``: it is to begin paused, as the job was that the body was got from."""

    raw: dict[str, Any]
    paused: bool
    resume_at: datetime | None
    replace_existing: bool


def new_job(body: Mapping[str, Any], now: datetime) -> Wanted:
    """Read the body of POST. Raises Invalid under the client's names."""
    given = read(NewJob, shapes.flattened(body))
    raw = shapes.raw_job(given)
    raw["name"] = raw.get("name") or given.id
    shapes.refuse_masks(raw)
    sent = given.model_fields_set
    if given.next_run_time is not None:
        _check_next(given.next_run_time, raw, now)
    paused = given.state == JobState.PAUSED or (
        "next_run_time" in sent and given.next_run_time is None and given.state is None
    )
    if given.state is not None and given.state not in set(JobState):
        raise Invalid({"state": f"{given.state[:40]!r} is none of {', '.join(JobState)}."})
    resume_at = None if given.resume_at is None else shapes.instant("resume_at", given.resume_at, UTC)
    if resume_at is not None and resume_at <= now:  # the job that was copied is not paused any more
        paused, resume_at = False, None
    return Wanted(raw, paused, resume_at, given.replace_existing)


def changes_of(job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the body of PATCH against the job as it is: only what differs from what GET shows is a change.

    Raises Invalid under the client's names, Conflict when the body carries another revision than the job's.
    """
    shown = shapes.job_shape(job)
    flat = shapes.flattened(body)
    read(JobChanges, flat)
    if "trigger" in flat and flat["trigger"] is None:
        raise Invalid({"trigger": "A job cannot be without a schedule. Pause it instead."})
    if flat.get("revision", job.revision) != job.revision:
        raise Conflict(f"The job is at revision {job.revision} now. Get it again before you change it.")
    differing = {name: value for name, value in flat.items() if not shapes.same(shown.get(name), value)}
    _refuse_read_only(differing, job)
    schedule = _schedule_change(job, flat, differing)
    rest = {name: value for name, value in differing.items() if name not in TRIGGER_KEYS | READ_ONLY_KEYS}
    rest.pop("trigger", None)
    changes = shapes.raw_job(read(JobChanges, rest))
    if "retries" in rest and "retry" not in rest:
        changes["retry"] = {**job.retry, **changes["retry"]}
    if "name" in changes:
        changes["name"] = changes["name"] or job.id
    if schedule is not None:
        changes["trigger"] = schedule
    return _arguments(changes, job)


def _schedule_change(job: Job, flat: Mapping[str, Any], differing: Mapping[str, Any]) -> dict[str, Any] | None:
    """The new schedule, or None for the present one. Its zone stays unless another is named."""
    if "trigger" not in flat:
        keys = {name: value for name, value in differing.items() if name in TRIGGER_KEYS}
        return shapes.changed_spec(job.trigger, keys) if keys else None
    sent = {name: value for name, value in flat.items() if name in TRIGGER_KEYS | {"trigger"} and value is not None}
    sent.setdefault("timezone", job.timezone)
    if shapes.same(sent, shapes.trigger_shape(job.trigger)):
        return None
    return shapes.trigger_spec(sent)


def _refuse_read_only(differing: Mapping[str, Any], job: Job) -> None:
    """What only the server sets may come back as it was got, not otherwise: a request that is ignored is a trap."""
    problems: dict[str, str] = {}
    if "id" in differing:
        problems["id"] = "An id cannot be changed. Create a job with the new id and delete this one."
    if "state" in differing:
        problems["state"] = "Use POST /jobs/ID/pause and /jobs/ID/resume."
    if "resume_at" in differing:
        problems["resume_at"] = "Use POST /jobs/ID/pause with until."
    if "state_reason" in differing:
        problems["state_reason"] = "Only the server sets this."
    if "next_run_time" in differing:
        text = differing["next_run_time"]
        if text is None:
            problems["next_run_time"] = "Use POST /jobs/ID/pause."
        elif not shapes.is_due_time(text, job.trigger, job.id):
            problems["next_run_time"] = "This follows from the schedule. Use start_date, or POST /jobs/ID/run."
    if problems:
        raise Invalid(problems)


def _check_next(text: str, raw: Mapping[str, Any], now: datetime) -> None:
    try:
        checked = jobs.check(raw, now=now)
    except Invalid as error:
        raise shapes.client_error(error) from None
    if not shapes.is_due_time(text, checked.trigger, checked.id):
        raise Invalid({"next_run_time": "The schedule has no such due time. Leave this out, or give start_date."})


def _arguments(changes: dict[str, Any], job: Job) -> dict[str, Any]:
    """Let masks that come back stand for the stored values; never for another task, which might show them."""
    old, new = registry.find(job.task), registry.find(changes.get("func", job.task))
    if old is None or old == new:
        return shapes.with_stored_secrets(changes, job)
    args, kwargs = shapes.shown_arguments(job.task, job.args, job.kwargs)
    shapes.refuse_masks({"args": args, "kwargs": kwargs, **changes})
    return changes
