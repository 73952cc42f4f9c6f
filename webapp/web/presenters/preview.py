"""What a schedule would do, as the form and the job page show it: its words, its next due times, its hazards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from webapp.domain import fields, hazards
from webapp.domain import preview as due_times
from webapp.domain.errors import Invalid
from webapp.domain.hazards import Hazard
from webapp.domain.preview import DayPreview, PreviewRow
from webapp.domain.recurrence import Schedule
from webapp.domain.zones import seconds
from webapp.services import job_lists, runs, shared_calendars
from webapp.services.schedule_cache import schedule_of
from webapp.web.forms.combined import unfolded
from webapp.web.presenters import cron

COUNT = 10
DAY_ROWS = 300
OTHERS_MAX = 500
"""Jobs that are looked through for twins."""


@dataclass(frozen=True)
class Preview:
    """``problems`` instead of words while what was typed is no schedule yet."""

    words: str = ""
    rows: list[PreviewRow] = field(default_factory=list)
    zone: ZoneInfo | None = None
    echo: str = ""
    hazards: list[Hazard] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    day: DayPreview | None = None
    day_rows: int = DAY_ROWS


def typed(
    spec: Mapping[str, Any], stored: Mapping[str, Any] | None, *, job_id: str, now: datetime, viewer: ZoneInfo,
    default_timezone: str, day: str = "", told: Callable[[Invalid], Invalid] | None = None,
) -> Preview:  # fmt: skip
    """The preview of a spec as typed; what equals ``stored`` may lie in the past. ``day``: also tell of that one.

    ``told`` words the messages about the spec as the form that was typed in does.
    """
    try:
        if stored is not None and spec == stored:
            schedule = shared_calendars.load(spec, job_id=job_id)
        else:
            schedule = shared_calendars.parse(spec, now=now, job_id=job_id, default_timezone=default_timezone)
    except Invalid as error:
        worded = error if told is None else told(error)
        return Preview(problems=[text for texts in worded.fields.values() for text in texts])
    try:
        simulated = read_day(day)
    except Invalid:  # half typed: the picker goes on
        simulated = None
    return of(schedule, job_id=job_id, now=now, viewer=viewer, echo=_echo(unfolded(spec)[0]), day=simulated)


def read_day(text: str) -> date | None:
    """A local day as a date picker sends it; None for none. Raises Invalid at ``day``."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Invalid({"day": f"{text!r} is not a day such as 2026-03-29."}) from None
    if not 2000 <= found.year <= 2100:
        raise Invalid({"day": "The year must lie between 2000 and 2100."})
    return found


def of(
    schedule: Schedule,
    *,
    job_id: str,
    now: datetime,
    viewer: ZoneInfo,
    count: int = COUNT,
    echo: str = "",
    day: date | None = None,
) -> Preview:
    return Preview(
        words=schedule.words(),
        rows=due_times.rows(schedule, now, count, viewer.key),
        zone=ZoneInfo(schedule.timezone),
        echo=echo,
        day=due_times.day(schedule, day, viewer.key, DAY_ROWS) if day else None,
        hazards=hazards.find(
            schedule, now, runs.usual_duration_s(job_id) if job_id else None, _others(schedule, job_id, now)
        ),
    )


def _others(schedule: Schedule, job_id: str, now: datetime) -> dict[str, Schedule]:
    """The schedules of other active jobs by name: of those due next when this one is, and of the ones after them.

    Two jobs with the same times have the same next due time, but for what jitter and spread put it off.
    """
    first = schedule.next_grid(seconds(now))
    if first is None:
        return {}
    found: dict[str, Schedule] = {}
    for job in job_lists.schedules_from(datetime.fromtimestamp(first, UTC), OTHERS_MAX):
        if job.id != job_id:
            try:
                found[job.name] = schedule_of(job)
            except Invalid:  # a stored schedule that is rubbish has no due times to share
                continue
    return found


def _echo(spec: Mapping[str, Any]) -> str:
    """The other way of writing a cron schedule, so that the two stay in step under one's eyes."""
    if spec.get("kind") != "cron":
        return ""
    if spec.get("crontab"):
        texts = cron.fields_of(str(spec["crontab"]))
        shown = ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in texts.items())
        return f"As fields: {shown}" if texts else "Eight fields cannot say this."
    line = cron.crontab_of({name: str(spec[name]) for name in fields.NAMES if spec.get(name)})
    return f"As a crontab line: {line}" if line else "A crontab line cannot say this."
