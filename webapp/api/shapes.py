"""The flat shape in which clients see a job, and the way from it to the raw job that the services take.

The shape is Flask-APScheduler's, with keys added. A schedule's keys stand beside ``trigger``, under the names that
``domain.schedules`` gives them, so that one set of names serves both ways.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from webapp.api.schemas import TRIGGER_KEYS, JobFields
from webapp.domain.errors import Invalid
from webapp.services import shared_calendars
from webapp.store.models import Job
from webapp.tasks import registry
from webapp.tasks.redaction import MASK

UNITS = {"weeks": 604_800, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}

# The services' name of a field -> the client's.
CLIENT_NAMES = {"task": "func", "misfire_grace_s": "misfire_grace_time", "trigger.kind": "trigger"}
SAME_NAMES = (
    "id", "args", "kwargs", "executor", "jobstore", "coalesce", "max_instances", "overlap", "timeout_s",
    "rerun_if_lost", "auto_pause_after", "chains", "group", "priority", "tags",
)  # fmt: skip


def job_shape(job: Job) -> dict[str, Any]:
    """The job as clients see it: times in its own zone, secret arguments masked."""
    args, kwargs = shown_arguments(job.task, job.args, job.kwargs)
    return {
        "id": job.id,
        "name": job.name,
        "func": job.func,
        "task": job.task,
        "args": args,
        "kwargs": kwargs,
        **trigger_shape(job.trigger),
        "misfire_grace_time": job.misfire_grace_s,
        "max_instances": job.max_instances,
        "next_run_time": _local(job.next_due_at, job),
        "coalesce": job.coalesce,
        "executor": job.executor,
        "jobstore": job.jobstore,
        "overlap": job.overlap,
        "timeout_s": job.timeout_s,
        "retry": job.retry,
        "retries": job.retry.get("max_attempts", 1) - 1,
        "rerun_if_lost": job.rerun_if_lost,
        "auto_pause_after": job.auto_pause_after,
        "chains": job.chains,
        "group": job.group,
        "priority": job.priority,
        "description": job.description,
        "tags": job.tags,
        "state": job.state,
        "state_reason": job.state_reason,
        "resume_at": _local(job.resume_at, job),
        "revision": job.revision,
    }


def trigger_shape(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A stored schedule as flat keys. As in Flask-APScheduler, bounds that are not set are left out."""
    flat = {name: value for name, value in spec.items() if name != "kind" and value is not None}
    return {"trigger": spec.get("kind"), **flat}


def shown_arguments(task_key: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments with secret values masked; all of them when the task is not here to say which are secret."""
    task = registry.find(task_key)
    if task is None:
        return [MASK for _ in args], dict.fromkeys(kwargs, MASK)
    return task.redacted_args(args), task.redacted(kwargs)


def flattened(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with a nested ``trigger`` object (``type`` or ``kind`` and the schedule's keys) spread out."""
    nested = body.get("trigger")
    if not isinstance(nested, dict):
        return dict(body)
    flat = {name: value for name, value in body.items() if name != "trigger"}
    kinds = [nested[name] for name in ("type", "kind", "trigger") if name in nested]
    if len(kinds) != 1:
        raise Invalid({"trigger": "Say once, as type, which kind of schedule it is: interval, cron or date."})
    for name, value in nested.items():
        if name in ("type", "kind", "trigger"):
            continue
        if name not in TRIGGER_KEYS:
            raise Invalid({f"trigger.{name[:60]}": "There is no such key."})
        if name in flat:
            raise Invalid({name: "This is given both inside trigger and beside it."})
        flat[name] = value
    return {**flat, "trigger": kinds[0]}


def raw_job(body: JobFields) -> dict[str, Any]:
    """The raw job, or the part of one, that the client's keys speak of; the schedule only if ``trigger`` is given."""
    given = body.given()
    raw = {name: given[name] for name in SAME_NAMES if name in given}
    if "name" in given:
        raw["name"] = given["name"]
    if "description" in given:
        raw["description"] = given["description"] or ""
    if "misfire_grace_time" in given:
        raw["misfire_grace_s"] = given["misfire_grace_time"]
    if "func" in given or "task" in given:
        raw["func"] = raw["task"] = _one_task(given.get("func"), given.get("task"))
    if "retry" in given or "retries" in given:
        raw["retry"] = _retry(given)
    if "trigger" in given:
        raw["trigger"] = trigger_spec(given)
    return raw


def trigger_spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule that flat keys describe, in the form that ``domain.schedules`` reads."""
    spec = {name: value for name, value in given.items() if name in TRIGGER_KEYS and value is not None}
    if any(isinstance(spec.get(name), float) for name in UNITS):
        spec |= _whole_units(spec)
    return {"kind": given["trigger"], **spec}


def changed_spec(stored: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The stored schedule with some of its keys changed; null takes a key away."""
    cron = stored.get("kind") == "cron"
    fields = {"year", "month", "day", "week", "day_of_week", "hour", "minute", "second"}
    base = dict(stored)
    if cron and given.get("crontab") is not None:
        base = {name: value for name, value in base.items() if name not in fields}
    elif cron and "crontab" in base and any(given.get(name) is not None for name in fields):
        raise Invalid({"crontab": 'This job has a crontab expression. Send "trigger": "cron" with all its fields.'})
    flat = {**base, **{name: value for name, value in given.items() if name in TRIGGER_KEYS}}
    return trigger_spec({**flat, "trigger": stored.get("kind")})


def client_error(error: Invalid) -> Invalid:
    """The same messages under the names that the client used."""
    found: dict[str, list[str]] = {}
    for name, messages in error.fields.items():
        client = CLIENT_NAMES.get(name) or name.removeprefix("trigger.")
        found.setdefault(client, []).extend(messages)
    return Invalid(found)


def with_stored_secrets(wanted: dict[str, Any], job: Job) -> dict[str, Any]:
    """Arguments in which a mask that the client sends back stands for the value that is stored."""
    wanted = dict(wanted)
    if "kwargs" in wanted:
        wanted["kwargs"] = {
            name: job.kwargs[name] if value == MASK and name in job.kwargs else value
            for name, value in wanted["kwargs"].items()
        }
    if "args" in wanted:
        wanted["args"] = [
            job.args[place] if value == MASK and place < len(job.args) else value
            for place, value in enumerate(wanted["args"])
        ]
    return wanted


def refuse_masks(raw: Mapping[str, Any]) -> None:
    """Raise Invalid for a mask that stands for no stored value: a copied job needs its secrets said again."""
    problems = {
        f"kwargs.{name}": "This value was masked. Send the value itself."
        for name, value in raw.get("kwargs", {}).items()
        if value == MASK
    }
    if MASK in raw.get("args", []):
        problems["args"] = "A value was masked. Send the value itself."
    if problems:
        raise Invalid(problems)


def is_due_time(text: str, spec: Mapping[str, Any], job_id: str) -> bool:
    """Whether a ``next_run_time`` is one that this schedule produces, give or take its jitter, which the id decides.

    Raises Invalid for what is not a time.
    """
    schedule = shared_calendars.load(spec, job_id=job_id)
    moment = instant("next_run_time", text, schedule.zone.tz)
    margin = timedelta(seconds=schedule.jitter + schedule.spread)
    try:
        due = schedule.next_after(moment - margin - timedelta(seconds=1))
        return due is not None and due.astimezone(UTC) <= moment + margin
    except OverflowError:
        return False


def instant(key: str, text: str, zone: tzinfo) -> datetime:
    """A time that a client sent, in UTC; without an offset it is local in ``zone``. Raises Invalid at ``key``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid({key: f"{text[:40]!r} is not an ISO 8601 time such as 2026-12-01T10:00Z."}) from None
    if not 2000 <= moment.year <= 2100:
        raise Invalid({key: "The year must lie between 2000 and 2100."})
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; unlike in Python, 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _whole_units(spec: Mapping[str, Any]) -> dict[str, int | None]:
    """An interval given with fractions (``hours: 1.5``) in whole units. Raises Invalid when seconds are split."""
    total = sum((spec.get(name) or 0) * length for name, length in UNITS.items())
    if abs(total) > 10**10 or total != int(total):
        raise Invalid({"seconds": "The interval must be a whole number of seconds, at most 10 years."})
    if total < 0:
        return {**dict.fromkeys(UNITS), "seconds": int(total)}
    rest, whole = int(total), {}
    for name, length in UNITS.items():
        whole[name], rest = divmod(rest, length)
    return {name: number or None for name, number in whole.items()}


def _one_task(func: str | None, task: str | None) -> str:
    """The task that is meant, as the client spelled it. Raises Invalid when ``func`` and ``task`` name two."""
    if func and task and func != task:
        found = registry.find(task)
        if found is None or func not in (found.key, found.reference):
            raise Invalid({"task": "func and task name two different tasks. Give one of them."})
    return func or task or ""


def _retry(given: Mapping[str, Any]) -> dict[str, Any]:
    retry = dict(given.get("retry") or {})
    retries = given.get("retries")
    if retries is None:
        return retry
    if "max_attempts" in retry and retry["max_attempts"] != retries + 1:
        raise Invalid({"retries": "This must be one less than retry.max_attempts. Give one of them."})
    return {**retry, "max_attempts": retries + 1}


def _local(moment: datetime | None, job: Job) -> str | None:
    return None if moment is None else moment.astimezone(zone_of(job)).isoformat()


def zone_of(job: Job) -> tzinfo:
    """The zone in which the job's times are shown."""
    try:
        return ZoneInfo(job.timezone)
    except (KeyError, ValueError, OSError):  # a zone that this machine's tz database does not have
        return UTC
