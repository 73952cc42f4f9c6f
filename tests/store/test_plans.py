"""No list, poll or pass reads the whole ledger: every statement is asked for its plan, on SQLite and on PostgreSQL.

The ledger here is small. So that the plans are those of a large one, PostgreSQL has no statistics of it (SQLite never
has), and is told that reading a table from end to end is dear.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from bench.scaling import rows
from tests.conftest import PASSWORD
from webapp import clock
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import due, ledger, runs
from webapp.store import job_pages, lease, run_pages
from webapp.store import runs as store
from webapp.store.database import writing
from webapp.store.filters import SORTS, JobFilter, RunFilter
from webapp.store.models import Run

pytestmark = pytest.mark.only_on("sqlite", "postgresql")
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SIZE = rows.Size(jobs=300, runs=2_000)
RUN_FILTERS: dict[str, tuple[dict[str, Any], ...]] = {
    "state": ({}, {"state": ("failed",)}, {"state": ("succeeded", "lost")}),
    "job_id": ({}, {"job_id": "job-000007"}),
    "task": ({}, {"task": "sql.execute"}),
    "trigger": ({}, {"trigger": ("manual",)}),
    "time": ({}, {"since": NOW - timedelta(days=9), "until": NOW - timedelta(days=3)}),
    "q": ({}, {"q": "lviv 1"}, {"q": "a"}),
}
JOB_FILTERS: dict[str, tuple[dict[str, Any], ...]] = {
    "q": ({}, {"q": "lviv"}),
    "state": ({}, {"state": ("active", "paused")}),
    "task": ({}, {"task": "demo.echo"}),
    "tag": ({}, {"tag": "team-3"}),
}


def combinations(table: dict[str, tuple[dict[str, Any], ...]]) -> Iterator[dict[str, Any]]:
    for parts in itertools.product(*table.values()):
        yield {name: value for part in parts for name, value in part.items()}


class Plans:
    """Every statement that is executed while it watches, with its plan."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.seen: dict[str, str] = {}

    def __enter__(self) -> Plans:
        event.listen(db.engine, "before_cursor_execute", self._look)
        return self

    def __exit__(self, *error: object) -> None:
        event.remove(db.engine, "before_cursor_execute", self._look)

    def _look(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if (
            not re.match(r"\s*(SELECT|UPDATE|WITH)", statement)
            or " run" not in statement
            or _shape(statement) in self.seen
        ):
            return
        how = "EXPLAIN QUERY PLAN " if self.dialect == "sqlite" else "EXPLAIN (COSTS OFF) "
        first = parameters[0] if many else parameters
        with cursor.connection.cursor() if self.dialect == "postgresql" else closing(cursor.connection) as other:
            other.execute(how + statement, first)
            self.seen[_shape(statement)] = "\n".join(str(row[-1]) for row in other.fetchall())

    def scans(self) -> list[str]:
        """The statements that read the ledger from end to end, with their plans."""
        reads_all = _sqlite_reads_all if self.dialect == "sqlite" else _postgresql_reads_all
        return [f"{statement}\n{plan}" for statement, plan in self.seen.items() if reads_all(statement, plan)]


def _shape(statement: str) -> str:
    """The statement without the length of its lists."""
    return re.sub(r" IN \([^()]*\)", " IN (...)", statement)


def _sqlite_reads_all(statement: str, plan: str) -> bool:
    for line in plan.splitlines():
        if re.match(r"SCAN run( |$)", line) and not (line.endswith("INDEX ix_run_queued") and _is_newest(statement)):
            return True
    return False


def _postgresql_reads_all(statement: str, plan: str) -> bool:
    lines = [line.strip() for line in plan.splitlines()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not re.search(r"Scan.* on run( |$)|Bitmap Index Scan on (ix|pk|uq)_run_", line):
            continue
        has_bounds = following.startswith(("Index Cond", "Recheck Cond", "Tid Cond"))
        if not has_bounds and not ("ix_run_queued" in line and _is_newest(statement)):
            return True
    return False


def _is_newest(statement: str) -> bool:
    """Whether it walks the history from its newest end and wants all that it meets, up to a limit."""
    return "LIMIT" in statement and "WHERE" not in statement


class closing:
    """A cursor of SQLite's connection, closed at the end."""

    def __init__(self, connection: Any) -> None:
        self.cursor = connection.cursor()

    def __enter__(self) -> Any:
        return self.cursor

    def __exit__(self, *error: object) -> None:
        self.cursor.close()


@pytest.fixture
def filled(app: Flask, admin: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app with jobs and runs, windows so small that pages meet their edges, and plans as of a large ledger."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(run_pages, "WINDOW", 200)
    monkeypatch.setattr(run_pages, "JOBS_MAX", 5)
    db.session.remove()
    rows.fill(db.engine, SIZE, NOW, analyzed=False)
    if db.engine.dialect.name == "postgresql":
        db.engine.dispose()
        event.listen(db.engine, "connect", _no_seqscan)
    return app


def _no_seqscan(connection: Any, record: Any) -> None:
    connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    connection.commit()


@pytest.fixture
def plans(filled: Flask) -> Plans:
    return Plans(db.engine.dialect.name)


def test_the_run_history_by_any_filter_in_both_directions(plans: Plans) -> None:
    with plans:
        for wanted in combinations(RUN_FILTERS):
            filter = RunFilter(**wanted)
            first = runs.page(filter, limit=3)
            if first.older and len(wanted) < 3:
                second = runs.page(filter, limit=3, cursor=first.older)
                if second.newer:
                    runs.page(filter, limit=3, cursor=second.newer)
    assert plans.seen
    assert not plans.scans()


@pytest.mark.parametrize("few", [0, job_pages.FEW])
def test_the_job_list_in_any_order_by_any_filter(plans: Plans, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(job_pages, "FEW", few)
    session = db.session()
    with plans:
        for sort, wanted in itertools.product((*SORTS, *(f"-{sort}" for sort in SORTS)), combinations(JOB_FILTERS)):
            job_pages.page(session, JobFilter(sort=sort, **wanted), limit=3)
    assert not plans.scans()


def test_pages_and_their_polls(plans: Plans, filled: Flask) -> None:
    client = filled.test_client()
    assert client.post("/login", data={"name": "admin", "password": PASSWORD}).status_code == 303
    with plans:
        for path in ("/", "/runs", "/jobs", "/jobs/job-000007", "/runs/1500", "/system"):
            page = client.get(path)
            assert page.status_code == 200, path
            poll = re.search(r'data-poll hx-get="([^"]+)"', page.text)
            assert poll is None or client.get(poll[1].replace("&amp;", "&")).status_code in (200, 204)
    assert len(plans.seen) > 10
    assert not plans.scans()


def test_the_due_pass_claims_and_ends(plans: Plans, take_lease: Callable[[], lease.Held]) -> None:
    held = take_lease()
    with plans:
        due.due_pass(held, NOW + timedelta(hours=2))
        session = db.session()
        claimed = store.candidates(session, "default", NOW + timedelta(hours=2), 50, 0, ["group"])
        assert claimed
        store.occupied_groups(session, ["group"])
        store.occupied(session, "job-000007")
        store.active(session)
    assert any("INSERT" not in statement for statement in plans.seen)
    assert not plans.scans()


@pytest.mark.only_on("sqlite")
def test_runs_start_and_end_by_their_numbers_however_many_wait(
    plans: Plans, take_lease: Callable[[], lease.Held]
) -> None:
    held = take_lease()
    due.due_pass(held, NOW + timedelta(hours=2))
    ended = {"state": RunState.SUCCEEDED, "finished_at": NOW, "error_names": (), "follow_up": False}
    ended |= dict.fromkeys(("result", "error", "traceback", "reason", "due_at", "job_id"))
    with plans, writing() as session:
        claimed = ledger.claim(session, held, {"default": 40}, NOW + timedelta(hours=2), "plans:1:a")
        ledger.write(session, ledger.Entries([{**ended, "run_id": row["run_id"]} for row in claimed.rows]), NOW)
    changes = {shape: plan for shape, plan in plans.seen.items() if shape.startswith("UPDATE run")}
    assert len(claimed.rows) > 10
    assert len(changes) >= 2
    assert all("INTEGER PRIMARY KEY" in plan for plan in changes.values()), changes


@pytest.fixture
def take_lease(filled: Flask) -> Callable[[], lease.Held]:
    def take() -> lease.Held:
        with writing() as session:
            held = lease.acquire(session, "plans:1:a")
        assert held is not None
        return held

    return take


def test_pages_of_any_filter_leave_nothing_out_and_show_nothing_twice(filled: Flask) -> None:
    for wanted in ({"state": ("failed", "missed")}, {"task": "demo.echo", "trigger": ("manual",)}, {"q": "refused"}):
        filter = RunFilter(**wanted)
        seen: list[int] = []
        cursor: str | None = None
        while True:
            page = runs.page(filter, limit=7, cursor=cursor)
            seen += [run.id for run in page.rows]
            if page.older is None:
                break
            cursor = page.older
        query = filter.apply(select(Run.id)).order_by(Run.queued_at.desc(), Run.id.desc())
        assert seen == list(db.session.scalars(query))
        back: list[int] = []
        while page.newer is not None:
            page = runs.page(filter, limit=7, cursor=page.newer)
            back = [run.id for run in page.rows] + back
        assert set(back) <= set(seen)
