"""Jobs as rows of a list, and a job's rules in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from webapp.domain.errors import Invalid, NotFound
from webapp.domain.states import JobState, Overlap
from webapp.services import jobs
from webapp.services import runs as run_service
from webapp.services.downtime import Gap
from webapp.services.runs import RunBar
from webapp.services.schedule_cache import schedule_of
from webapp.store.models import Job
from webapp.tasks import registry
from webapp.web import charts
from webapp.web.presenters import downtime, preview, times
from webapp.web.presenters.parameters import by_name
from webapp.web.presenters.preview import Preview


@dataclass(frozen=True)
class JobRow:
    """One job in a list."""

    job: Job
    words: str
    brief: str
    strip: charts.Strip
    last: RunBar | None
    task_title: str

    @property
    def can_pause(self) -> bool:
        return self.job.state in (JobState.ACTIVE, JobState.QUARANTINED)

    @property
    def can_resume(self) -> bool:
        return self.job.state in (JobState.PAUSED, JobState.QUARANTINED)


def rows(page: Sequence[Job], now: datetime, viewer: ZoneInfo, slots: int = 24) -> list[JobRow]:
    """The rows of a list, with the strips of all of them read at once."""
    bars = run_service.strips([job.id for job in page], slots)
    gaps = downtime.lately(now)
    return [_row(job, bars[job.id], now, viewer, slots, gaps) for job in page]


def row(job: Job, now: datetime, viewer: ZoneInfo) -> JobRow:
    return rows([job], now, viewer)[0]


def _row(job: Job, bars: list[RunBar], now: datetime, viewer: ZoneInfo, slots: int, gaps: Sequence[Gap]) -> JobRow:
    task = registry.find(job.task)
    words = schedule_words(job)
    return JobRow(
        job=job,
        words=words,
        brief=brief(words, job.timezone, viewer),
        strip=charts.strip(bars, slots, now, gaps),
        last=bars[-1] if bars else None,
        task_title=task.title if task else "",
    )


def schedule_words(job: Job) -> str:
    """When the job runs, as a sentence; why it cannot be read, for a stored schedule that is rubbish."""
    if not job.trigger:  # it stands in another job store, where it could not be read
        return "Its schedule is not known."
    try:
        return schedule_of(job).words()
    except Invalid as error:
        return f"Cannot be read: {error}"


def brief(words: str, timezone: str, viewer: ZoneInfo) -> str:
    """The same for a list: without what an interval is counted from, and without the zone if it is the viewer's."""
    suffix = f" ({timezone})"
    text = words.removesuffix(suffix).partition(", counted from ")[0]
    return text if timezone == viewer.key or not words.endswith(suffix) else text + suffix


def find(job_id: str) -> Job | None:
    """The job if it (still) exists: runs outlive their jobs."""
    try:
        return jobs.get(job_id)
    except NotFound:
        return None


def preview_of(job: Job, now: datetime, viewer: ZoneInfo, count: int) -> Preview:
    """Next due times and hazards of a job that has any ahead; of a paused one those it would have."""
    if job.state not in (JobState.ACTIVE, JobState.PAUSED):
        return Preview()
    try:
        return preview.of(schedule_of(job), job_id=job.id, now=now, viewer=viewer, count=count)
    except Invalid as error:
        return Preview(problems=error.lines())


def stored_arguments(job: Job) -> dict[str, Any]:
    """The job's arguments by name, whichever way they were given."""
    task = registry.find(job.task)
    return by_name(task, job.args, job.kwargs) if task else dict(job.kwargs)


def rules(job: Job) -> list[tuple[str, str]]:
    """(label, sentence) for everything that is not the schedule itself."""
    lines = [
        ("Still running", overlap_words(job.overlap, job.max_instances)),
        ("Late", late_words(job.misfire_grace_s)),
        ("Several missed", "run once for all of them" if job.coalesce else "run once for each of them"),
        ("Time limit", times.length(job.timeout_s) if job.timeout_s else "none"),
        ("After a failure", retry_words(job.retry)),
        ("After a crash", "run again" if job.rerun_if_lost else "record as lost; do not run again"),
        ("Executor", job.executor),
    ]
    if job.auto_pause_after:
        lines.append(("Pauses itself", f"after {job.auto_pause_after} failures in a row"))
    if job.group:
        lines.append(("Group", job.group))
    if job.priority:
        lines.append(("Priority", f"{job.priority:+d}"))
    return lines


def chains(job: Job) -> list[tuple[str, str, Job | None]]:
    """(condition in words, id, the job if it exists) of the jobs that run after this one."""
    words = {"success": "after success", "failure": "after a failure", "always": "in any case"}
    return [(words[link["on"]], link["job_id"], find(link["job_id"])) for link in job.chains]


def overlap_words(overlap: str, most: int) -> str:
    """What happens at a due time while earlier runs are still going."""
    limit = "it is still running" if most == 1 else f"{most} runs are still going"
    match overlap:
        case Overlap.QUEUE:
            return f"while {limit}, one more waits"
        case Overlap.REPLACE:
            return (
                f"while {limit}, they are stopped and the new one starts"
                if most > 1
                else (f"while {limit}, it is stopped and the new one starts")
            )
    if most > 1:
        return f"up to {most} run together; more are skipped"
    return f"while {limit}, the new one is skipped"


def late_words(grace_s: int | None) -> str:
    if grace_s is None:
        return "run it however late"
    return f"run it up to {times.length(grace_s)} late, then record it as missed"


def retry_words(retry: Mapping[str, Any]) -> str:
    attempts = int(retry.get("max_attempts", 1))
    if attempts <= 1:
        return "do not try again"
    delay = times.length(float(retry.get("delay_s", 0)))
    growth = ", then twice as long each time" if retry.get("backoff") == "exponential" else " each time"
    errors = f", only after {', '.join(retry['only_on'])}" if retry.get("only_on") else ""
    return f"up to {attempts} tries, waiting {delay}{growth}{errors}"


def shown_arguments(job_task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, text) of the arguments as they may be shown: what is secret is masked.

    Without the task nobody knows what is secret, so everything is masked.
    """
    task = registry.find(job_task)
    if task is None:
        names = [f"argument {place}" for place in range(1, len(args) + 1)] + list(kwargs)
        return [(name, "•••••• (its task is not available, so nothing is shown)") for name in names]
    positional = task.redacted_args(args)
    names = [parameter.name for parameter in task.parameters if not parameter.is_extra]
    names += [f"argument {place}" for place in range(len(names) + 1, len(positional) + 1)]
    pairs = [*zip(names, positional, strict=False), *task.redacted(kwargs).items()]
    return [(name, as_text(value)) for name, value in pairs]


def as_text(value: Any) -> str:
    """A JSON value for reading: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
