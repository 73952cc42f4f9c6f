"""A job's saved definitions: what changed in each, and going back to one."""

from __future__ import annotations

from flask import flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import NotFound
from webapp.services import jobs
from webapp.services.definitions import RAW_FIELDS
from webapp.store.models import JobRevision
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.presenters import revisions
from webapp.web.presenters.jobs import find
from webapp.web.viewer import now


def revision(job_id: str, number: int) -> ResponseReturnValue:
    found, before, newest = _find(job_id, number)
    job = find(job_id)
    return render_template(
        "jobs/revision.html",
        job=job,
        job_id=job_id,
        revision=found,
        before=before,
        changes=revisions.changes(before.definition if before else None, found.definition),
        since=revisions.changes(found.definition, newest.definition),
        may_restore=job is not None and found.definition != newest.definition,
    )


def restore(job_id: str, number: int) -> ResponseReturnValue:
    """Save an earlier definition as a new revision."""
    found, _, _ = _find(job_id, number)
    raw = {name: value for name, value in found.definition.items() if name in RAW_FIELDS or name == "func"}
    jobs.update(job_id, raw, actor=actor(), now=now())
    flash(f"The definition of revision {number} is in force again.", "good")
    return htmx.go(url_for("jobs.show", job_id=job_id))


def _find(job_id: str, number: int) -> tuple[JobRevision, JobRevision | None, JobRevision]:
    """The revision, the one before it, and the newest. Raises NotFound."""
    every = jobs.revisions(job_id)
    place = next((place for place, each in enumerate(every) if each.revision == number), None)
    if place is None:
        raise NotFound(f"There is no revision {number} of the job {job_id!r}.")
    return every[place], every[place + 1] if place + 1 < len(every) else None, every[0]
