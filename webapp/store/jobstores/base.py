"""What all of these stores share: states are read without trust, and what cannot be read stays where it is."""

from __future__ import annotations

import logging
import pickle
from abc import abstractmethod
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.base import BaseJobStore, JobLookupError

from webapp.domain import schedules
from webapp.domain.errors import Invalid
from webapp.store.job_states import Unreadable, read_state

Resolve = Callable[[str], Callable[..., Any] | None]

log = logging.getLogger(__name__)


def nothing(reference: str) -> None:
    """Knows no function."""


class KeptStore(BaseJobStore):  # type: ignore[misc]  # APScheduler ships no types
    """A job store of APScheduler's that never deletes what it cannot restore, and gives out states as they stand.

    A job whose function is not known here is given out with ``func`` None. All methods may raise what the store's own
    library raises.
    """

    resolve: Resolve = staticmethod(nothing)

    @abstractmethod
    def states(self) -> dict[str, bytes]:
        """The pickled state of every job, by id."""

    @abstractmethod
    def state(self, job_id: str) -> bytes | None:
        """The pickled state of one job."""

    def open(self) -> None:
        """Make what the store needs on its server."""

    def put(self, job: SchedulerJob) -> None:
        """Store a job, whether it is there or not."""
        try:
            self.update_job(job)
        except JobLookupError:
            self.add_job(job)

    def _reconstitute_job(self, data: bytes) -> SchedulerJob:
        """Raises Unreadable."""
        state = read_state(data)
        job = SchedulerJob.__new__(SchedulerJob)
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias
        job.id, job.name, job.func_ref, job.func = state.id, state.name, state.func, self.resolve(state.func)
        job.args, job.kwargs = tuple(state.args), state.kwargs
        try:
            job.trigger = schedules.load(state.trigger, job_id=state.id)
        except Invalid as error:
            raise Unreadable(f"Its trigger cannot be kept: {error}") from None
        job.executor, job.coalesce, job.max_instances = state.executor, state.coalesce, state.max_instances
        job.misfire_grace_time, job.next_run_time = state.misfire_grace_time, state.next_run_time
        return job

    def _readable(self, found: Iterable[tuple[str, bytes]]) -> list[SchedulerJob]:
        """The jobs among these states, in the order in which they are due, paused ones last."""
        jobs = []
        for job_id, data in found:
            try:
                jobs.append(self._reconstitute_job(data))
            except Unreadable as error:
                log.warning("the job %s of the job store %s is left as it is: %s", job_id, self._alias, error)
        last = datetime.max.replace(tzinfo=UTC)
        return sorted(jobs, key=lambda job: (job.next_run_time or last, job.id))


def pickled(job: SchedulerJob) -> bytes:
    """The state of a job as these stores write it."""
    return pickle.dumps(job.__getstate__(), pickle.HIGHEST_PROTOCOL)
