"""The scheduler as a whole: how it stands, pause and resume, stop and start of the whole installation."""

from __future__ import annotations

import socket
from collections.abc import Callable

from flask import Response, request

from webapp.api.answers import instant, nothing, respond
from webapp.api.auth import caller
from webapp.api.body import read_object
from webapp.api.errors import problem
from webapp.api.schemas import ShutdownRequest, read
from webapp.clock import now
from webapp.domain.errors import Conflict
from webapp.services import control, status
from webapp.services.control import Mode


def get_scheduler_info() -> Response:
    """How the scheduler stands. Flask-APScheduler's three keys, and what they cannot say."""
    found = status.read()
    return respond(
        {
            "current_host": socket.gethostname().lower(),
            "allowed_hosts": ["*"],
            "running": found.state in (Mode.RUNNING, Mode.PAUSED),
            "state": found.state,
            "paused": found.switch.mode is Mode.PAUSED,
            "healthy": found.healthy,
            "problem": found.problem,
            "last_loop_at": instant(found.last_loop_at),
            "leader": found.leader,
            "heartbeat_at": instant(found.heartbeat_at),
            "next_due_at": instant(found.next_due_at),
            "queued": found.queued,
            "running_runs": found.running,
            "jobs": found.jobs_total,
        }
    )


def pause_scheduler() -> Response:
    """Hold all due times; each job keeps its own state. 204 also when it is so already; 400 while it is shut down."""
    return _switch(control.hold, fine=Mode.PAUSED)


def resume_scheduler() -> Response:
    """Serve due times again after a pause. 204 also when it is not paused; 400 while it is shut down."""
    return _switch(control.release, fine=Mode.RUNNING)


def start_scheduler() -> Response:
    """Serve due times again after a shutdown. 400 when it is not shut down."""
    return _switch(control.start, fine=None)


def shutdown_scheduler() -> Response:
    """Serve no due times until ``start``. Runs that are going on go on; 400 when it is shut down already."""
    read(ShutdownRequest, read_object(request, optional=True))
    return _switch(control.shut_down, fine=None)


def _switch(move: Callable[..., None], *, fine: Mode | None) -> Response:
    """Move the installation's switch; standing at ``fine`` already is as good as moving there."""
    try:
        move(actor=caller(), now=now())
    except Conflict as error:
        if fine is None or control.read().mode is not fine:
            return problem(400, str(error))
    return nothing()
