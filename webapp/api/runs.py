"""Runs: the ledger in pages, one run, its log, stop and run again."""

from __future__ import annotations

from flask import Response, request, stream_with_context

from webapp.api.answers import log_shape, respond, run_detail, run_shape
from webapp.api.auth import caller
from webapp.api.queries import LogQuery, RunFilters, RunQuery, read_query
from webapp.clock import now
from webapp.services import run_export, runs
from webapp.store.filters import RunFilter


def get_runs() -> Response:
    """A page of the ledger, newest first. ``next`` is the cursor of the page after this one; null: there is none."""
    wanted = read_query(RunQuery)
    page = runs.page(RunFilter.parse(request.args), cursor=wanted.cursor, limit=wanted.limit)
    results = runs.results(page.rows)
    return respond({"runs": [run_shape(run, results.get(run.id)) for run in page.rows], "next": page.next})


def export_runs(format: str) -> Response:
    """All runs that fit the filter as a file. CSV for spreadsheets, or a JSON array; sent piece by piece."""
    read_query(RunFilters)
    media_type, pieces = run_export.FORMATS[format]
    response = Response(stream_with_context(pieces(RunFilter.parse(request.args))), mimetype=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="runs.{format}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def get_run(run_id: int) -> Response:
    """One run with everything that is known of it. Secret arguments are masked."""
    run = runs.get(run_id)
    return respond(run_detail(run, runs.attempts(run)))


def get_run_log(run_id: int) -> Response:
    """A run's log by range. Go on at ``next_line`` until ``complete``; a negative ``from_line`` counts from the end."""
    wanted = read_query(LogQuery)
    return respond(log_shape(run_id, runs.log(run_id, from_line=wanted.from_line, limit=wanted.limit)))


def stop_run(run_id: int) -> Response:
    """Stop a run. One that waits is cancelled; one that is going on is asked to stop."""
    run = runs.stop(run_id, actor=caller(), now=now())
    return respond(run_detail(run, runs.attempts(run)))


def rerun_run(run_id: int) -> Response:
    """Run the same once more. The answer is the new run, which is queued."""
    run = runs.rerun(run_id, actor=caller(), now=now())
    return respond({**run_detail(run, runs.attempts(run)), "run_id": run.id})
