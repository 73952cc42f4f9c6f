"""Runs: the ledger in pages, one run, its log, stop and run again."""

from __future__ import annotations

from flask import Response, request

from webapp.api import query
from webapp.api.answers import log_shape, respond, run_detail, run_shape
from webapp.api.auth import caller
from webapp.clock import now
from webapp.services import runs
from webapp.store.filters import RunFilter

FILTERS = frozenset({"state", "job_id", "task", "trigger", "since", "until", "q"})


def get_runs() -> Response:
    """Newest first. ``next`` is the cursor of the page after this one; null: there is none."""
    query.only(FILTERS | {"limit", "cursor"})
    limit = query.number("limit", 50, least=1, most=500)
    page = runs.page(RunFilter.parse(request.args), cursor=request.args.get("cursor"), limit=limit)
    results = runs.results(page.rows)
    return respond({"runs": [run_shape(run, results.get(run.id)) for run in page.rows], "next": page.next})


def get_run(run_id: int) -> Response:
    run = runs.get(run_id)
    return respond(run_detail(run, runs.attempts(run)))


def get_run_log(run_id: int) -> Response:
    """Lines from ``from_line`` on (negative: counted from the end). Go on at ``next_line`` until ``complete``."""
    query.only({"from_line", "limit"})
    from_line = query.number("from_line", 0, least=-1_000_000, most=2**62)
    limit = query.number("limit", 1000, least=1, most=10_000)
    return respond(log_shape(run_id, runs.log(run_id, from_line=from_line, limit=limit)))


def stop_run(run_id: int) -> Response:
    """Cancel a run that waits; ask one that is going on to stop."""
    run = runs.stop(run_id, actor=caller(), now=now())
    return respond(run_detail(run, runs.attempts(run)))


def rerun_run(run_id: int) -> Response:
    """Queue the same once more. The answer is the new run."""
    run = runs.rerun(run_id, actor=caller(), now=now())
    return respond({**run_detail(run, runs.attempts(run)), "run_id": run.id})
