"""A schedule that is to begin at a moment of its own, as APScheduler's ``next_run_time`` asks for."""

from __future__ import annotations

from datetime import datetime, timedelta

from webapp.domain.errors import Invalid
from webapp.domain.recurrence import Schedule
from webapp.domain.zones import EPOCH, seconds, seconds_up


def beginning_at(schedule: Schedule, first: datetime, after: datetime) -> dict[str, object]:
    """The spec of a schedule that is due first at ``first`` (rounded up to a second) and then goes on as ``schedule``.

    It is the schedule's own spec where that is what it does after the moment ``after`` anyway, give or take its delays.
    Due times are accounted for by the schedule alone, so a wish about one of them becomes a part of it. Raises Invalid
    at ``next_run_time`` for a combined schedule, which cannot be moved.
    """
    instant = seconds_up(first)
    at = schedule.zone.local(instant)
    just_before = EPOCH + timedelta(seconds=instant - 1)
    due = schedule.next_after(min(after, just_before))
    if due is not None and abs(seconds(due) - instant) <= schedule.jitter + schedule.spread:
        return schedule.spec()
    spec = schedule.spec()
    if schedule.kind == "date":
        return {**spec, "run_date": at.isoformat()}
    if schedule.kind == "interval":
        return {**spec, "start_date": at.isoformat()}
    if schedule.kind != "cron":
        raise Invalid({"next_run_time": "This schedule has no such due time, and a combined one cannot be moved."})
    due = schedule.next_after(just_before)
    on_grid = due is not None and seconds(due) == instant
    later = {**spec, "start_date": at.isoformat()}
    return later if on_grid else _once_then(at, later)


def _once_then(at: datetime, cron: dict[str, object]) -> dict[str, object]:
    """At this moment, and then by the cron schedule; its delays are those of the whole."""
    delays: dict[str, object] = {name: cron.pop(name) for name in ("jitter", "spread") if name in cron}
    once = {"kind": "date", "run_date": at.isoformat(), "timezone": cron["timezone"]}
    return {"kind": "combined", "any": [once, cron], **delays, "timezone": cron["timezone"]}
