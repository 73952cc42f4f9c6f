"""APScheduler's own ways in, kept to the rules of this house: what plain code may add, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, NoReturn

from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.util import undefined
from flask import Flask

from webapp import clock
from webapp.domain import schedules
from webapp.domain.errors import Conflict, Invalid
from webapp.services import shared_calendars
from webapp.tasks import registry


class PlainCalls(BackgroundScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """The calls of APScheduler that would break a promise of Carillon's if they were as they are there."""

    app: Flask | None = None

    def add_job(self, func: Any, trigger: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in APScheduler. ``func`` may be a task's key, too; a job for one date is never too late by default."""
        task = registry.find(func) if isinstance(func, str) else None
        if task is not None:
            func = task.func
        elif isinstance(func, str):
            raise Invalid({"func": f"{func[:200]} is not a registered task: decorate the function with @task."})
        if trigger in (None, "date") and len(args) < 5 and kwargs.get("misfire_grace_time", undefined) is undefined:
            kwargs["misfire_grace_time"] = None
        return super().add_job(func, trigger, *args, **kwargs)

    def resume_job(self, job_id: str, jobstore: str | None = None) -> Any:
        """As in APScheduler, but a job without a due time left is kept. Raises JobLookupError, Conflict."""
        with self._jobstores_lock:
            job, jobstore = self._lookup_job(job_id, jobstore)
            following = job.trigger.get_next_fire_time(None, clock.now()) if job.trigger is not None else None
            if following is None:
                raise Conflict("No due time is left: give the job a new schedule, or remove it.")
            return self.modify_job(job_id, jobstore, next_run_time=following)

    def export_jobs(self, outfile: Any, jobstore: str | None = None) -> NoReturn:
        """Raises NotImplementedError: APScheduler's form holds pickles, which nobody should have to trust."""
        raise NotImplementedError("Carillon reads and writes no pickles: use the JSON API, GET /jobs and POST /jobs.")

    def import_jobs(self, infile: Any, jobstore: str = "default") -> NoReturn:
        """Raises NotImplementedError likewise."""
        raise NotImplementedError("Carillon reads and writes no pickles: use the JSON API, GET /jobs and POST /jobs.")

    def _real_add_job(self, job: Any, jobstore_alias: str, replace_existing: bool) -> None:
        """Code that adds the same job at each start neither resumes it nor moves its due times."""
        try:
            super()._real_add_job(job, jobstore_alias, False)
        except ConflictingIdError:
            if not replace_existing:
                raise
            self._lookup_jobstore(jobstore_alias).replace_job(job)
            job._jobstore_alias = jobstore_alias

    def _create_trigger(self, trigger: Any, trigger_args: Mapping[str, Any]) -> Any:
        """Schedules made from code obey the same rules as those from the form. No trigger at all means at once."""
        if trigger is None:
            trigger, trigger_args = "date", {"run_date": clock.now() + timedelta(microseconds=1), **trigger_args}
        if not isinstance(trigger, str) or trigger not in schedules.KINDS:
            return super()._create_trigger(trigger, trigger_args)
        given = {name: _plain(value) for name, value in trigger_args.items() if value is not None}
        spec = {"kind": trigger, **given}
        named = shared_calendars.names_in(spec)  # these are looked up in the database
        with self._require_app().app_context() if named else nullcontext():
            made = shared_calendars.parse(spec, now=clock.now(), default_timezone=str(self.timezone))
        if trigger == "interval" and "start_date" not in given:
            made.start_is_implied = True
        return made

    def _require_app(self) -> Flask:
        if self.app is None:
            raise RuntimeError("The scheduler belongs to no app yet: call init_app first.")
        return self.app


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
