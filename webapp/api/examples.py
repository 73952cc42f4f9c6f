"""One request for each route, as people try it: the OpenAPI document, the page that shows it and the tests use it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Example:
    """``body`` is JSON, or the text of a file; ``query`` stands behind the ``?``."""

    body: Any = None
    query: str = ""


PATH = {"job_id": "nightly", "run_id": 812, "name": "Public holidays", "format": "csv"}
"""What stands in for the variable parts of addresses."""

_JOB = {
    "id": "nightly",
    "func": "demo.echo",
    "kwargs": {"message": "good night"},
    "trigger": "cron",
    "crontab": "30 2 * * *",
    "timezone": "Europe/Berlin",
}
_DAY = "since=2026-05-31T12:00Z&until=2026-06-01T12:00Z"

EXAMPLES: dict[str, Example] = {
    "get_jobs": Example(query="state=active&sort=name&limit=100"),
    "add_job": Example(_JOB),
    "update_job": Example({"crontab": "45 2 * * *", "tags": ["night"]}),
    "pause_job": Example({"until": "2026-06-02T09:00"}),
    "run_job": Example({"kwargs": {"message": "once more"}}),
    "get_job_schedule": Example(query="count=5&simulate=2027-03-28"),
    "explain_job": Example(query="at=2026-06-01T02:30"),
    "get_due_times": Example(query="since=2026-05-31T00:00&open=1"),
    "catch_up_job": Example({"moments": ["2026-06-01T02:30"]}),
    "get_balance": Example(query=_DAY),
    "get_runs": Example(query="job_id=nightly&state=failed&state=timed_out&limit=20"),
    "export_runs": Example(query="task=demo.echo&since=2026-05-01T00:00Z"),
    "get_run_log": Example(query="from_line=-100"),
    "preview_schedule": Example(
        {"trigger": "cron", "crontab": "30 2 * * *", "timezone": "America/New_York", "count": 3}
    ),
    "add_calendar": Example({"name": "Public holidays", "yearly": ["12-25", "01-01"]}),
    "update_calendar": Example({"days": ["2026-06-04"], "labels": {"2026-06-04": "Corpus Christi"}}),
    "import_calendar": Example(
        {"ics": "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//me//EN\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20260101T000000Z\n"
                "DTSTART;VALUE=DATE:20261003\nSUMMARY:Unity Day\nEND:VEVENT\nEND:VCALENDAR\n", "add": True}
    ),
    "shutdown_scheduler": Example({"wait": False}),
}  # fmt: skip


def of(endpoint: str) -> Example:
    """The example of a route; one without parameters and body when there is nothing to say."""
    return EXAMPLES.get(endpoint, Example())


def address(path: str, endpoint: str) -> str:
    """A route's path, such as ``/jobs/{job_id}/run``, as the example asks for it, with its query."""
    for name, value in PATH.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    path, query = path if path != "/" else "", of(endpoint).query
    return f"{path}?{query}" if query else path


def curl(method: str, path: str, endpoint: str) -> str:
    """The example as a shell command, which takes the server's address and the token from the environment."""
    example = of(endpoint)
    parts = ['curl -s -H "Authorization: Bearer $TOKEN"']
    if method != ("GET" if example.body is None else "POST"):
        parts.append(f"-X {method}")
    parts.append(f'"$CARILLON{address(path, endpoint)}"')
    if example.body is not None:
        parts.append(f"-d {shlex.quote(json.dumps(example.body, ensure_ascii=False))}")
    return " ".join(parts)
