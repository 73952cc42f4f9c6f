"""The server time of pages: each asked for through the whole app, without the network; medians in milliseconds."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape

from flask import Flask
from flask.testing import FlaskClient

TIMES = 7
HTMX = {"HX-Request": "true"}
RUNS = {
    "newest": "", "one state": "state=failed", "rare states": "state=lost&state=held", "usual state": "state=succeeded",
    "all states": "state=succeeded&state=failed&state=missed&state=skipped&state=lost", "task": "task=sql.execute",
    "trigger": "trigger=manual", "job": "job_id=job-000123", "job and state": "job_id=job-000123&state=failed",
    "task and state": "task=sql.execute&state=failed", "three filters": "task=demo.rows&state=held&trigger=chain",
    "nothing fits": "task=demo.rows&state=lost&trigger=retry&q=zzz", "a job's name": "q=Lviv 7",
    "usual word": "q=backup", "an error": "q=refused", "word nowhere": "q=qwertz", "a time": "since={mid}&until={mid2}",
    "time and state": "since={mid}&state=failed", "until": "until={mid}",
}  # fmt: skip
JOBS = {
    "by name": "", "by name, down": "sort=-name", "by next": "sort=next", "by next, down": "sort=-next",
    "by change": "sort=-updated", "by state": "sort=state", "by task": "sort=task", "state": "state=paused",
    "usual state": "state=active&sort=next", "rare state": "state=quarantined", "task": "task=sql.execute&sort=next",
    "tag": "tag=team-7", "rare tag": "tag=rare&sort=-updated", "word": "q=lviv&sort=next", "rare word": "q=lviv 7",
    "word nowhere": "q=qwertz", "word, tag and state": "q=mail&tag=team-8&state=paused",
}  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """A page, and how long it took: the median, and the first time, in milliseconds."""

    name: str
    median_ms: float
    first_ms: float


def measure(app: Flask) -> Iterator[Taken]:
    """Ask for every page of the table, and for deep ones; of the polls the answer 204 is what counts."""
    client = app.test_client()
    client.post("/login", data={"name": "admin", "password": "correct horse"})
    mid = datetime.now(UTC) - timedelta(days=15)
    moments = {"mid": f"{mid:%Y-%m-%dT%H:%M}Z", "mid2": f"{mid + timedelta(hours=3):%Y-%m-%dT%H:%M}Z"}
    pages = {f"runs: {name}": f"/runs?{query.format(**moments)}" for name, query in RUNS.items()}
    pages |= {f"jobs: {name}": f"/jobs?{query}" for name, query in JOBS.items()}
    pages |= {"job page": "/jobs/job-000123", "run page": "/runs/5000", "dashboard": "/", "system": "/system"}
    pages["runs: deep"] = _deep(client, "/runs?state=succeeded")
    pages["jobs: deep"] = _deep(client, "/jobs?sort=next")
    for name, path in pages.items():
        yield _take(client, name, path, 200)
    for name, path in (("dashboard", "/"), ("runs", "/runs"), ("jobs", "/jobs"), ("job page", pages["job page"])):
        yield _take(client, f"poll: {name}", poll_of(client, path), 204)


def _take(client: FlaskClient, name: str, path: str, status: int) -> Taken:
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        answer = client.get(path, headers=HTMX if status == 204 else {})
        took.append((time.perf_counter() - begun) * 1000)
        if answer.status_code != status:
            raise SystemExit(f"{path} answered {answer.status_code} and not {status}")
    return Taken(name, statistics.median(took[1:]), took[0])


def poll_of(client: FlaskClient, path: str) -> str:
    """The address that this page polls."""
    found = re.search(r'data-poll hx-get="([^"]+)"', client.get(path).text)
    assert found is not None, path
    return unescape(found[1])


def _deep(client: FlaskClient, path: str, pages: int = 15) -> str:
    """Some pages further on."""
    for _ in range(pages):
        found = re.search(r'rel="next" href="([^"]+)"', client.get(path).text)
        if found is None:
            break
        path = unescape(found[1])
    return path
