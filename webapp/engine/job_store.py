"""The catalogue as an APScheduler job store, so that APScheduler's own calls see and change the same jobs as the pages.

Writes go through the services: what code adds is checked, revised and audited like what a person adds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.util import obj_to_ref
from flask import Flask

from webapp import clock
from webapp.domain import translation
from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import JobState, Role
from webapp.extensions import db
from webapp.services import jobs
from webapp.services.actors import Actor
from webapp.services.schedule_cache import schedule_of
from webapp.store import jobs as store
from webapp.store.filters import JobFilter
from webapp.store.models import Job
from webapp.tasks import registry

CODE = Actor("code", Role.ADMIN, "code")


class CatalogueJobStore(BaseJobStore):  # type: ignore[misc]  # APScheduler ships no types
    """Reads and writes the ``job`` table. Each method opens an app context of its own."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._app = app

    def lookup_job(self, job_id: str) -> SchedulerJob | None:
        with self._app.app_context():
            job = store.find(db.session(), job_id)
            return None if job is None else self._outward(job)

    def get_due_jobs(self, now: datetime) -> list[SchedulerJob]:
        with self._app.app_context():
            rows = store.upcoming(db.session(), 1_000_000)
            return [self._outward(job) for job in rows if job.next_due_at is not None and job.next_due_at <= now]

    def get_next_run_time(self) -> datetime | None:
        with self._app.app_context():
            return store.next_due_at(db.session())

    def get_all_jobs(self) -> list[SchedulerJob]:
        """All jobs, next due first, those without a due time last."""
        with self._app.app_context():
            rows = store.page(db.session(), JobFilter(sort="next"), limit=1_000_000, offset=0)
            return [self._outward(job) for job in rows]

    def add_job(self, job: SchedulerJob) -> None:
        with self._app.app_context():
            raw = {**self._raw(job), "id": job.id}
            try:
                jobs.create(raw, actor=CODE, now=clock.now())
            except Conflict:
                raise ConflictingIdError(job.id) from None
            if job.next_run_time is None:
                jobs.pause(job.id, actor=CODE, now=clock.now())

    def update_job(self, job: SchedulerJob) -> None:
        with self._app.app_context():
            now = clock.now()
            try:
                stored = jobs.get(job.id)
                jobs.patch(job.id, self._changes(job, stored), actor=CODE, now=now)
                if job.next_run_time is None and stored.state == JobState.ACTIVE:
                    jobs.pause(job.id, actor=CODE, now=now)
                elif job.next_run_time is not None and stored.state == JobState.PAUSED:
                    jobs.resume(job.id, actor=CODE, now=now)
            except NotFound:
                raise JobLookupError(job.id) from None

    def remove_job(self, job_id: str) -> None:
        with self._app.app_context():
            try:
                jobs.delete(job_id, actor=CODE, now=clock.now())
            except NotFound:
                raise JobLookupError(job_id) from None

    def remove_all_jobs(self) -> None:
        with self._app.app_context():
            for job in store.page(db.session(), JobFilter(), limit=1_000_000, offset=0):
                jobs.delete(job.id, actor=CODE, now=clock.now())

    def _outward(self, row: Job) -> SchedulerJob:
        """A row as APScheduler's job. A task that is not registered here still makes a job that can be looked at."""
        task = registry.find(row.task)
        job = SchedulerJob.__new__(SchedulerJob)
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias
        job.id, job.name = row.id, row.name
        job.func, job.func_ref = (task.func, task.reference) if task else (None, row.func)
        job.args, job.kwargs = tuple(row.args), dict(row.kwargs)
        job.trigger = schedule_of(row) if row.state != JobState.QUARANTINED else None
        job.executor, job.coalesce, job.max_instances = row.executor, row.coalesce, row.max_instances
        job.misfire_grace_time, job.next_run_time = row.misfire_grace_s, row.next_due_at
        return job

    def _raw(self, job: SchedulerJob) -> dict[str, Any]:
        return {
            "name": job.name,
            "task": task_name(job),
            "args": list(job.args),
            "kwargs": dict(job.kwargs),
            "trigger": translation.spec_of(job.trigger),
            "executor": job.executor,
            "coalesce": job.coalesce,
            "max_instances": job.max_instances,
            "misfire_grace_s": job.misfire_grace_time,
        }

    def _changes(self, job: SchedulerJob, stored: Job) -> dict[str, Any]:
        """What of ``job`` differs from the stored row: the rest must not be judged again."""
        raw = self._raw(job)
        if raw["trigger"] == stored.trigger:
            del raw["trigger"]
        return raw


def task_name(job: SchedulerJob) -> str:
    """The registered task that an APScheduler job calls. Raises Invalid for any other callable."""
    name = job.func_ref or obj_to_ref(job.func)
    task = registry.find(name)
    if task is None:
        raise Invalid({"func": f"{name} is not a registered task: decorate the function with @task."})
    return task.reference
