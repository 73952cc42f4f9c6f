"""Whether this server lives, can serve pages, and whether due times are being served."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp.extensions import db
from webapp.services import status
from webapp.web.presenters.times import iso
from webapp.web.viewer import settings


def live() -> ResponseReturnValue:
    """The process answers. Asks nothing else, so that a database outage does not get it restarted."""
    return jsonify(status="live")


def ready() -> ResponseReturnValue:
    """The database answers too."""
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return jsonify(status="not ready", problem="The database does not answer."), 503
    return jsonify(status="ready")


def scheduler() -> ResponseReturnValue:
    """The guide's five fields and what stands behind them; 503 unless due times are being served.

    It is degraded, and no error, while only the jobs of a job store that is away wait: a new start would not help.
    """
    found = status.read()
    body = {
        "status": ("degraded" if found.stores_away else "healthy") if found.healthy else "unhealthy",
        "running": found.state in ("running", "paused"),
        "total_jobs": found.jobs_total,
        "jobstores": list(settings().jobstore_names),
        "executors": sorted(settings().executor_table()),
        "state": found.state,
        "problem": found.problem,
        "leader": found.leader,
        "epoch": found.epoch,
        "heartbeat_at": iso(found.heartbeat_at) if found.heartbeat_at else None,
        "last_loop_at": iso(found.last_loop_at) if found.last_loop_at else None,
        "next_due_at": iso(found.next_due_at) if found.next_due_at else None,
        "overdue_s": found.overdue_s,
        "queued": found.queued,
        "running_runs": found.running,
        "jobstore_states": {
            alias: {name: each[name] for name in ("state", "problem", "since")}
            for alias, each in found.jobstores.items()
        },
    }
    return jsonify(body), 200 if found.healthy else 503
