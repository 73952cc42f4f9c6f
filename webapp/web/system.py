"""The scheduler itself: who leads, how it goes, what happened to it; pause everything and give it back."""

from __future__ import annotations

from typing import Any

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.services import control, status
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.lists import IDLE_S, Address, is_live
from webapp.web.viewer import now, settings


def index() -> ResponseReturnValue:
    return render_template("system/index.html", **_values())


def fragment() -> ResponseReturnValue:
    values = _values()
    if values["rev"] == request.args.get("rev"):
        return htmx.unchanged()
    return render_template("system/_status.html", **values)


def _values() -> dict[str, Any]:
    found = status.read()
    events = status.events(30)
    rev = "-".join(
        str(part)
        for part in (
            found.state, found.problem, found.leader, found.epoch, found.queued, found.running,
            found.heartbeat_at and int(found.heartbeat_at.timestamp()), len(found.workers), events and events[0].id,
        )
    )  # fmt: skip
    return {
        "status": found,
        "events": events,
        "executors": settings().executor_table(),
        "database": settings().database.partition(":")[0].partition("+")[0],
        "rev": rev,
        "every_s": IDLE_S,
        "list": Address("system.index", "system.fragment", {}, is_live()),
    }


def hold() -> ResponseReturnValue:
    control.hold(actor=actor(), now=now())
    flash("Everything is paused. Due times are recorded as held; each job keeps its own state.", "warn")
    return htmx.go(url_for("system.index"))


def release() -> ResponseReturnValue:
    control.release(actor=actor(), now=now())
    flash("Due times are served again.", "good")
    return htmx.go(url_for("system.index"))
