"""A job's past: why it ran at a moment or did not, and past due times that may be run after all."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Invalid
from webapp.services import catch_up, explain, jobs
from webapp.web import htmx
from webapp.web.access import actor, safe_target
from webapp.web.forms.run import RunForm
from webapp.web.presenters import jobs as job_rows
from webapp.web.viewer import now, zone

WINDOW = timedelta(hours=24)
SHOWN = 200


def why(job_id: str) -> ResponseReturnValue:
    """The reasons for what happened at one moment, also of a job that was deleted."""
    text = request.args.get("at", "")
    problem, found = "", None
    if text:
        try:
            found = explain.explain(job_id, local_moment("at", text, zone()), now=now())
        except Invalid as error:
            problem = error.fields["at"][0]
    shown = render_template(
        "jobs/why.html",
        job_id=job_id,
        job=job_rows.find(job_id) if found or problem else jobs.get(job_id),
        found=found,
        at=text or f"{now().astimezone(zone()):%Y-%m-%dT%H:%M}",
        problem=problem,
    )
    return shown, 422 if problem else 200


def candidates(job_id: str) -> ResponseReturnValue:
    """The past due times of a window that did not succeed, to be ticked."""
    return _candidates(job_id, {})


def run(job_id: str) -> ResponseReturnValue:
    """Run the ticked due times after all."""
    try:
        moments = [datetime.fromisoformat(text) for text in request.form.getlist("moment")]
        if not moments:
            raise Invalid({"moments": "Tick the due times to run."})
        made = catch_up.run(job_id, moments, actor=actor(), now=now())
    except ValueError as error:
        fields = error.fields if isinstance(error, Invalid) else {"moments": ["This is not a due time."]}
        return _candidates(job_id, fields)
    flash(f"{len(made)} due time{'' if len(made) == 1 else 's'} will run after all.", "good")
    return htmx.go(safe_target(None, url_for("jobs.show", job_id=job_id)))


def _candidates(job_id: str, problems: dict[str, list[str]]) -> ResponseReturnValue:
    job = jobs.get(job_id)
    moment = now()
    since, until = max(moment - WINDOW, job.created_at), moment
    try:
        since = local_moment("since", request.values.get("since", ""), zone()) if request.values.get("since") else since
        until = local_moment("until", request.values.get("until", ""), zone()) if request.values.get("until") else until
        found = catch_up.candidates(job_id, since, until, now=moment, limit=SHOWN, open_only=True)
    except Invalid as error:
        problems, found = {**problems, **error.fields}, []
    shown = render_template(
        "jobs/catch_up.html",
        job=job,
        form=RunForm(formdata=None),
        found=found,
        most=SHOWN,
        since=f"{since.astimezone(zone()):%Y-%m-%dT%H:%M}",
        until=f"{until.astimezone(zone()):%Y-%m-%dT%H:%M}",
        problems=problems,
        ticked=set(request.form.getlist("moment")),
    )
    return shown, 422 if problems else 200


def local_moment(name: str, text: str, viewer: ZoneInfo) -> datetime:
    """A moment as a picker sends it, in the viewer's zone unless it says another. Raises Invalid at ``name``."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid({name: "This is not a date and time such as 2026-12-01T10:00."}) from None
    if not 2000 <= moment.year <= 2100:
        raise Invalid({name: "The year must lie between 2000 and 2100."})
    return moment if moment.tzinfo else moment.replace(tzinfo=viewer)
