"""What may be scheduled, and when it would run: the registered tasks, and schedules in words and due times."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from flask import Response, request

from webapp.api.answers import respond, task_shape
from webapp.api.body import read_object
from webapp.api.queries import ScheduleQuery, read_query
from webapp.api.schemas import PreviewRequest, read
from webapp.api.shapes import client_error, flattened, trigger_shape, trigger_spec
from webapp.clock import now
from webapp.domain import dropped, hazards, preview
from webapp.domain.errors import Invalid
from webapp.domain.recurrence import Schedule
from webapp.services import jobs, runs, shared_calendars
from webapp.services.schedule_cache import schedule_of
from webapp.tasks import registry

LOOK_AHEAD = timedelta(days=366 * 100)
DAY_ROWS = 500


def get_tasks() -> Response:
    """The registered tasks and their parameters, by key. Also those that the settings switch off."""
    return respond({"tasks": [task_shape(task) for task in registry.all()]})


def preview_schedule() -> Response:
    """A schedule in words, its next due times, its hazards and, if asked, one of its days. Nothing is stored."""
    wanted = read(PreviewRequest, flattened(read_object(request)))
    spec = trigger_spec(wanted.given())
    try:
        zone = jobs.defaults().timezone
        schedule = shared_calendars.parse(spec, now=now(), job_id=wanted.job_id, default_timezone=zone)
    except Invalid as error:
        raise client_error(error) from None
    return respond(_told(schedule, wanted.job_id, wanted.count, _day(wanted.simulate)))


def get_job_schedule(job_id: str) -> Response:
    """A job's schedule in words, its next due times, hazards and, if asked, one of its days."""
    wanted = read_query(ScheduleQuery)
    job = jobs.get(job_id)
    return respond(_told(schedule_of(job), job.id, wanted.count, _day(wanted.simulate)))


def _told(schedule: Schedule, job_id: str, count: int, day: date | None) -> dict[str, Any]:
    moment = now()
    usual_s = runs.usual_duration_s(job_id) if job_id else None
    due = schedule.between(moment, moment + LOOK_AHEAD, count)
    told = {
        **trigger_shape(dict(schedule.spec())),
        "words": schedule.words(),
        "next_run_times": [time.isoformat() for time in due],
        "dropped": [
            {
                "first": each.first.isoformat(),
                "last": each.last.isoformat(),
                "count": each.count,
                "because": list(each.because),
            }
            for each in dropped.between(schedule, moment, due)
        ],
        "hazards": [
            {"code": hazard.code, "date": hazard.date and hazard.date.isoformat(), "message": hazard.message}
            for hazard in hazards.find(schedule, moment, usual_s)
        ],
    }
    return told if day is None else told | {"simulated": _day_shape(schedule, day)}


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        found = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a local day has no zone yet
    except ValueError:
        raise Invalid({"simulate": f"{text!r} is not a day such as 2026-03-29."}) from None
    if not 2000 <= found.year <= 2100:
        raise Invalid({"simulate": "The year must lie between 2000 and 2100."})
    return found


def _day_shape(schedule: Schedule, day: date) -> dict[str, Any]:
    """One local day: its length, how many due times it has, and the first of them with what clock changes do."""
    shown = preview.day(schedule, day, "UTC", DAY_ROWS)
    return {
        "date": day.isoformat(),
        "hours": shown.length_s / 3600,
        "count": shown.count,
        "rows": [
            {
                "utc": row.utc.isoformat(),
                "local": row.local.isoformat(),
                "text": row.text,
                "note": row.note,
                "skipped": row.skipped,
                "repeated": row.repeated,
                "dropped": row.dropped,
            }
            for row in shown.rows
        ],
    }
