"""The API's table of addresses: each route with the least role that may use it. What is not here does not exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response

from webapp.api import calendars, catalogue, jobs, runs, scheduler
from webapp.domain.states import Role

RUN = "/runs/<int(max=9223372036854775807):run_id>"


@dataclass(frozen=True)
class Route:
    """One method of one address below the prefix; the view's name is the endpoint, as in Flask-APScheduler."""

    method: str
    path: str
    view: Callable[..., Response]
    role: Role

    @property
    def endpoint(self) -> str:
        return self.view.__name__


ROUTES = (
    # Flask-APScheduler's own
    Route("GET", "", scheduler.get_scheduler_info, Role.VIEWER),
    Route("POST", "/pause", scheduler.pause_scheduler, Role.OPERATOR),
    Route("POST", "/resume", scheduler.resume_scheduler, Role.OPERATOR),
    Route("POST", "/start", scheduler.start_scheduler, Role.ADMIN),
    Route("POST", "/shutdown", scheduler.shutdown_scheduler, Role.ADMIN),
    Route("GET", "/jobs", jobs.get_jobs, Role.VIEWER),
    Route("POST", "/jobs", jobs.add_job, Role.EDITOR),
    Route("GET", "/jobs/<job_id>", jobs.get_job, Role.VIEWER),
    Route("PATCH", "/jobs/<job_id>", jobs.update_job, Role.EDITOR),
    Route("DELETE", "/jobs/<job_id>", jobs.delete_job, Role.EDITOR),
    Route("POST", "/jobs/<job_id>/pause", jobs.pause_job, Role.OPERATOR),
    Route("POST", "/jobs/<job_id>/resume", jobs.resume_job, Role.OPERATOR),
    Route("POST", "/jobs/<job_id>/run", jobs.run_job, Role.OPERATOR),
    # Added
    Route("GET", "/runs", runs.get_runs, Role.VIEWER),
    Route("GET", RUN, runs.get_run, Role.VIEWER),
    Route("GET", f"{RUN}/log", runs.get_run_log, Role.VIEWER),
    Route("POST", f"{RUN}/stop", runs.stop_run, Role.OPERATOR),
    Route("POST", f"{RUN}/rerun", runs.rerun_run, Role.OPERATOR),
    Route("GET", "/tasks", catalogue.get_tasks, Role.VIEWER),
    Route("POST", "/preview", catalogue.preview_schedule, Role.VIEWER),
    Route("GET", "/jobs/<job_id>/schedule", catalogue.get_job_schedule, Role.VIEWER),
    Route("GET", "/calendars", calendars.get_calendars, Role.VIEWER),
    Route("POST", "/calendars", calendars.add_calendar, Role.EDITOR),
    Route("GET", "/calendars/<name>", calendars.get_calendar, Role.VIEWER),
    Route("PATCH", "/calendars/<name>", calendars.update_calendar, Role.EDITOR),
    Route("DELETE", "/calendars/<name>", calendars.delete_calendar, Role.EDITOR),
    Route("POST", "/calendars/<name>/import", calendars.import_calendar, Role.EDITOR),
    Route("GET", "/calendars/<name>/ics", calendars.get_calendar_file, Role.VIEWER),
)

ROLES = {route.endpoint: route.role for route in ROUTES}
