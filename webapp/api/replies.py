"""The JSON that the API answers, as pydantic models: the OpenAPI document shows them, the client reads into them, and
tests hold every answer against them. Times are ISO 8601 with an offset.
"""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from webapp.api.schemas import Number, TriggerFields

Moment = AwareDatetime | None


class Reply(BaseModel):
    """A client takes keys that it does not know: servers may be newer than clients."""

    model_config = ConfigDict(extra="ignore")


class Problem(Reply):
    """Every refusal."""

    error_message: str = Field(description="A sentence for people")
    errors: dict[str, list[str]] = Field({}, description="Messages by key, when the request itself is at fault")


class SchedulerInfo(Reply):
    current_host: str
    allowed_hosts: list[str] = Field(description='Always ["*"]: no host is kept from serving by its name')
    running: bool = Field(description="Whether somebody serves due times, or holds them while paused")
    state: str = Field(description="running, paused, stopped or down")
    paused: bool
    healthy: bool
    problem: str | None = Field(description="Why nobody serves due times although somebody should")
    last_loop_at: Moment
    leader: str | None
    heartbeat_at: Moment
    next_due_at: Moment
    queued: int
    running_runs: int
    jobs: int


class TriggerReply(TriggerFields):
    """A schedule: ``trigger`` names its kind; of the other keys, those that are set are there."""

    model_config = ConfigDict(extra="ignore", strict=False)


class JobReply(TriggerReply):
    id: str
    name: str
    func: str
    task: str
    args: list[Any] = Field(description="Secret values are masked")
    kwargs: dict[str, Any] = Field(description="Secret values are masked")
    misfire_grace_time: int | None
    max_instances: int
    next_run_time: Moment = Field(description="The first due time that has no outcome yet, in the job's zone")
    coalesce: bool
    executor: str
    jobstore: str
    overlap: str
    timeout_s: Number | None
    retry: dict[str, Any]
    retries: int
    rerun_if_lost: bool
    auto_pause_after: int | None
    chains: list[dict[str, Any]]
    group: str | None
    priority: int
    description: str
    tags: list[str]
    state: str = Field(description="active, paused, finished or quarantined")
    state_reason: str | None
    resume_at: Moment
    revision: int


class QueuedJob(JobReply):
    run_id: int = Field(description="The run that was queued")


class RunRow(Reply):
    id: int
    job_id: str
    task: str
    state: str = Field(
        description="queued, running; succeeded, failed, timed_out, cancelled, lost; missed, skipped, held"
    )
    trigger: str = Field(description="schedule, manual, retry, chain, api or catch-up")
    attempt: int
    due_at: Moment
    queued_at: Moment
    started_at: Moment
    finished_at: Moment
    duration_s: Number | None
    result: Any
    error: str | None
    reason: str | None


class RunPage(Reply):
    runs: list[RunRow]
    next: str | None = Field(description="The cursor of the page after this one; null: there is none")


class Attempt(Reply):
    id: int
    attempt: int
    state: str


class RunReply(RunRow):
    job_name: str
    job_revision: int | None
    args: list[Any]
    kwargs: dict[str, Any]
    first_due_at: Moment
    due_count: int = Field(description="How many due times this row answers for")
    attempts: list[Attempt]
    executor: str
    worker: str | None
    timeout_s: Number | None
    requested_by: str | None
    stop_requested_at: Moment
    stop_requested_by: str | None
    progress: Number | None
    progress_text: str | None
    traceback: str | None
    log_lines: int


class RerunReply(RunReply):
    run_id: int = Field(description="The same as id")


class LogLine(Reply):
    n: int
    at: AwareDatetime
    level: str
    text: str


class LogReply(Reply):
    run_id: int
    lines: list[LogLine]
    text: str
    next_line: int
    total: int
    complete: bool = Field(description="Whether no more lines will come after these")


class ParameterReply(Reply):
    name: str
    kind: str
    type: str
    required: bool
    default: Any
    choices: list[Any] | None
    nullable: bool
    secret: bool
    help: str


class TaskReply(Reply):
    key: str
    func: str
    title: str
    description: str
    enabled: bool
    disabled_reason: str | None
    is_async: bool
    parameters: list[ParameterReply]


class TaskList(Reply):
    tasks: list[TaskReply]


class Hazard(Reply):
    code: str
    date: str | None
    message: str


class Dropped(Reply):
    first: AwareDatetime
    last: AwareDatetime
    count: int
    because: list[str]


class DayRow(Reply):
    utc: AwareDatetime
    local: AwareDatetime
    text: str
    note: str
    skipped: bool
    repeated: bool
    dropped: bool


class Day(Reply):
    date: str
    hours: Number
    count: int
    rows: list[DayRow]


class ScheduleReply(TriggerReply):
    words: str
    next_run_times: list[AwareDatetime]
    dropped: list[Dropped]
    hazards: list[Hazard]
    simulated: Day | None = Field(None, description="Only when a day was asked for")


class Difference(Reply):
    job_id: str
    expected: int | None = Field(description="null: its schedule cannot be computed any more")
    found: int


class BalanceReply(Reply):
    since: AwareDatetime
    until: AwareDatetime
    due: int = Field(description="Due times in (since, until], computed from the schedules that were in force")
    by_state: dict[str, int] = Field(description="Outcomes of these due times, from the ledger")
    waiting: int = Field(description="Due times that nobody has served yet")
    settled: int = Field(description="Due times whose outcome is final")
    adds_up: bool = Field(description="Whether each due time has exactly one outcome or waits")
    compared: bool = Field(description="False: too many periods to compare; due is the ledger's own sum")
    mismatches: list[Difference]


class Link(Reply):
    kind: str = Field(description="run, revision or scheduler")
    id: int | None


class ReasonReply(Reply):
    code: str = Field(description="For programs: it stays the same")
    text: str = Field(description="For people")
    at: Moment
    link: Link | None


class ExplanationReply(Reply):
    job_id: str
    at: AwareDatetime
    verdict: str = Field(description="ran, running, waiting, not run, not due, ahead or unknown")
    due_at: Moment = Field(description="The due time within a minute of that moment")
    run_id: int | None
    state: str | None
    reasons: list[ReasonReply] = Field(description="The decisive ones first")


class PastDueTime(Reply):
    due_at: AwareDatetime
    state: str | None = Field(description="null: it was not served then")
    run_id: int | None
    folded: bool = Field(description="Whether it shares its outcome with other due times")
    open: bool = Field(description="Whether there is something to catch up")


class PastDueTimes(Reply):
    since: AwareDatetime
    until: AwareDatetime
    due_times: list[PastDueTime]


class CaughtUp(Reply):
    runs: list[RunRow]


class CalendarRow(Reply):
    name: str
    timezone: str | None
    holds: str
    jobs: list[str]
    revision: int
    updated_at: Moment
    updated_by: str | None


class Closure(Reply):
    start: AwareDatetime
    end: AwareDatetime


class CalendarReply(CalendarRow):
    days: list[str]
    yearly: list[str]
    weekdays: list[str]
    hours: list[dict[str, Any]]
    windows: list[dict[str, Any]]
    labels: dict[str, str]
    next: list[Closure]


class CalendarSaved(CalendarReply):
    jobs_changed: int
    notes: list[str]
