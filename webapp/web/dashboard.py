"""The first page: what comes, what runs, what went wrong, and whether it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from webapp.services import dashboard, runs, status
from webapp.services.status import SchedulerStatus
from webapp.store.models import Run
from webapp.web import charts, htmx
from webapp.web.lists import BUSY_S, IDLE_S, Address, is_live
from webapp.web.presenters import balance, downtime, jobs
from webapp.web.presenters import runs as run_rows
from webapp.web.viewer import now
from webapp.web.viewer import zone as viewer_zone

BARS = 60


def index() -> ResponseReturnValue:
    found = status.read()
    return render_template("dashboard/index.html", **_values(found, _rev(found)))


def fragment() -> ResponseReturnValue:
    found = status.read()
    rev = _rev(found)
    if rev == request.args.get("rev"):
        return htmx.unchanged()
    return render_template("dashboard/_board.html", **_values(found, rev))


def _rev(found: SchedulerStatus) -> str:
    """Differs when the board would. Read before the board, so that what changes meanwhile shows in the next poll."""
    parts = (
        runs.rev(), found.state, found.problem, found.queued, found.running, found.jobs_total, found.jobs_quarantined,
        found.next_due_at and found.next_due_at.timestamp(),
    )  # fmt: skip
    return "-".join(str(part) for part in parts)


def _values(found: SchedulerStatus, rev: str) -> dict[str, Any]:
    moment = now()
    board = dashboard.overview(moment)
    return {
        "overview": board,
        "status": found,
        "sum": balance.line(board.balance),
        "next_rows": jobs.rows(board.next_due, moment, viewer_zone(), slots=20),
        "running": [run_rows.row(run) for run in board.running],
        "failure_days": run_rows.by_day(board.failures, viewer_zone(), moment),
        "chart": charts.strip(_bars(board.latest), BARS, moment, downtime.lately(moment)),
        "rev": rev,
        "every_s": BUSY_S if board.running or found.queued else IDLE_S,
        "list": Address("dashboard.index", "dashboard.fragment", {}, is_live()),
    }


def _bars(latest: Sequence[Run]) -> list[runs.RunBar]:
    """The latest runs of all jobs, oldest first, as a strip wants them."""
    bars = []
    for run in reversed(latest):
        row = run_rows.row(run)
        at = run.finished_at or run.started_at or run.queued_at
        bars.append(runs.RunBar(run.id, row.state, row.duration_s, run.due_at, at, run.due_count))
    return bars
