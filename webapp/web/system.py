"""The scheduler itself: who leads, how it goes, what happened to it; pause everything and give it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.services import control, status, store_copies
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.lists import IDLE_S, Address, is_live
from webapp.web.presenters.executors import loads
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
            sorted((alias, each["state"], each["problem"]) for alias, each in found.jobstores.items()),
            found.heartbeat_at and int(found.heartbeat_at.timestamp()), len(found.workers), events and events[0].id,
        )
    )  # fmt: skip
    return {
        "status": found,
        "events": events,
        "executors": loads(settings().executor_table(), found),
        "jobstores": _jobstores(found.jobstores),
        "database": settings().database.partition(":")[0].partition("+")[0],
        "rev": rev,
        "every_s": IDLE_S,
        "list": Address("system.index", "system.fragment", {}, is_live()),
    }


def _jobstores(told: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each job store: how it stands, as its leader tells; nobody does while nobody leads."""
    counts = store_copies.summary()
    found = [{"alias": "default", "kind": "catalogue", "place": "Carillon's own database", "state": "ready"}]
    for alias in settings().jobstore_names[1:]:
        unknown = {"kind": settings().jobstores[alias]["type"], "place": "", "state": "unknown", "problem": ""}
        found.append({"alias": alias, **unknown, **told.get(alias, {})})
    problems = {each["alias"]: store_copies.problems(each["alias"]) for each in found}
    return [{**each, "jobs": counts.get(each["alias"], 0), "problems": problems[each["alias"]]} for each in found]


def hold() -> ResponseReturnValue:
    control.hold(actor=actor(), now=now())
    flash("Everything is paused. Due times are recorded as held; each job keeps its own state.", "warn")
    return htmx.go(url_for("system.index"))


def release() -> ResponseReturnValue:
    control.release(actor=actor(), now=now())
    flash("Due times are served again.", "good")
    return htmx.go(url_for("system.index"))
