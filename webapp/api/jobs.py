"""Jobs: list, show, create, edit, delete, pause, resume, run. Flask-APScheduler's routes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from webapp.api.answers import nothing, respond
from webapp.api.auth import caller
from webapp.api.body import read_object
from webapp.api.changes import changes_of, new_job
from webapp.api.errors import Stale
from webapp.api.queries import JobQuery, read_query
from webapp.api.schemas import PauseRequest, RunRequest, read
from webapp.api.shapes import client_error, instant, job_shape, zone_of
from webapp.clock import now
from webapp.domain.errors import Conflict, Invalid
from webapp.services import job_lists, jobs
from webapp.store.filters import JobFilter
from webapp.store.models import Job

RETRIES = 3


def get_jobs() -> Response:
    """All jobs, next due first. With ``limit`` a page of them, whose successor the Link header names."""
    wanted = read_query(JobQuery)
    args = request.args.copy()
    args.setdefault("sort", "next")
    filter = JobFilter.parse(args)
    if wanted.limit is None:
        return respond([job_shape(job) for job in job_lists.every(filter)])
    page = job_lists.listing(filter, limit=wanted.limit, cursor=wanted.cursor, counts=True)
    response = respond([job_shape(job) for job in page.rows])
    response.headers["X-Total-Count"] = str(page.total)
    if page.next is not None:
        args["cursor"] = page.next
        response.headers["Link"] = (
            f'<{request.root_path}{request.path}?{urlencode(list(args.items(multi=True)))}>; rel="next"'
        )
    return response


def get_job(job_id: str) -> Response:
    """One job with its schedule, rules and state. Its revision is the ETag."""
    return _one(jobs.get(job_id))


def add_job() -> Response:
    """Create a job. With ``replace_existing`` the one that has its id already is edited."""
    wanted = new_job(read_object(request), now())
    try:
        try:
            job = jobs.create(wanted.raw, paused=wanted.paused, actor=caller(), now=now())
            if wanted.paused and wanted.resume_at is not None:
                job = jobs.pause(job.id, until=wanted.resume_at, actor=caller(), now=now())
        except Conflict:
            if not wanted.replace_existing:
                raise
            job = jobs.update(wanted.raw["id"], wanted.raw, actor=caller(), now=now())
    except Invalid as error:
        raise client_error(error) from None
    return _one(job)


def update_job(job_id: str) -> Response:
    """Change the keys that are sent, all or none. What is sent as it was got changes nothing."""
    body = read_object(request)
    for attempt in range(RETRIES):
        job = jobs.get(job_id)
        _check_revision(job)
        changes = changes_of(job, body)
        if not changes:
            return _one(job)
        try:
            changed = jobs.patch(job_id, changes, actor=caller(), now=now(), expected_revision=job.revision)
            return _one(changed)
        except Invalid as error:
            raise client_error(error) from None
        except Conflict as error:  # somebody saved in this moment: look again, unless the client insists on a revision
            if request.if_match:
                raise Stale(str(error)) from None
            if "revision" in body or attempt == RETRIES - 1:
                raise
    raise AssertionError("unreachable")


def delete_job(job_id: str) -> Response:
    """Delete a job. Its runs stay."""
    _check_revision(jobs.get(job_id))
    jobs.delete(job_id, actor=caller(), now=now())
    return nothing()


def pause_job(job_id: str) -> Response:
    """Take a job out of the schedule. With ``until`` up to a moment; pausing it again changes only that."""
    wanted = read(PauseRequest, read_object(request, optional=True))
    until = None
    if wanted.until is not None:
        until = instant("until", wanted.until, zone_of(jobs.get(job_id)))
    return _one(jobs.pause(job_id, until=until, actor=caller(), now=now()))


def resume_job(job_id: str) -> Response:
    """Put a job back on its own grid."""
    return _one(jobs.resume(job_id, actor=caller(), now=now()))


def run_job(job_id: str) -> Response:
    """Queue a run now. The answer comes at once: the job, with the run's id beside its keys."""
    wanted = read(RunRequest, read_object(request, optional=True))
    run = jobs.run_now(job_id, actor=caller(), now=now(), kwargs=wanted.kwargs or None)
    return _one(jobs.get(job_id), run_id=run.id)


def _one(job: Job, **more: Any) -> Response:
    response = respond({**job_shape(job), **more})
    response.set_etag(str(job.revision))
    return response


def _check_revision(job: Job) -> None:
    if request.if_match and not request.if_match.contains(str(job.revision)):
        raise Stale(f"The job is at revision {job.revision} now. Get it again before you change it.")
