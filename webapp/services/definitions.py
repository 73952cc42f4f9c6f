"""What a job is: its raw form (a plain mapping, as pages, scripts and code give it) checked into a ``Definition``.

Every rule about a job's content lives here or below, never in a form or a route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from webapp.domain.errors import Invalid, NotFound
from webapp.domain.states import Overlap
from webapp.services import secrets, shared_calendars
from webapp.services.raw import RawReader
from webapp.services.shared_calendars import Shared
from webapp.tasks import Task, registry

ID_MAX = 191
_BAD_ID = re.compile(r"[/\\?#%\s\x00-\x1f\x7f]")
_ERROR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,199}")
CHAIN_CONDITIONS = ("success", "failure", "always")
_TAG = re.compile(r"[^\s\",\\\x00-\x1f]{1,50}")


@dataclass(frozen=True)
class Defaults:
    """What a job takes where its raw form is silent, and which aliases exist; from the settings."""

    timezone: str = "UTC"
    coalesce: bool = True
    max_instances: int = 1
    misfire_grace_s: int = 3600
    executors: tuple[str, ...] = ("default",)
    jobstores: tuple[str, ...] = ("default",)


@dataclass(frozen=True)
class Definition:
    """A job's content, checked: what it runs, when, and by which rules. Everything is JSON.

    ``calendar_pins`` are those of the shared calendars that the trigger names (services.shared_calendars).
    """

    id: str
    name: str
    task: str
    func: str
    args: list[Any]
    kwargs: dict[str, Any]
    trigger: dict[str, Any]
    timezone: str
    calendar_pins: dict[str, str] | None = None
    executor: str = "default"
    jobstore: str = "default"
    coalesce: bool = True
    max_instances: int = 1
    misfire_grace_s: int | None = None
    overlap: str = "skip"
    timeout_s: float | None = None
    retry: dict[str, Any] = field(default_factory=dict)
    rerun_if_lost: bool = False
    auto_pause_after: int | None = None
    chains: list[dict[str, str]] = field(default_factory=list)
    priority: int = 0
    group: str | None = None
    description: str = ""
    tags: list[str] = field(default_factory=list)

    def columns(self) -> dict[str, Any]:
        return asdict(self)


FIELDS = tuple(item.name for item in fields(Definition))
RAW_FIELDS = frozenset(FIELDS) - {"func", "timezone", "calendar_pins"}


def define(
    raw: Mapping[str, Any],
    *,
    now: datetime,
    defaults: Defaults,
    make_id: Callable[[str], str],
    stored_trigger: Mapping[str, Any] | None = None,
    shared: Shared | None = None,
) -> Definition:
    """Check a raw job. ``make_id`` names a job that brings no id, from its name; ``shared`` are the calendars that its
    trigger names.

    A trigger equal to ``stored_trigger`` is taken as it is: a date that has passed since may stay in an edited job.
    Raises Invalid with every message at once, at ``name``, ``trigger.<field>`` or ``kwargs.<parameter>``.
    """
    read = RawReader(raw)
    for name in sorted(set(raw) - RAW_FIELDS - {"func"}):
        read.fail(str(name), "There is no such field.")
    task = _task(read)
    job_name = read.text("name", limit=200) or (task.title if task else "")
    job_id = _id(read, job_name or "job", make_id)
    args, kwargs = _arguments(read, task)
    shared = shared or Shared()
    trigger, timezone = _trigger(read, now, job_id, defaults, stored_trigger, shared)
    coalesce = read.flag("coalesce", defaults.coalesce)
    max_instances = read.whole("max_instances", defaults.max_instances, least=1, most=1000) or 1
    grace_default = None if trigger.get("kind") == "date" else defaults.misfire_grace_s
    if "misfire_grace_s" in raw and raw["misfire_grace_s"] is None:
        grace_default = None
    definition = Definition(
        id=job_id,
        name=job_name,
        task=task.key if task else "",
        func=_spelling(raw, task),
        args=args,
        kwargs=kwargs,
        trigger=trigger,
        timezone=timezone,
        calendar_pins=shared.pins or None,
        executor=read.choice("executor", "default", defaults.executors),
        jobstore=read.choice("jobstore", "default", defaults.jobstores),
        coalesce=coalesce,
        max_instances=max_instances,
        misfire_grace_s=read.whole("misfire_grace_s", grace_default, least=1, most=31_536_000),
        overlap=read.choice("overlap", "together" if max_instances > 1 else "skip", tuple(Overlap)),
        timeout_s=read.seconds("timeout_s", most=2_592_000),
        retry=_retry(read),
        rerun_if_lost=read.flag("rerun_if_lost", False),
        auto_pause_after=read.whole("auto_pause_after", None, least=1, most=1000),
        chains=_chains(read, job_id),
        priority=read.whole("priority", 0, least=-100, most=100) or 0,
        group=_group(read),
        description=read.text("description", limit=10_000),
        tags=_tags(read),
    )
    if read.errors:
        raise Invalid(read.errors)
    return definition


def _task(read: RawReader) -> Task | None:
    name = read.raw.get("task") or read.raw.get("func")
    if not name:
        read.fail("task", "Choose a task.")
        return None
    if not isinstance(name, str):
        read.fail("task", "This must be the key of a task.")
        return None
    try:
        task = registry.get(name)
    except NotFound:
        read.fail("task", f"There is no task {name!r}. Only registered tasks can be scheduled.")
        return None
    if not task.enabled:
        read.fail("task", f"The task {task.key} is off: {task.disabled_reason}")
    return task


def _spelling(raw: Mapping[str, Any], task: Task | None) -> str:
    """How the client wrote the task, if it still names the same one: clients compare what they sent."""
    for name in (raw.get("func"), raw.get("task")):
        if task and isinstance(name, str) and name in (task.key, task.reference):
            return name
    return task.key if task else ""


def _id(read: RawReader, name: str, make_id: Callable[[str], str]) -> str:
    value = read.raw.get("id")
    if value is None or value == "":
        return make_id(name)
    if not isinstance(value, str):
        read.fail("id", "This must be text.")
        return ""
    try:
        check_id(value)
    except Invalid as error:
        read.merge("id", error)
    return value


def check_id(value: str) -> None:
    """Raise Invalid unless ``value`` can stand in an address as one path segment and in every store as a key."""
    if len(value) > ID_MAX:
        raise Invalid({"": f"At most {ID_MAX} characters."})
    if value in (".", "..") or _BAD_ID.search(value) or not value.isprintable() or not value.strip():
        raise Invalid({"": "No spaces, no control characters, none of / \\ ? # %, and not just dots."})


def _arguments(read: RawReader, task: Task | None) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = read.get("args", []), read.get("kwargs", {})
    if not isinstance(args, list):
        read.fail("args", "This must be a list.")
        args = []
    if not isinstance(kwargs, dict) or not all(isinstance(name, str) for name in kwargs):
        read.fail("kwargs", "This must be an object of named arguments.")
        kwargs = {}
    if task is None:
        return args, kwargs
    try:
        args, kwargs = task.validate(args, kwargs)
        secrets.check_known(task, args, kwargs)
    except Invalid as error:
        read.merge("kwargs", error)
    return args, kwargs


def _trigger(
    read: RawReader,
    now: datetime,
    job_id: str,
    defaults: Defaults,
    stored: Mapping[str, Any] | None,
    shared: Shared,
) -> tuple[dict[str, Any], str]:
    spec = read.raw.get("trigger")
    if not isinstance(spec, dict):
        read.fail("trigger", "Say when: an interval, cron or date schedule.")
        return {}, defaults.timezone
    try:
        if stored is not None and spec == stored:
            schedule = shared_calendars.load(spec, job_id=job_id, shared=shared)
        else:
            zone = defaults.timezone
            schedule = shared_calendars.parse(spec, now=now, job_id=job_id, default_timezone=zone, shared=shared)
    except Invalid as error:
        read.merge("trigger", error)
        return {}, defaults.timezone
    return dict(schedule.spec()), schedule.timezone


_BACKOFFS = ("fixed", "exponential")


def _retry(read: RawReader) -> dict[str, Any]:
    """{} (no retries), or {"max_attempts", "delay_s", "backoff"}; ``max_attempts`` counts the first try."""
    value = read.get("retry", {})
    if not isinstance(value, dict):
        read.fail("retry", "This must be an object with max_attempts, delay_s and backoff.")
        return {}
    inner = RawReader(value)
    for name in sorted(set(value) - {"max_attempts", "delay_s", "backoff", "only_on"}):
        inner.fail(str(name), "There is no such field.")
    attempts = inner.whole("max_attempts", 1, least=1, most=100) or 1
    delay = inner.seconds("delay_s", most=604_800) if value.get("delay_s") not in (0, None) else 0.0
    backoff = inner.choice("backoff", "exponential", _BACKOFFS)
    only_on = _error_names(inner)
    if inner.errors:
        read.merge("retry", Invalid(inner.errors))
    if attempts == 1:
        return {}
    retry: dict[str, Any] = {"max_attempts": attempts, "delay_s": delay or 0.0, "backoff": backoff}
    return retry | ({"only_on": only_on} if only_on else {})


def _error_names(read: RawReader) -> list[str]:
    """Names of exceptions, as ``ConnectionError`` or ``httpx.ConnectTimeout``; and "timed_out"."""
    value = read.get("only_on", [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        read.fail("only_on", "This must be a list of names of exceptions.")
        return []
    for name in value:
        if not _ERROR_NAME.fullmatch(name):
            read.fail("only_on", f"{name!r} is not the name of an exception, such as ConnectionError.")
    if len(value) > 30:
        read.fail("only_on", "At most 30 names.")
    return sorted(set(value))


def _chains(read: RawReader, job_id: str) -> list[dict[str, str]]:
    """Which jobs run when a run of this one has ended: [{"job_id", "on": success, failure or always}]."""
    value = read.get("chains", [])
    if not isinstance(value, list) or len(value) > 20:
        read.fail("chains", "This must be a list of at most 20 links.")
        return []
    links = []
    for link in value:
        if not isinstance(link, dict) or set(link) - {"job_id", "on"} or not isinstance(link.get("job_id"), str):
            read.fail("chains", "Each link has a job_id and on: success, failure or always.")
        elif link.get("on", "success") not in CHAIN_CONDITIONS:
            read.fail("chains", f"{link['on']!r} is none of {', '.join(CHAIN_CONDITIONS)}.")
        elif link["job_id"] == job_id:
            read.fail("chains", "A job cannot start itself.")
        else:
            links.append({"job_id": link["job_id"], "on": link.get("on", "success")})
    return links


def _group(read: RawReader) -> str | None:
    value = read.text("group", limit=64)
    if value and not _TAG.fullmatch(value):
        read.fail("group", "No spaces, quotes or commas.")
    return value or None


def _tags(read: RawReader) -> list[str]:
    value = read.get("tags", [])
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        read.fail("tags", "This must be a list of texts.")
        return []
    for tag in value:
        if not _TAG.fullmatch(tag):
            read.fail("tags", f"{tag!r}: a tag has 1 to 50 characters, no spaces, quotes or commas.")
    if len(value) > 30:
        read.fail("tags", "At most 30 tags.")
    return sorted(set(value))
