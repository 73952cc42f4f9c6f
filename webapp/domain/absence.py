"""Why a schedule has no due time at a moment: its bounds, a calendar or an exception, a clock change, or its grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.domain import clockchanges
from webapp.domain.clockchanges import Effect
from webapp.domain.combined import CombinedTrigger
from webapp.domain.moments import clock, spoken_date
from webapp.domain.phrases import join
from webapp.domain.recurrence import Schedule
from webapp.domain.together import CombinedGrid
from webapp.domain.zones import seconds

BEFORE_START = "before_start"
AFTER_END = "after_end"
CALENDAR = "calendar"
EXCEPTION = "exception"
CLOCK_CHANGE = "clock_change"
FINISHED = "finished"
SCHEDULE = "schedule"
DUE_BEFORE = "due_before"
DUE_AFTER = "due_after"

NEAR = timedelta(minutes=1)
"""What is so near to the moment that was asked about may be what was meant."""
_DROPPED_MAX = 200
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Absence:
    """One reason: ``code`` is stable, for programs; ``text`` is a sentence; ``at`` is the moment that it speaks of."""

    code: str
    text: str
    at: datetime | None = None


def said(moment: datetime, schedule: Schedule) -> str:
    """``02:30 on 8 March 2026 (America/New_York)``, in the schedule's zone."""
    local = moment.astimezone(schedule.zone.tz)
    return f"{clock(local)} on {spoken_date(local)} ({schedule.timezone})"


def find(schedule: Schedule, moment: datetime) -> list[Absence]:
    """Why nothing is due at this moment, the decisive reasons first; then the schedule in words and its neighbours."""
    after, before = schedule.next_after(moment), schedule.last_until(moment)
    found = [*_bounds(schedule, moment), *_dropped(schedule, moment), *_clock_change(schedule, moment)]
    if after is None:
        found.append(Absence(FINISHED, "After this moment its schedule is never due again."))
    found.append(Absence(SCHEDULE, f"Its schedule: {schedule.words()}."))
    if before is not None:
        found.append(Absence(DUE_BEFORE, f"The due time before was {said(before, schedule)}.", before))
    if after is not None:
        found.append(Absence(DUE_AFTER, f"The due time after is {said(after, schedule)}.", after))
    return found


def _bounds(schedule: Schedule, moment: datetime) -> Iterator[Absence]:
    start, end = schedule.limits.start, schedule.limits.end
    if start is not None and schedule.start_date is not None and seconds(moment) < start:
        yield Absence(BEFORE_START, f"Its schedule begins only at {said(schedule.start_date, schedule)}.")
    if end is not None and schedule.end_date is not None and seconds(moment) > end:
        yield Absence(AFTER_END, f"Its schedule ended at {said(schedule.end_date, schedule)}.")


def _dropped(schedule: Schedule, moment: datetime) -> Iterator[Absence]:
    """The nearest time that a calendar or an exception takes away, if one is near."""
    if not isinstance(schedule, CombinedTrigger):
        return
    dropped = schedule.dropped_between(moment - NEAR, moment + NEAR, _DROPPED_MAX)
    at = min(dropped, key=lambda each: abs(seconds(each) - seconds(moment)), default=None)
    if at is None:
        return
    names = [f"“{each.name}”" for each in schedule.calendars if each.excludes(at, schedule.timezone)]
    if names:
        noun = "the calendar" if len(names) == 1 else "the calendars"
        yield Absence(CALENDAR, f"{said(at, schedule)} is excluded by {noun} {join(names)}.", at)
    for other in _exceptions(schedule, at):
        yield Absence(EXCEPTION, f"{said(at, schedule)} is taken away by an exception: {other.words()}.", at)


def _exceptions(schedule: CombinedTrigger, at: datetime) -> Iterator[Schedule]:
    assert isinstance(schedule.grid, CombinedGrid)
    instant = seconds(at)
    for cover, other in schedule.grid.covers:
        if other.within_bounds(cover.bits(instant, 1), instant):
            yield other


def _clock_change(schedule: Schedule, moment: datetime) -> Iterator[Absence]:
    """A clock change because of which the local time of this moment does not count."""
    for change in clockchanges.upcoming(schedule, moment - _DAY, moment + _DAY):
        length = abs(change.new - change.old)
        skipped = change.effect in (Effect.SKIPPED, Effect.MOVED, Effect.ABSENT)
        second_pass = change.effect is Effect.FIRST_ONLY and moment >= change.at
        if (skipped or second_pass) and change.at - length <= moment < change.at + length:
            yield Absence(CLOCK_CHANGE, change.words(), change.at)
