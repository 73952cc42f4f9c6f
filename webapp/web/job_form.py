"""The job form: new, edit, clone, its live parts, and a run with changed arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, Invalid
from webapp.services import jobs
from webapp.store.models import Job
from webapp.tasks import registry
from webapp.tasks.forms import parameters_from_form
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.forms.run import RunForm
from webapp.web.job_page import JobPage, fresh, prefix
from webapp.web.presenters import parameters
from webapp.web.presenters.jobs import stored_arguments
from webapp.web.viewer import now


def new() -> ResponseReturnValue:
    return JobPage(fresh(request.args.get("task", ""))).render()


def clone(job_id: str) -> ResponseReturnValue:
    source = jobs.get(job_id)
    return JobPage(jobs.clone_of(source), source=source).render()


def edit(job_id: str) -> ResponseReturnValue:
    job = jobs.get(job_id)
    return JobPage(jobs.definition(job), job=job).render()


def create() -> ResponseReturnValue:
    return _save(None, lambda raw: jobs.create(raw, actor=actor(), now=now()))


def update(job_id: str) -> ResponseReturnValue:
    job = jobs.get(job_id)
    revision = request.form.get("revision", "")
    expected = int(revision) if revision.isascii() and revision.isdigit() else None
    return _save(job, lambda raw: jobs.update(job.id, raw, actor=actor(), now=now(), expected_revision=expected))


def _save(job: Job | None, store: Callable[[dict[str, Any]], Job]) -> ResponseReturnValue:
    """Store what was sent, or show it again with every message at its field."""
    page = JobPage.sent(request.form, job)
    if request.form.get("do") == "refresh":  # without JavaScript: show the fields of another kind or task
        page.form.trigger.form.align(switched=False)
        return page.render()
    try:
        saved = store(page.raw(now()))
    except Invalid as error:
        return page.refuse(error), 422
    except Conflict as error:
        return page.refuse(Invalid({"" if job else "id": str(error)})), 409 if not htmx.is_htmx() else 422
    flash(f"{saved.name} is {'saved' if job else 'scheduled'}.", "good")
    return htmx.go(url_for("jobs.show", job_id=saved.id))


def part() -> ResponseReturnValue:
    """The fields that depend on another field: of a kind of schedule, or of a task."""
    page = JobPage.sent(request.form, _edited())
    if request.args.get("of") == "task":
        return render_template("jobs/_parameters.html", inputs=page.inputs, task=page.task)
    page.form.trigger.form.align(switched=request.headers.get("HX-Trigger-Name") == "trigger.written")
    body = render_template("jobs/_schedule.html", form=page.form)
    response = htmx.fragment(body, after_settle="schedule-changed")
    return response


def preview() -> ResponseReturnValue:
    return render_template("jobs/_preview.html", preview=JobPage.sent(request.form, _edited()).preview())


def _edited() -> Job | None:
    """The job whose edit form asks, if it is one."""
    job_id = request.args.get("job_id", "")
    return jobs.get(job_id) if job_id else None


def run_with(job_id: str) -> ResponseReturnValue:
    job = jobs.get(job_id)
    return _run_page(job, parameters.inputs(registry.find(job.task), stored_arguments(job)))


def run_changed(job_id: str) -> ResponseReturnValue:
    """Queue one run with the arguments of the form; the job keeps its own."""
    job = jobs.get(job_id)
    task = registry.get(job.task)
    stored = stored_arguments(job)
    shown = parameters.inputs(task, stored, request.form)
    try:
        given = prefix(lambda: parameters_from_form(task, parameters.texts(task, request.form), stored))
        changed = {name: value for name, value in given.items() if name not in stored or stored[name] != value}
        run = jobs.run_now(job.id, actor=actor(), now=now(), kwargs=changed or None)
    except Invalid as error:
        rest = parameters.put_errors(shown, error.fields)
        return _run_page(job, shown, rest), 422
    flash(f"Run {run.id} of {job.name} is queued.", "good")
    return htmx.go(url_for("runs.show", run_id=run.id))


def _run_page(job: Job, shown: list[parameters.Input], rest: list[str] | None = None) -> str:
    return render_template(
        "jobs/run_with.html",
        form=RunForm(),
        job=job,
        inputs=shown,
        rest=rest or [],
        first_bad=next((each for each in shown if each.errors), None),
    )
