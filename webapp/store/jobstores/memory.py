"""Jobs in the memory of one process; they are gone with it."""

from __future__ import annotations

from apscheduler.jobstores.memory import MemoryJobStore

from webapp.store.jobstores.base import KeptStore, pickled


class MemoryStore(MemoryJobStore, KeptStore):  # type: ignore[misc]
    """APScheduler's memory store. What it holds was never pickled; its states are made when they are asked for."""

    def states(self) -> dict[str, bytes]:
        return {job.id: pickled(job) for job in self.get_all_jobs()}

    def state(self, job_id: str) -> bytes | None:
        job = self.lookup_job(job_id)
        return None if job is None else pickled(job)
