"""A client of the API in Python, for scripts and for the command line. It needs no app and no settings.

    with Client("http://127.0.0.1:8000", token) as carillon:
        run = carillon.run_job("nightly")
        print(carillon.wait(run.run_id).state)

Answers are the pydantic models of ``replies``. Whatever goes wrong is an ApiError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from webapp.api import replies
from webapp.domain.states import RunState

PREFIX = "/scheduler"
Reply = TypeVar("Reply")
Time = datetime | str


class ApiError(Exception):
    """What the server refused, or that it cannot be reached (``status`` 0). ``errors`` holds messages by key."""

    def __init__(self, status: int, message: str, errors: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, dict(errors or {})


class Client:
    """``server``: the server's address, with the API's prefix unless that is ``/scheduler``. ``token``: ``car_...``."""

    def __init__(
        self, server: str, token: str = "", *, timeout_s: float = 30, transport: httpx.BaseTransport | None = None
    ) -> None:
        if urlsplit(server).path.strip("/") == "":
            server = server.rstrip("/") + PREFIX
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(
                base_url=server.rstrip("/"), headers=headers, timeout=timeout_s, transport=transport
            )
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise ApiError(0, f"{server} is no address of a server: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # The scheduler

    def info(self) -> replies.SchedulerInfo:
        return self._ask("GET", "", replies.SchedulerInfo)

    def pause(self) -> None:
        self._send("POST", "/pause")

    def resume(self) -> None:
        self._send("POST", "/resume")

    def shutdown(self) -> None:
        self._send("POST", "/shutdown")

    def start(self) -> None:
        self._send("POST", "/start")

    # Jobs

    def jobs(
        self, *, q: str = "", state: Iterable[str] = (), task: str = "", tag: str = "", sort: str = "next"
    ) -> list[replies.JobReply]:
        """Every job that fits."""
        query = {"q": q, "state": list(state), "task": task, "tag": tag, "sort": sort}
        return self._ask("GET", "/jobs", list[replies.JobReply], query=query)

    def job(self, job_id: str) -> replies.JobReply:
        return self._ask("GET", _job(job_id), replies.JobReply)

    def add_job(self, job: Mapping[str, Any]) -> replies.JobReply:
        """``job`` as docs/api.md describes it."""
        return self._ask("POST", "/jobs", replies.JobReply, job)

    def update_job(self, job_id: str, changes: Mapping[str, Any], *, revision: int | None = None) -> replies.JobReply:
        """Change these keys, all or none; with ``revision`` only if nobody has changed the job since (412)."""
        return self._ask("PATCH", _job(job_id), replies.JobReply, changes, revision=revision)

    def delete_job(self, job_id: str, *, revision: int | None = None) -> None:
        self._send("DELETE", _job(job_id), revision=revision)

    def pause_job(self, job_id: str, until: Time | None = None) -> replies.JobReply:
        body = {} if until is None else {"until": _text(until)}
        return self._ask("POST", _job(job_id, "/pause"), replies.JobReply, body)

    def resume_job(self, job_id: str) -> replies.JobReply:
        return self._ask("POST", _job(job_id, "/resume"), replies.JobReply)

    def run_job(self, job_id: str, kwargs: Mapping[str, Any] | None = None) -> replies.QueuedJob:
        """Queue a run now; ``kwargs`` replaces named arguments for this run."""
        body = {"kwargs": dict(kwargs)} if kwargs else {}
        return self._ask("POST", _job(job_id, "/run"), replies.QueuedJob, body)

    def schedule(self, job_id: str, *, count: int = 10, simulate: str = "") -> replies.ScheduleReply:
        query = {"count": count, "simulate": simulate}
        return self._ask("GET", _job(job_id, "/schedule"), replies.ScheduleReply, query=query)

    def preview(self, schedule: Mapping[str, Any]) -> replies.ScheduleReply:
        return self._ask("POST", "/preview", replies.ScheduleReply, schedule)

    def explain(self, job_id: str, at: Time) -> replies.ExplanationReply:
        return self._ask("GET", _job(job_id, "/explain"), replies.ExplanationReply, query={"at": _text(at)})

    def due_times(
        self, job_id: str, since: Time = "", until: Time = "", *, limit: int = 100, open_only: bool = False
    ) -> list[replies.PastDueTime]:
        """Past due times; ``open_only``: those that neither succeeded nor are going on."""
        query = {"since": _text(since), "until": _text(until), "limit": limit, "open": int(open_only)}
        return self._ask("GET", _job(job_id, "/catch-up"), replies.PastDueTimes, query=query).due_times

    def catch_up(self, job_id: str, moments: Iterable[Time], *, again: bool = False) -> list[replies.RunRow]:
        body = {"moments": [_text(moment) for moment in moments], "again": again}
        return self._ask("POST", _job(job_id, "/catch-up"), replies.CaughtUp, body).runs

    # The ledger

    def balance(self, since: Time = "", until: Time = "", job_id: str = "") -> replies.BalanceReply:
        query = {"since": _text(since), "until": _text(until), "job_id": job_id}
        return self._ask("GET", "/balance", replies.BalanceReply, query=query)

    def runs(self, *, limit: int = 50, cursor: str = "", **filters: Any) -> replies.RunPage:
        """A page, newest first. Filters: job_id, task, state, trigger, since, until, q."""
        return self._ask("GET", "/runs", replies.RunPage, query={**_texts(filters), "limit": limit, "cursor": cursor})

    def every_run(self, **filters: Any) -> Iterator[replies.RunRow]:
        """All runs that fit, newest first, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.runs(limit=500, cursor=cursor, **filters)
            yield from page.runs
            cursor = page.next

    def export(self, form: str = "csv", **filters: Any) -> Iterator[bytes]:
        """The history as a file, in pieces."""
        try:
            with self._http.stream("GET", f"/runs/export.{form}", params=_given(_texts(filters))) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def run(self, run_id: int) -> replies.RunReply:
        return self._ask("GET", f"/runs/{run_id}", replies.RunReply)

    def log(self, run_id: int, *, from_line: int = 0, limit: int = 1000) -> replies.LogReply:
        query = {"from_line": from_line, "limit": limit}
        return self._ask("GET", f"/runs/{run_id}/log", replies.LogReply, query=query)

    def follow(
        self, run_id: int, *, pause_s: float = 1, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[replies.LogLine]:
        """Log lines as they come, until the run has ended."""
        line = 0
        while True:
            part = self.log(run_id, from_line=line)
            yield from part.lines
            line = part.next_line
            if part.complete:
                return
            if line >= part.total:
                sleep(pause_s)

    def wait(
        self, run_id: int, *, pause_s: float = 0.5, sleep: Callable[[float], None] = time.sleep
    ) -> replies.RunReply:
        """The run, once it has ended; a retry that follows it is another run."""
        while not RunState((run := self.run(run_id)).state).is_final:
            sleep(pause_s)
        return run

    def stop(self, run_id: int) -> replies.RunReply:
        return self._ask("POST", f"/runs/{run_id}/stop", replies.RunReply)

    def rerun(self, run_id: int) -> replies.RerunReply:
        return self._ask("POST", f"/runs/{run_id}/rerun", replies.RerunReply)

    # Tasks and calendars

    def tasks(self) -> list[replies.TaskReply]:
        return self._ask("GET", "/tasks", replies.TaskList).tasks

    def calendars(self) -> list[replies.CalendarRow]:
        return self._ask("GET", "/calendars", list[replies.CalendarRow])

    def calendar(self, name: str) -> replies.CalendarReply:
        return self._ask("GET", f"/calendars/{quote(name, safe='')}", replies.CalendarReply)

    def add_calendar(self, calendar: Mapping[str, Any]) -> replies.CalendarReply:
        return self._ask("POST", "/calendars", replies.CalendarReply, calendar)

    def update_calendar(
        self, name: str, changes: Mapping[str, Any], *, revision: int | None = None
    ) -> replies.CalendarSaved:
        path = f"/calendars/{quote(name, safe='')}"
        return self._ask("PATCH", path, replies.CalendarSaved, changes, revision=revision)

    def delete_calendar(self, name: str, *, revision: int | None = None) -> None:
        self._send("DELETE", f"/calendars/{quote(name, safe='')}", revision=revision)

    # How it asks

    def _ask(
        self,
        method: str,
        path: str,
        reply: type[Reply],
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        revision: int | None = None,
    ) -> Reply:
        answer = self._send(method, path, body, query=query, revision=revision)
        try:
            return TypeAdapter(reply).validate_json(answer.content)
        except ValidationError:
            raise ApiError(answer.status_code, "The server's answer is not one of Carillon's.") from None

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        revision: int | None = None,
    ) -> httpx.Response:
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        try:
            answer = self._http.request(method, path, json=body, params=_given(query or {}), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None
        if not answer.is_success:
            raise _refused(answer)
        return answer

    def _unreachable(self, error: Exception) -> ApiError:
        return ApiError(0, f"{self._http.base_url.host} does not answer: {error or type(error).__name__}.")


def _refused(answer: httpx.Response) -> ApiError:
    try:
        problem = replies.Problem.model_validate_json(answer.content)
    except ValidationError:  # a proxy's page, or another server
        return ApiError(answer.status_code, f"The server answered {answer.status_code} {answer.reason_phrase}.")
    return ApiError(answer.status_code, problem.error_message, problem.errors)


def _job(job_id: str, rest: str = "") -> str:
    return f"/jobs/{quote(job_id, safe='')}{rest}"


def _text(moment: Time) -> str:
    return moment.isoformat() if isinstance(moment, datetime) else moment


def _texts(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, datetime) else value for name, value in filters.items()}


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in query.items() if value not in ("", [], None)}


def as_json(reply: BaseModel) -> dict[str, Any]:
    """A reply as the JSON that it was, so that a job that was got can be sent back or added under another id."""
    return reply.model_dump(mode="json", by_alias=True, exclude_unset=True)
