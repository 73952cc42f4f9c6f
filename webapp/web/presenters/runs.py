"""Runs as rows of a timetable, grouped by the viewer's day; a run as a line with stations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from webapp.domain.states import RunState, RunTrigger
from webapp.store.models import Run
from webapp.web.presenters import times
from webapp.web.presenters.downtime import Band

TRIGGER_WORDS = {
    RunTrigger.SCHEDULE: "schedule",
    RunTrigger.MANUAL: "by hand",
    RunTrigger.RETRY: "retry",
    RunTrigger.CHAIN: "chain",
    RunTrigger.API: "API",
    RunTrigger.CATCH_UP: "catch-up",
}


@dataclass(frozen=True)
class RunRow:
    """One run in a list. ``note`` is the one thing worth reading: the error, the reason, what it is doing."""

    run: Run
    at: datetime
    delay_s: float | None
    duration_s: float | None
    trigger: str
    note: str

    @property
    def state(self) -> RunState:
        return RunState(self.run.state)


@dataclass(frozen=True)
class Day:
    """The runs of one day in the viewer's zone."""

    day: date
    name: str
    title: str
    rows: list[RunRow | Band]


def row(run: Run) -> RunRow:
    return RunRow(
        run=run,
        at=run.due_at or run.queued_at,
        delay_s=times.between(run.due_at or run.queued_at, run.started_at),
        duration_s=times.between(run.started_at, run.finished_at),
        trigger=trigger_words(run),
        note=note(run),
    )


def trigger_words(run: Run) -> str:
    """What asked for it, and who: "by hand, ada"."""
    words = TRIGGER_WORDS.get(RunTrigger(run.trigger), run.trigger)
    if run.attempt > 1:
        words = f"{words}, attempt {run.attempt}"
    return f"{words}, {run.requested_by}" if run.requested_by and run.trigger != RunTrigger.SCHEDULE else words


def note(run: Run) -> str:
    """The error, the reason or the progress of a run, in one line."""
    state = RunState(run.state)
    text = run.error or run.reason or ""
    if state is RunState.RUNNING:
        text = "Asked to stop" if run.stop_requested_at else (run.progress_text or "")
    first = text.strip().splitlines()[0] if text.strip() else ""
    if run.due_count > 1:
        folded = f"Stands for {run.due_count} due times."
        return f"{first.rstrip('.')}. {folded}" if first else folded
    return first


def by_day(runs: Iterable[Run], zone: ZoneInfo, now: datetime, bands: Sequence[Band] = ()) -> list[Day]:
    """Group runs, newest first as they come, by the day on which they were due.

    ``bands``, newest first, stand between the runs that were due before and after the scheduler went down.
    """
    today = now.astimezone(zone).date()
    waiting = list(bands)
    days: list[Day] = []
    for run in runs:
        shown = row(run)
        day = shown.at.astimezone(zone).date()
        passed = [band for band in waiting if band.since >= shown.at]
        waiting = waiting[len(passed) :]
        if days:
            days[-1].rows.extend(passed)
            passed = []
        if not days or days[-1].day != day:
            days.append(Day(day, times.day_name(day, today), times.long_day(day), [*passed]))
        days[-1].rows.append(shown)
    return days


@dataclass(frozen=True)
class Stop:
    """A station on a run's line: what, when, and how long the way to the next one takes."""

    what: str
    at: datetime | None
    is_past: bool
    is_end: bool = False
    delay: str = ""
    since: datetime | None = None


def route(run: Run) -> list[Stop]:
    """Due, queued, started, ended. ``since`` marks a stretch that is still being travelled."""
    state = RunState(run.state)
    stops: list[tuple[str, datetime | None]] = [("Due", run.due_at)] if run.due_at else []
    stops.append(("Requested" if not run.due_at else "Queued", run.queued_at))
    if run.started_at or not state.is_final:
        stops.append(("Started", run.started_at))
    stops.append((state.label.capitalize() if state.is_final else "Ends", run.finished_at))
    result = []
    for place, (what, at) in enumerate(stops):
        following = stops[place + 1][1] if place + 1 < len(stops) else None
        took = times.between(at, following)
        result.append(
            Stop(
                what,
                at,
                is_past=following is not None,
                is_end=place == len(stops) - 1,
                delay="" if took is None else (times.duration(took) if took > 0 else "at once"),
                since=at if at is not None and following is None and not state.is_final else None,
            )
        )
    return result


def busy(runs: Sequence[Run]) -> bool:
    """Whether any of them is still going on, so that a live list should look more often."""
    return any(not RunState(run.state).is_final for run in runs)
