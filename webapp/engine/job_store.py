"""The catalogue as an APScheduler job store, so that APScheduler's own calls see and change the same jobs as the pages.

Writes go through the services: what code adds is checked, revised and audited like what a person adds. Nothing is ever
pickled, and only registered tasks can be scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.util import obj_to_ref
from flask import Flask

from webapp import clock
from webapp.domain import translation
from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import jobs, plain_jobs
from webapp.services.actors import Actor
from webapp.store import jobs as store
from webapp.store.filters import JobFilter
from webapp.store.models import Job
from webapp.tasks import registry

CODE = Actor("code", Role.ADMIN, "code")


class CatalogueJobStore(BaseJobStore):  # type: ignore[misc]  # APScheduler ships no types
    """The jobs of the catalogue whose job store is this one's alias. Each method opens an app context of its own.

    Besides the documented errors, input that cannot be accepted raises Invalid, which is a ValueError. A job that is
    given back is as it is stored: its ``next_run_time`` follows from its schedule.
    """

    def __init__(self, app: Flask, alias: str = "default") -> None:
        super().__init__()
        self._app = app
        self._alias = alias

    def lookup_job(self, job_id: str) -> SchedulerJob | None:
        """The job, or None."""
        with self._context():
            job = plain_jobs.find(job_id, self._alias)
            return None if job is None else self.outward(job)

    def get_due_jobs(self, now: datetime) -> list[SchedulerJob]:
        """The jobs due at ``now`` or before, the longest waiting first."""
        with self._context():
            return self._all_outward(store.due_in_store(db.session(), self._alias, now))

    def get_next_run_time(self) -> datetime | None:
        with self._context():
            return store.next_due_in_store(db.session(), self._alias)

    def get_all_jobs(self) -> list[SchedulerJob]:
        """All jobs, next due first, those without a due time last."""
        with self._context():
            wanted = JobFilter(jobstore=self._alias, sort="next")
            return self._all_outward(store.every(db.session(), wanted))

    def add_job(self, job: SchedulerJob) -> None:
        """Raises ConflictingIdError also for an id that another job store of the catalogue has."""
        with self._context():
            raw = {**_raw(job), "id": job.id, "jobstore": self._alias}
            try:
                now = clock.now()
                stored = plain_jobs.add(plain_jobs.wanted(raw, job.next_run_time, now), actor=CODE, now=now)
            except Conflict:
                raise ConflictingIdError(job.id) from None
            self._refresh(job, stored)

    def update_job(self, job: SchedulerJob) -> None:
        """Store what has changed, and no more. Raises JobLookupError."""
        with self._context():
            try:
                self._require(job.id)
                stored = plain_jobs.change(job.id, _raw(job), job.next_run_time, actor=CODE, now=clock.now())
            except NotFound:
                raise JobLookupError(job.id) from None
            self._refresh(job, stored)

    def replace_job(self, job: SchedulerJob) -> None:
        """What ``replace_existing`` does: change what the code says otherwise, keep a pause and a schedule's phase."""
        with self._context():
            try:
                existing = self._require(job.id)
                raw = _raw(job)
                if _same_but_start(job.trigger, raw["trigger"], existing.trigger):
                    raw["trigger"] = existing.trigger
                stored = plain_jobs.replace(job.id, raw, actor=CODE, now=clock.now())
            except NotFound:
                raise JobLookupError(job.id) from None
            self._refresh(job, stored)

    def remove_job(self, job_id: str) -> None:
        """Raises JobLookupError."""
        with self._context():
            try:
                self._require(job_id)
                jobs.delete(job_id, actor=CODE, now=clock.now())
            except NotFound:
                raise JobLookupError(job_id) from None

    def remove_all_jobs(self) -> None:
        with self._context():
            jobs.delete_all(self._alias, actor=CODE, now=clock.now())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self._alias})>"

    @contextmanager
    def _context(self) -> Iterator[None]:
        with self._app.app_context():
            yield

    def _require(self, job_id: str) -> Job:
        """Raises NotFound for a job of another job store, too."""
        job = plain_jobs.find(job_id, self._alias)
        if job is None:
            raise NotFound(f"There is no job {job_id!r} in the job store {self._alias!r}.")
        return job

    def _refresh(self, job: SchedulerJob, stored: Job) -> None:
        """Show the one who called what was made of the job."""
        job.next_run_time = stored.next_due_at
        job.trigger = plain_jobs.readable_schedule(stored)

    def _all_outward(self, rows: Sequence[Job]) -> list[SchedulerJob]:
        return [self.outward(row) for row in rows]

    def outward(self, row: Job) -> SchedulerJob:
        """A row as APScheduler's job. A task that is not registered here still makes a job that can be looked at."""
        task = registry.find(row.task)
        job = SchedulerJob.__new__(SchedulerJob)
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias
        job.id, job.name = row.id, row.name
        job.func, job.func_ref = (task.func, task.reference) if task else (None, row.func)
        job.args, job.kwargs = tuple(row.args), dict(row.kwargs)
        job.trigger = plain_jobs.readable_schedule(row)
        job.executor, job.coalesce, job.max_instances = row.executor, row.coalesce, row.max_instances
        job.misfire_grace_time, job.next_run_time = row.misfire_grace_s, row.next_due_at
        return job


def _raw(job: SchedulerJob) -> dict[str, Any]:
    """What an APScheduler job says as a raw job. Raises Invalid."""
    raw: dict[str, Any] = {
        "name": job.name,
        "task": job.func_ref if job.func is None else task_name(job),
        "args": list(job.args),
        "kwargs": dict(job.kwargs),
        "executor": job.executor,
        "coalesce": job.coalesce,
        "max_instances": job.max_instances,
        "misfire_grace_s": job.misfire_grace_time,
    }
    return raw if job.trigger is None else {**raw, "trigger": translation.spec_of(job.trigger)}


def _same_but_start(trigger: Any, wanted: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Whether the code says the same interval, and not from when it counts."""
    if not getattr(trigger, "start_is_implied", False):
        return False
    return {**wanted, "start_date": None} == {**stored, "start_date": None}


def task_name(job: SchedulerJob) -> str:
    """The registered task that an APScheduler job calls. Raises Invalid for any other callable."""
    name = job.func_ref or _reference(job.func)
    task = registry.find(name)
    if task is None:
        raise Invalid({"func": f"{name} is not a registered task: decorate the function with @task."})
    return task.reference


def function_of(reference: str) -> Callable[..., Any] | None:
    """The function of a registered task, by its ``module:function``."""
    task = registry.find(reference)
    return None if task is None else task.func


def _reference(func: Any) -> str:
    try:
        return str(obj_to_ref(func))
    except (ValueError, TypeError):
        return repr(func)
