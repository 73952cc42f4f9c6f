"""The history of runs, one run's page with its live log, stop and rerun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, flash, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Invalid
from webapp.domain.states import RunState, RunTrigger
from webapp.services import run_export, runs
from webapp.store.filters import RunFilter
from webapp.store.models import Run
from webapp.tasks import registry
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.forms.filters import read_run_filter, shown_args
from webapp.web.lists import BUSY_S, IDLE_S, Address, is_live, whole
from webapp.web.presenters import downtime, stopping
from webapp.web.presenters import jobs as job_rows
from webapp.web.presenters import log as log_lines
from webapp.web.presenters import runs as rows
from webapp.web.viewer import now, settings
from webapp.web.viewer import zone as viewer_zone

PER_PAGE = 50
LIVE_S = 1
LOG_CHUNK = 5_000


def index() -> ResponseReturnValue:
    values, status = _list(_list_rev())
    return render_template("runs/index.html", **values), status


def fragment() -> ResponseReturnValue:
    rev = _list_rev()
    if rev == request.args.get("rev"):
        return htmx.unchanged()
    values, status = _list(rev)
    return render_template("runs/_table.html", **values), status


def _list_rev() -> str:
    """Differs when the list would. Read before the list, so that what changes meanwhile shows in the next poll."""
    return runs.rev(request.args.get("job_id", "").strip() or None)


def _list(rev: str) -> tuple[dict[str, Any], int]:
    """What the history shows, and its status: an address that cannot be read shows everything, and says so (400)."""
    problem, status, cursor = "", 200, request.args.get("cursor") or None
    try:
        wanted = read_run_filter(request.args, viewer_zone())
        page = runs.page(wanted, cursor=cursor, limit=PER_PAGE)
    except Invalid as error:
        wanted, cursor, problem, status = RunFilter(), None, " ".join(error.lines()), 400
        page = runs.page(wanted, limit=PER_PAGE)
    return {
        "days": rows.by_day(page.rows, viewer_zone(), now(), _bands(page, wanted)),
        "page": page,
        "filter": wanted,
        "problem": problem,
        "is_filtered": wanted != RunFilter(),
        "shown": shown_args(wanted, viewer_zone()),
        "states": list(RunState),
        "triggers": [(trigger, rows.TRIGGER_WORDS[trigger]) for trigger in RunTrigger],
        "task_keys": [task.key for task in registry.all()],
        "rev": rev,
        "every_s": BUSY_S if rows.busy(page.rows) else IDLE_S,
        "is_newest": page.newer is None,
        "list": Address("runs.index", "runs.fragment", {**wanted.to_args(), "cursor": cursor}, is_live()),
    }, status


def _bands(page: runs.RunPage, wanted: RunFilter) -> list[downtime.Band]:
    """Down time between the runs of a page; not where a filter leaves out most of what stood between."""
    if not page.rows or wanted != RunFilter(job_id=wanted.job_id, since=wanted.since, until=wanted.until):
        return []
    newest, oldest = rows.row(page.rows[0]).at, rows.row(page.rows[-1]).at
    return downtime.bands(oldest, now() if page.newer is None else newest)


def export(format: str) -> ResponseReturnValue:
    """All runs that fit the filter, as a file that is sent piece by piece."""
    wanted = read_run_filter(request.args, viewer_zone())
    media_type, pieces = run_export.FORMATS[format]
    headers = {"Content-Disposition": f'attachment; filename="runs.{format}"'}
    return Response(stream_with_context(pieces(wanted)), mimetype=media_type, headers=headers)


def show(run_id: int) -> ResponseReturnValue:
    run = runs.get(run_id)
    return render_template("runs/show.html", **_values(run), **_log(run))


def show_fragment(run_id: int) -> ResponseReturnValue:
    run = runs.get(run_id)
    if _rev(run) == request.args.get("rev"):
        return htmx.unchanged()
    return render_template("runs/_status.html", **_values(run))


def _rev(run: Run) -> str:
    late = stopping.of(run, settings(), now())
    return f"{run.state}-{run.updated_at.timestamp()}{'-late' if late and late.overdue_s else ''}"


def _values(run: Run) -> dict[str, Any]:
    task = registry.find(run.task)
    return {
        "run": run,
        "row": rows.row(run),
        "state": RunState(run.state),
        "route": rows.route(run),
        "task": task,
        "arguments": job_rows.shown_arguments(run.task, run.args, run.kwargs),
        "result": log_lines.pretty(run.result),
        "attempts": runs.attempts(run),
        "job_exists": job_rows.find(run.job_id) is not None,
        "usual_s": runs.usual_duration_s(run.job_id),
        "stopping": stopping.of(run, settings(), now()),
        "rev": _rev(run),
        "every_s": LIVE_S,
        "list": Address("runs.show", "runs.show_fragment", {"run_id": run.id}, is_live()),
    }


def _log(run: Run) -> dict[str, Any]:
    """The part of the log that the address asks for: its end, a range (?from=), or the lines with a text (?q=)."""
    text = request.args.get("q", "").strip()[:200]
    if text:
        return {"log": log_lines.search(run.id, text), "log_q": text}
    start = whole("from") if request.args.get("from") else -log_lines.PAGE
    return {"log": log_lines.page(run.id, start, follow=is_live() and not request.args.get("from")), "log_q": ""}


def log_fragment(run_id: int) -> ResponseReturnValue:
    """The lines from ``?from=`` on, and the next tail as long as more may come."""
    start = whole("from")
    log = log_lines.page(run_id, start, follow=True)
    if not log.lines and not log.is_complete:
        return htmx.unchanged()
    return render_template("runs/_log_tail.html", run=runs.get(run_id), log=log, log_q="")


def log_text(run_id: int) -> ResponseReturnValue:
    """The whole log as a text file, read and sent piece by piece."""
    runs.get(run_id)

    def lines() -> Iterator[str]:
        start = 0
        while (piece := runs.log(run_id, from_line=start, limit=LOG_CHUNK)).lines:
            yield "".join(f"{log_lines.stamp(line.at)} {line.level:<8} {line.text}\n" for line in piece.lines)
            start = piece.next_line

    headers = {"Content-Disposition": f'attachment; filename="run-{run_id}.log"'}
    return Response(stream_with_context(lines()), mimetype="text/plain; charset=utf-8", headers=headers)


def stop(run_id: int) -> ResponseReturnValue:
    run = runs.stop(run_id, actor=actor(), now=now())
    text = "is cancelled" if RunState(run.state).is_final else "is asked to stop"
    flash(f"Run {run.id} {text}.", "good")
    return htmx.go(url_for("runs.show", run_id=run.id))


def rerun(run_id: int) -> ResponseReturnValue:
    run = runs.rerun(run_id, actor=actor(), now=now())
    flash(f"Run {run.id} is queued with the arguments of run {run_id}.", "good")
    return htmx.go(url_for("runs.show", run_id=run.id))
