"""The API's table of addresses: each route with the least role that may use it, what it takes and what it answers.
What is not here does not exist. The OpenAPI document is made from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response
from pydantic import BaseModel

from webapp.api import calendars, catalogue, described, jobs, past, queries, replies, runs, scheduler, schemas
from webapp.api.queries import Nothing, Query
from webapp.domain.states import Role

RUN = "/runs/<int(max=9223372036854775807):run_id>"
V, O, E, A = Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN  # noqa: E741  (initials, in one table)


@dataclass(frozen=True)
class Route:
    """One method of one address below the prefix; the view's name is the endpoint, as in Flask-APScheduler."""

    method: str
    path: str
    view: Callable[..., Response]
    role: Role
    reply: type[BaseModel] | None = None
    """What it answers with 200; None: ``media``."""
    body: type[BaseModel] | None = None
    query: type[Query] = Nothing
    many: bool = False
    """Whether the answer is an array of ``reply``."""
    refuses: tuple[int, ...] = ()
    """Statuses besides those that follow from the address, the body and the parameters."""
    media: tuple[str, ...] = ()
    """The types of an answer that is no ``reply``; none of them: 204, nothing."""
    body_is_optional: bool = False
    guarded: bool = False
    """Whether answers carry the revision as ETag, and If-Match is heeded."""

    @property
    def endpoint(self) -> str:
        return self.view.__name__


ROUTES = (
    # Flask-APScheduler's own
    Route("GET", "", scheduler.get_scheduler_info, V, replies.SchedulerInfo),
    Route("POST", "/pause", scheduler.pause_scheduler, O, refuses=(400,)),
    Route("POST", "/resume", scheduler.resume_scheduler, O, refuses=(400,)),
    Route("POST", "/start", scheduler.start_scheduler, A, refuses=(400,)),
    Route("POST", "/shutdown", scheduler.shutdown_scheduler, A, body=schemas.ShutdownRequest, body_is_optional=True),
    Route("GET", "/jobs", jobs.get_jobs, V, replies.JobReply, many=True, query=queries.JobQuery),
    Route("POST", "/jobs", jobs.add_job, E, replies.JobReply, schemas.NewJob, refuses=(409,), guarded=True),
    Route("GET", "/jobs/<job_id>", jobs.get_job, V, replies.JobReply, guarded=True),
    Route(
        "PATCH", "/jobs/<job_id>", jobs.update_job, E, replies.JobReply, schemas.JobChanges, refuses=(409,),
        guarded=True,
    ),
    Route("DELETE", "/jobs/<job_id>", jobs.delete_job, E, refuses=(409,), guarded=True),
    Route(
        "POST", "/jobs/<job_id>/pause", jobs.pause_job, O, replies.JobReply, schemas.PauseRequest, refuses=(409,),
        body_is_optional=True, guarded=True,
    ),
    Route("POST", "/jobs/<job_id>/resume", jobs.resume_job, O, replies.JobReply, refuses=(409,), guarded=True),
    Route(
        "POST", "/jobs/<job_id>/run", jobs.run_job, O, replies.QueuedJob, schemas.RunRequest, refuses=(409,),
        body_is_optional=True, guarded=True,
    ),
    # Added: jobs
    Route(
        "GET", "/jobs/<job_id>/schedule", catalogue.get_job_schedule, V, replies.ScheduleReply,
        query=queries.ScheduleQuery,
    ),
    Route("GET", "/jobs/<job_id>/explain", past.explain_job, V, replies.ExplanationReply, query=queries.ExplainQuery),
    Route("GET", "/jobs/<job_id>/catch-up", past.get_due_times, V, replies.PastDueTimes, query=queries.PastQuery),
    Route(
        "POST", "/jobs/<job_id>/catch-up", past.catch_up_job, O, replies.CaughtUp, schemas.CatchUpRequest,
        refuses=(409,),
    ),
    # Added: the ledger
    Route("GET", "/balance", past.get_balance, V, replies.BalanceReply, query=queries.BalanceQuery),
    Route("GET", "/runs", runs.get_runs, V, replies.RunPage, query=queries.RunQuery),
    Route(
        "GET", "/runs/export.<any(csv, json):format>", runs.export_runs, V, query=queries.RunFilters,
        media=("text/csv", "application/json"),
    ),
    Route("GET", RUN, runs.get_run, V, replies.RunReply),
    Route("GET", f"{RUN}/log", runs.get_run_log, V, replies.LogReply, query=queries.LogQuery),
    Route("POST", f"{RUN}/stop", runs.stop_run, O, replies.RunReply, refuses=(409,)),
    Route("POST", f"{RUN}/rerun", runs.rerun_run, O, replies.RerunReply, refuses=(409,)),
    # Added: what may be scheduled, and when
    Route("GET", "/tasks", catalogue.get_tasks, V, replies.TaskList),
    Route("POST", "/preview", catalogue.preview_schedule, V, replies.ScheduleReply, schemas.PreviewRequest),
    # Added: shared calendars
    Route("GET", "/calendars", calendars.get_calendars, V, replies.CalendarRow, many=True),
    Route(
        "POST", "/calendars", calendars.add_calendar, E, replies.CalendarReply, schemas.NewCalendar, refuses=(409,),
        guarded=True,
    ),
    Route("GET", "/calendars/<name>", calendars.get_calendar, V, replies.CalendarReply, guarded=True),
    Route(
        "PATCH", "/calendars/<name>", calendars.update_calendar, E, replies.CalendarSaved, schemas.CalendarChanges,
        refuses=(409,), guarded=True,
    ),
    Route("DELETE", "/calendars/<name>", calendars.delete_calendar, E, refuses=(409,), guarded=True),
    Route(
        "POST", "/calendars/<name>/import", calendars.import_calendar, E, replies.CalendarSaved, schemas.ImportRequest,
        query=queries.ImportQuery, refuses=(409,), guarded=True,
    ),
    Route("GET", "/calendars/<name>/ics", calendars.get_calendar_file, V, media=("text/calendar",)),
    # Added: this table
    Route("GET", "/openapi.json", described.get_openapi, V, media=("application/json",)),
)  # fmt: skip

ROLES = {route.endpoint: route.role for route in ROUTES}
