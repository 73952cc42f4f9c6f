"""What may surprise the owner of a schedule, with the date on which it will."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import pairwise

from webapp.domain import clockchanges, closures, cronwords
from webapp.domain.combined import CombinedTrigger
from webapp.domain.cron import CronTrigger
from webapp.domain.moments import MONTH_NAMES, WEEKDAY_NAMES, spoken_date
from webapp.domain.phrases import duration, join
from webapp.domain.recurrence import Schedule
from webapp.domain.zones import seconds

NEVER_FIRES = "never_fires"
CLOCK_CHANGE = "clock_change"
SHORT_MONTH = "short_month"
EITHER_DAY = "either_day"
UNEVEN_STEP = "uneven_step"
TOO_CLOSE = "too_close"
FAR_OFF = "far_off"
TWIN = "twin"
CALENDAR_ENDS = "calendar_ends"

_FAR = timedelta(days=366)
_SOON = timedelta(days=60)
_TWIN_TIMES = 10
_LIST_OF_DAYS = 5
"""A calendar of so many single days is a list that somebody has to continue."""
_FEW = 4
_MONTHS_AHEAD = 9 * 12
_STEP = re.compile(r"\*/([0-9]+)")
_CYCLES = {"second": (60, "minute"), "minute": (60, "hour"), "hour": (24, "day"), "day": (31, "month")}


@dataclass(frozen=True)
class Hazard:
    """``code`` is stable, for programs; ``date`` is local to the schedule; ``message`` is a sentence for people."""

    code: str
    date: date | None
    message: str


def find(
    schedule: Schedule,
    now: datetime,
    usual_duration_s: float | None = None,
    others: Mapping[str, Schedule] | None = None,
) -> list[Hazard]:
    """Everything worth knowing before this schedule is trusted, the worst first.

    ``usual_duration_s``: how long its runs usually take. ``others``: other jobs' schedules by name, to find twins.
    """
    due = schedule.next_after(now)
    if due is None:
        return [Hazard(NEVER_FIRES, None, "This never fires again.")]
    found = [*_far_off(due, now), *_too_close(schedule, now, usual_duration_s), *_clock_change(schedule, now)]
    for part in schedule.parts if isinstance(schedule, CombinedTrigger) else (schedule,):
        if isinstance(part, CronTrigger):
            found += [*_short_month(part, now), *_either_day(part), *_uneven_steps(part)]
    found += [*_calendar_ends(schedule, now), *_twins(schedule, now, others or {})]
    return list(dict.fromkeys(found))


def _far_off(due: datetime, now: datetime) -> Iterable[Hazard]:
    if due - now > _FAR:
        yield Hazard(FAR_OFF, due.date(), f"The next run is only on {spoken_date(due)}.")


def _too_close(schedule: Schedule, now: datetime, usual_s: float | None) -> Iterable[Hazard]:
    shortest = _shortest(schedule, now) if usual_s is not None else None
    if shortest is not None and usual_s is not None and shortest < usual_s:
        took = duration(max(round(usual_s), 1))
        yield Hazard(
            TOO_CLOSE, None, f"Runs are due {duration(shortest)} apart at the closest, but one usually takes {took}."
        )


def _shortest(schedule: Schedule, now: datetime) -> int | None:
    """Seconds between the two closest due times; for a combination, among the next hundred."""
    if not isinstance(schedule, CombinedTrigger):
        return schedule.grid.shortest
    times = [seconds(due) for due in schedule.between(now, now + timedelta(days=3653), 100)]
    return min((b - a for a, b in pairwise(times)), default=None)


def _clock_change(schedule: Schedule, now: datetime) -> Iterable[Hazard]:
    """The next change of the clock that matters; one for each part of a combination, which is named."""
    parts = schedule.parts if isinstance(schedule, CombinedTrigger) else (schedule,)
    for part in parts:
        change = next(clockchanges.upcoming(part, now), None)
        if change is not None:
            named = f"{part.words()}: " if len(parts) > 1 else ""
            yield Hazard(CLOCK_CHANGE, change.old.date(), named + change.words())


def _short_month(trigger: CronTrigger, now: datetime) -> Iterable[Hazard]:
    """Days that some of the schedule's months lack, unless they are part of a long list such as ``*/2``."""
    days = trigger.parts.days
    late = max(days.days.numbers, default=0)
    if late > 28 and len(days.days.numbers) <= _FEW and not days.days.last_day:
        month = _next_month(trigger, now, lambda year, month: monthrange(year, month)[1] < late)
        if month is not None:
            lacking = f"Some months have no day {late}, so that run is left out: the next is {_month(month)}."
            yield Hazard(SHORT_MONTH, month, lacking)
    for weekday in sorted({day for n, day in days.days.positions | days.weekdays.positions if n == 5}):
        month = _next_month(trigger, now, partial(_lacks_fifth, weekday))
        if month is not None:
            name = WEEKDAY_NAMES[weekday]
            lacking = f"Most months have no 5th {name}, so that run is left out: the next is {_month(month)}."
            yield Hazard(SHORT_MONTH, month, lacking)


def _next_month(trigger: CronTrigger, now: datetime, is_one: Callable[[int, int], bool]) -> date | None:
    """The first day of the next month of this schedule that ``is_one``; None when it ends before."""
    local = now.astimezone(trigger.zone.tz)
    days = trigger.parts.days
    for number in range(local.year * 12 + local.month - 1, local.year * 12 + _MONTHS_AHEAD):
        year, month = number // 12, number % 12 + 1
        if month in days.months and (days.years is None or year in days.years) and is_one(year, month):
            found = date(year, month, 1)
            return None if trigger.end_date is not None and found > trigger.end_date.date() else found
    return None


def _lacks_fifth(weekday: int, year: int, month: int) -> bool:
    first, length = monthrange(year, month)
    return (weekday - first) % 7 + 29 > length


def _month(day: date) -> str:
    return f"{MONTH_NAMES[day.month - 1]} {day.year}"


def _either_day(trigger: CronTrigger) -> Iterable[Hazard]:
    if trigger.parts.days.either:
        days = cronwords.days(trigger.parts.days, every_day=True).strip(" ,")
        yield Hazard(EITHER_DAY, None, f"For cron one of the two day fields is enough: this runs {days}.")


def _uneven_steps(trigger: CronTrigger) -> Iterable[Hazard]:
    """Steps that do not divide their cycle: ``*/7`` of 60 minutes is not every 7 minutes."""
    for name, text in trigger.field_texts().items():
        size, cycle = _CYCLES.get(name, (0, ""))
        for item in text.split(","):
            step = int(item[2:]) if size and _STEP.fullmatch(item) else 1
            if step >= size > 0:
                meant = f"is not every {step} {name}s, but once every {cycle}"
                yield Hazard(UNEVEN_STEP, None, f"{item} in the {name} field {meant}. An interval can do what it says.")
            elif size % step:
                gap = f"after {name} {(size - 1) // step * step + (name == 'day')} the count starts anew"
                yield Hazard(UNEVEN_STEP, None, f"{item} in the {name} field is not even: {gap} with the next {cycle}.")


def _calendar_ends(schedule: Schedule, now: datetime) -> Iterable[Hazard]:
    """Lists of days, such as holidays, that soon have no day left, or have none already."""
    for calendar in schedule.calendars if isinstance(schedule, CombinedTrigger) else ():
        last = closures.last_day(calendar) if len(calendar.days) >= _LIST_OF_DAYS else None
        if last is not None and last - now.date() < _SOON:
            yield Hazard(CALENDAR_ENDS, last, f"“{calendar.name}” holds no day after {spoken_date(last)}.")


def _twins(schedule: Schedule, now: datetime, others: Mapping[str, Schedule]) -> Iterable[Hazard]:
    same = [name for name, other in others.items() if same_times(schedule, other, now)]
    if same:
        shown = join([f"“{name}”" for name in same[:3]]) + (f" and {len(same) - 3} more" if len(same) > 3 else "")
        yield Hazard(TWIN, None, f"Due at the same times as {shown}.")


def same_times(one: Schedule, other: Schedule, now: datetime) -> bool:
    """Whether two schedules share their next ten times (before jitter and spread)."""
    at = seconds(now)
    for _ in range(_TWIN_TIMES):
        mine, theirs = one.next_grid(at), other.next_grid(at)
        if mine != theirs:
            return False
        if mine is None:
            return at > seconds(now)
        at = mine
    return True
