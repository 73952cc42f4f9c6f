"""Shared calendars as their pages show them: what each holds and excludes next, what an edit would do to its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from webapp.domain import closures, words
from webapp.domain.calendars import Calendar as Value
from webapp.domain.closures import Closure
from webapp.domain.errors import Invalid
from webapp.domain.moments import WEEKDAY_NAMES
from webapp.domain.phrases import join
from webapp.domain.states import JobState
from webapp.domain.zones import zone
from webapp.services import calendar_content, calendars, shared_calendars
from webapp.services.calendar_content import Content
from webapp.services.schedule_cache import schedule_of
from webapp.store.models import Calendar, Job
from webapp.web.presenters import times

NEXT = 10
ENTRIES = 12
JOBS = 8
SOON = timedelta(days=60)


@dataclass(frozen=True)
class Excluded:
    """One coming closure: when in words, what it is called, its first moment."""

    when: str
    label: str
    start: datetime
    is_now: bool


@dataclass(frozen=True)
class Row:
    """One calendar in a list."""

    calendar: Calendar
    holds: str
    next: Excluded | None
    jobs: int
    problem: str = ""


@dataclass(frozen=True)
class JobChange:
    """What an edit would do to a job: its next due time before and after; None: there is none."""

    job: Job
    before: datetime | None
    after: datetime | None

    @property
    def differs(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Preview:
    """What a calendar as typed would exclude and change; ``problems`` while it is none yet."""

    holds: str = ""
    next: list[Excluded] = field(default_factory=list)
    jobs: list[JobChange] = field(default_factory=list)
    more_jobs: int = 0
    problems: list[str] = field(default_factory=list)


def row(calendar: Calendar, users: Mapping[str, Sequence[str]], now: datetime) -> Row:
    jobs = len(users.get(calendar.name, ()))
    try:
        value = calendar_content.value_of(calendar)
    except Invalid as error:
        return Row(calendar, "", None, jobs, f"Cannot be read: {error}")
    following = upcoming(value, calendar.labels, now, 1)
    return Row(calendar, holds(value), following[0] if following else None, jobs)


def holds(value: Value) -> str:
    """What it holds in numbers, without its name: "3 days, Saturdays and Sundays"."""
    text = words.calendar(value).removeprefix(f"“{value.name}” (").removesuffix(")")
    return text[:1].upper() + text[1:]


def upcoming(value: Value, labels: Mapping[str, str], now: datetime, count: int = NEXT) -> list[Excluded]:
    """What it excludes next, in its own zone or in the default one."""
    found = closures.upcoming(value, calendar_content.default_zone(), now, count)
    return [Excluded(_when(each, now), _label(each, labels), each.start, each.start <= now) for each in found]


def runs_out(value: Value, now: datetime) -> str:
    """A sentence for a calendar that soon excludes nothing more, or does so already; empty for others."""
    last = closures.last_day(value)
    if last is None or last - now.date() > SOON:
        return ""
    said = times.day(last, year=True)
    return f"Its last excluded day {'was' if last < now.date() else 'is'} {said}. Add the next ones, or import them."


def entries(calendar: Calendar, value: Value) -> list[tuple[str, list[str], int]]:
    """(what, lines, how many more) for everything it holds."""
    spec, labels = value.spec(), calendar.labels
    place = ZoneInfo(value.timezone or calendar_content.default_zone())
    groups: list[tuple[str, list[str]]] = [
        (
            "Days",
            [_named(times.day(date.fromisoformat(each), year=True), labels.get(each)) for each in _list(spec, "days")],
        ),
        ("Each year", [_named(_yearly(each), labels.get(each)) for each in _list(spec, "yearly")]),
        ("Each week", [join([WEEKDAY_NAMES[n] for n in sorted(value.weekdays)])] if value.weekdays else []),
        ("Hours", [_hours(each) for each in _list(spec, "hours")]),
        ("Windows", [_named(_window(each, place), labels.get(each["start"])) for each in _list(spec, "windows")]),
    ]
    return [(name, lines[:ENTRIES], max(len(lines) - ENTRIES, 0)) for name, lines in groups if lines]


def preview(raw: Mapping[str, Any], calendar: Calendar | None, now: datetime) -> Preview:
    """What a raw calendar would exclude, and what putting it in the place of ``calendar`` would change."""
    try:
        content = calendar_content.check(raw)
    except Invalid as error:
        return Preview(problems=[text for name, texts in error.fields.items() if name != "name" for text in texts])
    using = calendars.jobs_of(calendar) if calendar is not None else []
    return Preview(
        holds=holds(content.value),
        next=upcoming(content.value, content.labels, now),
        jobs=[_change(job, calendar.name, content, now) for job in using[:JOBS] if calendar is not None],
        more_jobs=max(len(using) - JOBS, 0),
    )


def _change(job: Job, name: str, content: Content, now: datetime) -> JobChange:
    if job.state not in (JobState.ACTIVE, JobState.FINISHED):
        return JobChange(job, job.next_due_at, job.next_due_at)
    try:
        before = schedule_of(job).next_after(now)
        after = shared_calendars.load_with(job.trigger, {name: content.value}, job_id=job.id).next_after(now)
    except Invalid:
        return JobChange(job, job.next_due_at, job.next_due_at)
    return JobChange(job, before, after)


def _when(each: Closure, now: datetime) -> str:
    """A closure in words: days by their dates, other times to the minute."""
    start, end = each.start, each.end
    if each.cut:
        return f"from {times.day(start, year=True)} on, without end"
    year = start.year != now.year
    if each.is_days:
        last = times.day(each.last_day, year=year or each.last_day.year != now.year)
        one, same_year = start.date() == each.last_day, start.year == each.last_day.year
        return last if one else f"{times.day(start, year=not same_year)} – {last}"
    said = f"{times.day(start, year=year)} {times.short(start)}"
    return (
        f"{said} – {times.short(end)}"
        if start.date() == end.date()
        else (f"{said} – {times.day(end)} {times.short(end)}")
    )


def _label(each: Closure, labels: Mapping[str, str]) -> str:
    """What the days and the window of a closure are called, each once."""
    days = (each.last_day - each.start.date()).days
    dates = [each.start.date() + timedelta(days=n) for n in range(min(days, 366) + 1)]
    keys = [key for day in dates for key in (day.isoformat(), f"{day:%m-%d}")]
    keys.append(each.start.astimezone(zone("UTC").tz).isoformat())
    return ", ".join(dict.fromkeys(labels[key] for key in keys if key in labels))


def _named(text: str, label: str | None) -> str:
    return f"{text}, {label}" if label else text


def _list(spec: Mapping[str, object], name: str) -> list[Any]:
    found = spec.get(name, [])
    return found if isinstance(found, list) else []


def _yearly(entry: str) -> str:
    day = date.fromisoformat(f"2000-{entry}")
    return f"{day.day} {times.MONTHS[day.month - 1]}"


def _hours(each: Mapping[str, Any]) -> str:
    days = [
        WEEKDAY_NAMES[("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(day)] for day in each.get("weekdays", [])
    ]
    return f"{each['from']} – {each['to']}" + (f" on {join([f'{day}s' for day in days])}" if days else " every day")


def _window(each: Mapping[str, str], place: ZoneInfo) -> str:
    start, end = (datetime.fromisoformat(each[name]).astimezone(place) for name in ("start", "end"))
    said = f"{times.day(start, year=True)} {times.short(start)}"
    return (
        f"{said} – {times.short(end)}"
        if start.date() == end.date()
        else (f"{said} – {times.day(end, year=start.year != end.year)} {times.short(end)}")
    )
