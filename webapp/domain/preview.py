"""The next due times of a schedule, or those of one day, as a page shows them: in three zones, with what a clock
change does to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from webapp.domain import clockchanges, dropped, moments, phrases
from webapp.domain.clockchanges import ClockChange, Effect
from webapp.domain.dropped import Dropped
from webapp.domain.moments import Repeat
from webapp.domain.recurrence import Schedule
from webapp.domain.wall import WallGrid
from webapp.domain.zones import END, EPOCH, zone

MOST_ROWS = 500


@dataclass(frozen=True)
class PreviewRow:
    """One due time in UTC, in the schedule's zone and in the viewer's; or times that a clock change skips, or that
    exceptions and calendars take away (``dropped``).

    ``text`` is the local time as people read it. In such a row it may name several (``02:00 to 02:55 (12 times)``),
    and the three moments are that of the clock change, or the first. ``repeated``: the clock shows this time twice.
    """

    utc: datetime
    local: datetime
    viewer: datetime
    text: str
    note: str = ""
    skipped: bool = False
    repeated: bool = False
    dropped: bool = False


@dataclass(frozen=True)
class DayPreview:
    """One local day: its first rows, how many due times it has in all, and its length (24 h but for clock changes).

    A day that the zone left out altogether has length 0.
    """

    day: date
    rows: list[PreviewRow]
    count: int
    length_s: int


def rows(schedule: Schedule, after: datetime, count: int, viewer_zone: str) -> list[PreviewRow]:
    """The next ``count`` due times after this moment, oldest first, and between them what clock changes skip and what
    exceptions and calendars take away.
    """
    due = schedule.between(after, END, min(count, MOST_ROWS))
    if not due:
        return []
    shown = _with_skipped(schedule, due, after, due[-1], viewer_zone)
    return sorted([*shown, *_dropped_rows(schedule, after, due, viewer_zone)], key=_order)


def day(schedule: Schedule, day: date, viewer_zone: str, limit: int = 100) -> DayPreview:
    """What this schedule does on a day of its own zone, past or future."""
    place = schedule.zone
    wall = (datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH).days * 86_400
    begin, end = place.first_at_wall(wall), place.first_at_wall(wall + 86_400)
    after, until = (datetime.fromtimestamp(at - 1, UTC) for at in (begin, end))
    span = schedule.span(after, until)
    due = schedule.between(after, until, max(min(limit, MOST_ROWS), 1))
    seen = due[-1] if len(due) < span.count else max(until, after + timedelta(seconds=1))
    shown = _with_skipped(schedule, due, after, seen, viewer_zone)
    edges = [*due, seen + timedelta(seconds=1)] if len(due) == span.count else due
    shown += _dropped_rows(schedule, after, edges, viewer_zone)
    return DayPreview(day, sorted(shown, key=_order), span.count, end - begin)


def _with_skipped(
    schedule: Schedule, due: list[datetime], after: datetime, until: datetime, viewer_zone: str
) -> list[PreviewRow]:
    changes = list(islice(clockchanges.upcoming(schedule, after, until), MOST_ROWS))
    moved = {change.at: change for change in changes if change.effect is Effect.MOVED}
    shown = [_row(schedule, moment, moved, viewer_zone) for moment in due]
    shown += [_skipped_row(schedule, change, viewer_zone) for change in changes if change.effect is Effect.SKIPPED]
    return sorted(shown, key=_order)


def _order(row: PreviewRow) -> tuple[datetime, bool]:
    return row.utc, not row.skipped


def _row(schedule: Schedule, moment: datetime, moved: dict[datetime, ClockChange], viewer_zone: str) -> PreviewRow:
    utc = moment.astimezone(UTC)
    repeat = isinstance(moments.clash(moment.replace(tzinfo=None, fold=0), schedule.zone), Repeat)
    note = ""
    if utc in moved:
        note = f"stands for {moved[utc].times()}, which the clock skips"
    elif repeat:
        note = _repeat_note(schedule, moment)
    planned = schedule.grid_time(moment) if schedule.jitter or schedule.spread else None
    if planned is not None:
        most = phrases.duration(schedule.jitter or schedule.spread)
        note = "; ".join(text for text in (f"planned for {moments.clock(planned)}, up to {most} later", note) if text)
    viewer = moment.astimezone(zone(viewer_zone).tz)
    return PreviewRow(utc, moment, viewer, _text(moment), note, repeated=repeat)


def _repeat_note(schedule: Schedule, moment: datetime) -> str:
    grid = schedule.grid
    if isinstance(grid, WallGrid) and not grid.follows_clock:
        return "comes twice, runs the first time only"
    return f"comes twice, this is the {'second' if moment.fold else 'first'} time"


def _skipped_row(schedule: Schedule, change: ClockChange, viewer_zone: str) -> PreviewRow:
    local = change.at.astimezone(schedule.zone.tz)
    viewer = change.at.astimezone(zone(viewer_zone).tz)
    text = f"{change.old:%Y-%m-%d} {change.times()}"
    return PreviewRow(change.at, local, viewer, text, f"skipped: {change.jump()}", skipped=True)


def _dropped_rows(schedule: Schedule, after: datetime, edges: Sequence[datetime], viewer_zone: str) -> list[PreviewRow]:
    """What is left out after this moment and between these, the due times that follow it."""
    return [_dropped_row(each, viewer_zone) for each in dropped.between(schedule, after, edges)]


def _dropped_row(each: Dropped, viewer_zone: str) -> PreviewRow:
    viewer = each.first.astimezone(zone(viewer_zone).tz)
    return PreviewRow(each.first.astimezone(UTC), each.first, viewer, each.text(), each.words(), dropped=True)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d} {moment.strftime('%H:%M:%S' if moment.second else '%H:%M')}"
