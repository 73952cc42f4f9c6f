"""Jobs in a MongoDB collection."""

from __future__ import annotations

from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.mongodb import MongoDBJobStore

from webapp.store.jobstores.base import KeptStore

WAITS = {"serverSelectionTimeoutMS": 3000, "connectTimeoutMS": 3000, "socketTimeoutMS": 5000}


class MongoStore(KeptStore, MongoDBJobStore):  # type: ignore[misc]
    """APScheduler's MongoDB store, which does not wait for ever for a server that is silent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(options if options.get("client") else {**WAITS, **options}))

    def start(self, scheduler: Any, alias: str) -> None:
        """As in APScheduler, without touching the server: ``open`` does that."""
        KeptStore.start(self, scheduler, alias)

    def open(self) -> None:
        self.collection.create_index("next_run_time", sparse=True)

    def states(self) -> dict[str, bytes]:
        return {each["_id"]: bytes(each["job_state"]) for each in self.collection.find({}, ["_id", "job_state"])}

    def state(self, job_id: str) -> bytes | None:
        document = self.collection.find_one(job_id, ["job_state"])
        return None if document is None else bytes(document["job_state"])

    def _get_jobs(self, conditions: Any) -> list[SchedulerJob]:
        found = self.collection.find(conditions, ["_id", "job_state"])
        return self._readable((str(each["_id"]), bytes(each["job_state"])) for each in found)
