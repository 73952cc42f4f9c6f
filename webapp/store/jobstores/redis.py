"""Jobs in a Redis database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.redis import RedisJobStore
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp.store.jobstores.base import KeptStore

WAITS = {"socket_connect_timeout": 3, "socket_timeout": 5, "health_check_interval": 15}


class RedisStore(KeptStore, RedisJobStore):  # type: ignore[misc]
    """APScheduler's Redis store, which does not wait for ever for a server that is silent."""

    def __init__(self, **options: Any) -> None:
        if options.get("decode_responses"):
            raise ValueError("decode_responses cannot be used: states are bytes")
        once_more = Retry(NoBackoff(), 1)  # a connection that the server has closed meanwhile; more would be waiting
        super().__init__(**{**WAITS, "retry": once_more, **options})

    def open(self) -> None:
        self.redis.ping()

    def states(self) -> dict[str, bytes]:
        return {job_id.decode(): data for job_id, data in self.redis.hgetall(self.jobs_key).items()}

    def state(self, job_id: str) -> bytes | None:
        data: bytes | None = self.redis.hget(self.jobs_key, job_id)
        return data

    def _reconstitute_jobs(self, job_states: Iterable[tuple[bytes, bytes | None]]) -> list[SchedulerJob]:
        return self._readable((job_id.decode(), data) for job_id, data in job_states if data is not None)
