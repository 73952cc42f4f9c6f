"""Jobs in a table of any database that SQLAlchemy speaks to."""

from __future__ import annotations

from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from sqlalchemy import and_, select

from webapp.store.database import engine_options
from webapp.store.jobstores.base import KeptStore
from webapp.store.types import key


class SqlStore(KeptStore, SQLAlchemyJobStore):  # type: ignore[misc]
    """APScheduler's SQLAlchemy store on connections that are checked before use and do not wait for ever.

    A table that it makes tells ``Job`` and ``job`` apart on MariaDB, too.
    """

    def __init__(
        self,
        url: str,
        tablename: str = "apscheduler_jobs",
        tableschema: str | None = None,
        engine_options: dict[str, Any] | None = None,
    ) -> None:
        options = {**_options(url), **(engine_options or {})}
        super().__init__(url=url, tablename=tablename, tableschema=tableschema, engine_options=options)
        self.jobs_t.c.id.type = key()

    def start(self, scheduler: Any, alias: str) -> None:
        """As in APScheduler, without touching the server: ``open`` does that."""
        KeptStore.start(self, scheduler, alias)

    def open(self) -> None:
        self.jobs_t.create(self.engine, checkfirst=True)

    def states(self) -> dict[str, bytes]:
        with self.engine.begin() as connection:
            return dict(connection.execute(select(self.jobs_t.c.id, self.jobs_t.c.job_state)).all())

    def state(self, job_id: str) -> bytes | None:
        with self.engine.begin() as connection:
            data: bytes | None = connection.scalar(select(self.jobs_t.c.job_state).where(self.jobs_t.c.id == job_id))
            return data

    def _get_jobs(self, *conditions: Any) -> list[SchedulerJob]:
        query = select(self.jobs_t.c.id, self.jobs_t.c.job_state).where(and_(True, *conditions))
        with self.engine.begin() as connection:
            return self._readable(connection.execute(query).all())


def _options(url: str) -> dict[str, Any]:
    return {name: value for name, value in engine_options(url).items() if name not in ("pool_size", "max_overflow")}
