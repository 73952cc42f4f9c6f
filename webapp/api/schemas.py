"""The JSON bodies that the API takes, as pydantic models: names and types. What the values mean is checked by the
services, which forms use too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from webapp.domain.errors import Invalid

Number = int | float
CronField = int | str


class Body(BaseModel):
    """Nothing is converted, and unknown keys are refused: a misspelled key must not be lost without a word."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """The keys that were sent, under the names they were sent under."""
        return self.model_dump(exclude_unset=True, by_alias=True)


class TriggerFields(Body):
    """When: ``trigger`` names the kind, and the kind's own keys stand beside it."""

    trigger: str | None = Field(None, description="interval, cron, date or combined")
    timezone: str | None = Field(None, description="IANA name; without it the server's default")
    start_date: str | None = Field(None, description="ISO 8601; without an offset in the job's time zone")
    end_date: str | None = Field(None, description="ISO 8601; no due time after it")
    jitter: int | None = Field(None, description="Each due time is delayed by 0 to so many seconds")
    spread: int | None = Field(None, description="All due times of the job are delayed by one number of seconds")
    weeks: Number | None = None
    days: Number | None = None
    hours: Number | None = None
    minutes: Number | None = None
    seconds: Number | None = None
    crontab: str | None = Field(None, description="Five or six fields with the meaning that cron gives them")
    year: CronField | None = None
    month: CronField | None = None
    day: CronField | None = None
    week: CronField | None = None
    day_of_week: CronField | None = Field(None, description="0 or mon is Monday, as in APScheduler")
    hour: CronField | None = None
    minute: CronField | None = None
    second: CronField | None = None
    gap: str | None = Field(None, description="skip or end: what becomes of times that a clock change removes")
    run_date: str | None = Field(None, description="ISO 8601; without an offset in the job's time zone")
    fold: int | None = Field(None, description="0 or 1: which of two equal local times run_date means")
    any: list[dict[str, Any]] | None = Field(None, description="Combined: due when any of these schedules is")
    all: list[dict[str, Any]] | None = Field(None, description="Combined: due when all of these schedules are")
    except_: list[dict[str, Any]] | None = Field(None, alias="except", description="Combined: not when these are due")
    calendars: list[str | dict[str, Any]] | None = Field(
        None, description="Combined: not within these calendars; a shared one by its name, any other whole"
    )


class RetryRule(Body):
    """``max_attempts`` counts the first try."""

    max_attempts: int = 1
    delay_s: Number = 0
    backoff: str = "exponential"
    only_on: list[str] = Field([], description="Names of exceptions that are worth another try; empty: all")


class ChainLink(Body):
    """A job that is run when a run of this one has ended."""

    job_id: str
    on: str = Field("success", description="success, failure or always")


class JobFields(TriggerFields):
    """A job as clients send it. Keys that only the server sets are taken when they come from an answer unchanged."""

    name: str | None = None
    func: str | None = Field(None, description="A task's key, or module:function of a registered task")
    task: str | None = Field(None, description="The task's key; func says the same")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    misfire_grace_time: int | None = Field(None, description="Seconds a run may start late; null: never too late")
    max_instances: int = 1
    coalesce: bool = True
    executor: str = "default"
    jobstore: str = "default"
    overlap: str = Field("skip", description="skip, queue, together or replace")
    timeout_s: Number | None = None
    retry: RetryRule | None = None
    retries: Annotated[int, Field(ge=0, le=99)] | None = Field(None, description="Further tries after the first")
    rerun_if_lost: bool = False
    auto_pause_after: int | None = Field(None, description="Failures in a row after which the job is paused")
    chains: list[ChainLink] = []
    group: str | None = Field(None, description="Jobs of one group share a limit of runs going on together")
    priority: int = 0
    description: str | None = None
    tags: list[str] = []
    state: str | None = None
    state_reason: str | None = None
    resume_at: str | None = None
    revision: int | None = None
    next_run_time: str | None = None


class NewJob(JobFields):
    id: str = Field(min_length=1, max_length=191)
    trigger: str = Field(description="interval, cron, date or combined")
    replace_existing: bool = Field(False, description="Edit the job if the id is taken, instead of answering 409")


class JobChanges(JobFields):
    """What PATCH takes. Without ``trigger``, keys of the schedule change the present one; with it they replace it."""

    id: str | None = None


class PreviewRequest(TriggerFields):
    trigger: str = Field(description="interval, cron, date or combined")
    job_id: str = Field("", max_length=191, description="The job that it is for: its id decides how jitter falls")
    count: Annotated[int, Field(ge=1, le=100)] = 10
    simulate: str = Field("", max_length=10, description="YYYY-MM-DD: also tell what happens on that local day")


class RunRequest(Body):
    kwargs: dict[str, Any] = Field({}, description="Replaces the job's named arguments for this run only")


class PauseRequest(Body):
    until: str | None = Field(None, description="ISO 8601; the job resumes by itself then")


class CalendarFields(Body):
    """A shared calendar as clients send it. Keys that only the server sets may come back as they were got."""

    days: list[str] = Field([], description="2026-12-25, or a range 2026-12-24/2026-12-31")
    yearly: list[str] = Field([], description="12-25: this day of every year")
    weekdays: list[str] = Field([], description="mon to sun")
    hours: list[dict[str, Any]] = Field([], description="from, to and weekdays: a part of each of these days")
    windows: list[dict[str, Any]] = Field([], description="start and end, ISO 8601; without an offset in its zone")
    timezone: str | None = Field(None, description="Zone of its days and hours; null: that of each schedule")
    labels: dict[str, str] = Field({}, description="What days and windows are called, for people")
    holds: Any = None
    jobs: Any = None
    revision: int | None = None
    updated_at: Any = None
    updated_by: Any = None
    next: Any = None
    jobs_changed: Any = None
    notes: Any = None


class NewCalendar(CalendarFields):
    name: str = Field(min_length=1, max_length=100)


class CalendarChanges(CalendarFields):
    """What PATCH takes; another ``name`` renames it, in the schedules that name it, too."""

    name: str = Field("", min_length=1, max_length=100)


class ImportRequest(Body):
    ics: str = Field(description="The text of an iCalendar file")
    add: bool = Field(False, description="Keep what the calendar holds already")
    timezone: str | None = Field(None, description="Zone of a new calendar")


class ShutdownRequest(Body):
    wait: bool = Field(True, description="Taken for old clients; runs that are going on always go on")


class CatchUpRequest(Body):
    moments: list[str] = Field(
        min_length=1, max_length=500, description="Past due times, ISO 8601; without an offset in the job's time zone"
    )
    again: bool = Field(False, description="Also those whose run has succeeded")


Model = TypeVar("Model", bound=BaseModel)

TRIGGER_KEYS = frozenset(field.alias or name for name, field in TriggerFields.model_fields.items()) - {"trigger"}
READ_ONLY_KEYS = frozenset({"state", "state_reason", "resume_at", "revision", "next_run_time"})

_MESSAGES = {
    "extra_forbidden": "There is no such key.",
    "missing": "This is needed.",
    "int_type": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "bool_type": "This must be true or false.",
    "string_type": "This must be text.",
    "list_type": "This must be a list.",
    "dict_type": "This must be an object.",
    "model_type": "This must be an object.",
    "greater_than_equal": "This must be at least {ge}.",
    "less_than_equal": "This must be at most {le}.",
    "string_too_short": "This must not be empty.",
    "string_too_long": "This must have at most {max_length} characters.",
    "string_pattern_mismatch": "This is not what a page gave out.",
    "too_short": "This must have at least {min_length} entry.",
    "too_long": "This must have at most {max_length} entries.",
    "yes_or_no": "Use 1 or 0.",
}


def read(model: type[Model], data: Mapping[str, Any]) -> Model:
    """A body, or the parameters of an address, as ``model``. Raises Invalid with the messages by key."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise Invalid(_by_key(error)) from None


def _by_key(error: ValidationError) -> dict[str, list[str]]:
    """Messages by key, the alternatives of one key joined: "This must be a whole number or text."."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_input=False):
        place = item["loc"]
        name = str(place[0])[:80] if place else ""
        if name == "retry" and len(place) > 1:
            name = f"retry.{place[1]}"[:80]
        template = _MESSAGES.get(item["type"], "This is not valid here.")
        text = template.format(**item.get("ctx", {}))
        if text not in found.setdefault(name, []):
            found[name].append(text)
    return {name: [_either(texts)] for name, texts in found.items()}


def _either(texts: list[str]) -> str:
    shared = "This must be "
    if len(texts) > 1 and all(text.startswith(shared) for text in texts):
        return shared + " or ".join(text.removeprefix(shared).rstrip(".") for text in texts) + "."
    return " ".join(texts)
