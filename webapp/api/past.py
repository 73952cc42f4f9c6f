"""What became of due times: the balance, why a job ran at a moment or did not, past due times that may still run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from flask import Response, request

from webapp.api.answers import instant, respond, run_shape
from webapp.api.auth import caller
from webapp.api.body import read_object
from webapp.api.queries import BalanceQuery, ExplainQuery, PastQuery, read_query
from webapp.api.schemas import CatchUpRequest, read
from webapp.api.shapes import instant as moment_of
from webapp.api.shapes import zone_of
from webapp.clock import now
from webapp.domain.errors import Invalid, NotFound
from webapp.services import balance, catch_up, explain, jobs
from webapp.services.catch_up import CatchUp
from webapp.services.reasons import Reason

WINDOW = timedelta(hours=24)


def get_balance() -> Response:
    """Due times and their outcomes in a window. Each due time has exactly one outcome, or it waits to be served."""
    wanted = read_query(BalanceQuery)
    since, until = _window(wanted.since, wanted.until, UTC)
    found = balance.read(since, until, wanted.job_id or None)
    return respond(
        {
            "since": instant(found.since),
            "until": instant(found.until),
            "due": found.due,
            "by_state": found.by_state,
            "waiting": found.waiting,
            "settled": found.settled,
            "adds_up": found.adds_up,
            "compared": found.compared,
            "mismatches": [
                {"job_id": each.job_id, "expected": each.expected, "found": each.found} for each in found.mismatches
            ],
        }
    )


def explain_job(job_id: str) -> Response:
    """Why it ran at a moment or did not. Also of a job that was deleted, and of moments to come."""
    moment = moment_of("at", read_query(ExplainQuery).at, _zone(job_id))
    found = explain.explain(job_id, moment, now=now())
    return respond(
        {
            "job_id": found.job_id,
            "at": instant(found.moment),
            "verdict": found.verdict,
            "due_at": instant(found.due_at),
            "run_id": found.run_id,
            "state": found.state,
            "reasons": [_reason(each) for each in found.reasons],
        }
    )


def get_due_times(job_id: str) -> Response:
    """Past due times and what became of each, oldest first. The schedule that was in force then names them."""
    wanted = read_query(PastQuery)
    since, until = _window(wanted.since, wanted.until, zone_of(jobs.get(job_id)))
    found = catch_up.candidates(job_id, since, until, now=now(), limit=wanted.limit, open_only=wanted.open)
    return respond({"since": instant(since), "until": instant(until), "due_times": [_due_time(each) for each in found]})


def catch_up_job(job_id: str) -> Response:
    """Run past due times after all, all of them or none. Each run is the next attempt at its due time."""
    wanted = read(CatchUpRequest, read_object(request))
    zone = zone_of(jobs.get(job_id))
    moments = [moment_of("moments", text, zone) for text in wanted.moments]
    made = catch_up.run(job_id, moments, actor=caller(), now=now(), again=wanted.again)
    return respond({"runs": [run_shape(run, None) for run in made]})


def _window(since: str, until: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """The window that is meant, in UTC, ending now at the latest. Raises Invalid for one that is empty."""
    present = now()
    end = min(moment_of("until", until, zone), present) if until else present
    begin = moment_of("since", since, zone) if since else end - WINDOW
    if begin >= end:
        raise Invalid({"since": "This must lie before until, and before now."})
    return begin, end


def _zone(job_id: str) -> tzinfo:
    try:
        return zone_of(jobs.get(job_id))
    except NotFound:  # a deleted job has a past, but no zone of its own any more
        return UTC


def _reason(reason: Reason) -> dict[str, Any]:
    link = reason.link
    return {
        "code": reason.code,
        "text": reason.text,
        "at": instant(reason.at),
        "link": None if link is None else {"kind": link.kind, "id": link.id},
    }


def _due_time(each: CatchUp) -> dict[str, Any]:
    return {
        "due_at": instant(each.due_at),
        "state": each.state,
        "run_id": each.run_id,
        "folded": each.folded,
        "open": each.is_open,
    }
