"""Bare APScheduler with one of its own job stores, as its documentation shows it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import create_engine, event

from bench.contenders.base import SETTLE_S, WORKERS, Contender, Every, Started, metered
from bench.contenders.memory import memory_mb


def nothing() -> None:
    """The job."""


class Still(BaseScheduler):  # type: ignore[misc]
    """A scheduler without a loop: its rounds are asked for one by one."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def wakeup(self) -> None:
        pass


class BareScheduler(Contender):
    """Its grace is None, so that a round that takes long loses nothing; with the default of 1 s it would."""

    def __init__(self, folder: Path, **options: str) -> None:
        super().__init__(folder)
        self.kind = options.get("store", "")
        self.scheduler: BaseScheduler | None = None
        self._not_run: Counter[str] = Counter()

    # -- what django-apscheduler does otherwise --------------------------------------------------------------------

    def job_store(self) -> BaseJobStore:
        if self.kind == "memory":
            return MemoryJobStore()
        engine = create_engine(f"sqlite:///{self.folder / 'jobs.sqlite'}")
        if self.kind == "wal":
            event.listen(engine, "connect", _wal)
        return SQLAlchemyJobStore(engine=engine)

    def fill(self, store: BaseJobStore, states: list[dict[str, Any]]) -> None:
        """Put jobs into a store quickly."""
        rows = [
            {
                "id": state["id"],
                "next_run_time": state["next_run_time"].timestamp(),
                "job_state": pickle.dumps(state, store.pickle_protocol),
            }
            for state in states
        ]
        with store.engine.begin() as connection:
            connection.execute(store.jobs_t.insert(), rows)

    # -- a contender -----------------------------------------------------------------------------------------------

    def _configure(self, kind: type[BaseScheduler]) -> BaseScheduler:
        self._store = self.job_store()
        scheduler = kind(
            jobstores={"default": self._store},
            executors={"default": ThreadPoolExecutor(WORKERS)},
            timezone=UTC,
        )
        scheduler.add_listener(self._executed, EVENT_JOB_EXECUTED)
        scheduler.add_listener(self._noted, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        return scheduler

    def _executed(self, event: Any) -> None:
        self.starts.append(Started(time.time(), event.scheduled_run_time.timestamp()))

    def _noted(self, event: Any) -> None:
        names = {EVENT_JOB_ERROR: "failed", EVENT_JOB_MISSED: "missed", EVENT_JOB_MAX_INSTANCES: "skipped"}
        self._not_run[names[event.code]] += 1

    def store(self, jobs: int, first_due_at: datetime, every: Every) -> None:
        if self.scheduler is None:
            self.scheduler = self._configure(BackgroundScheduler)
        self._add(self.scheduler, jobs, first_due_at, every)

    def _add(self, scheduler: BaseScheduler, jobs: int, first_due_at: datetime, every: Every) -> None:
        trigger: Any = IntervalTrigger(seconds=every.seconds, start_date=first_due_at, timezone=UTC)
        if every.cron:
            trigger = CronTrigger(second=f"*/{every.seconds}", timezone=UTC)
        scheduler.start(paused=True)
        model = scheduler.add_job(
            nothing, trigger, id="model", misfire_grace_time=None, next_run_time=first_due_at, name="nothing"
        )
        if isinstance(self._store, MemoryJobStore):
            for number in range(jobs):
                scheduler.add_job(
                    nothing, trigger, id=f"job-{number}", misfire_grace_time=None, next_run_time=first_due_at
                )
        else:
            state = model.__getstate__()
            self.fill(self._store, [{**state, "id": f"job-{number}"} for number in range(jobs)])
        scheduler.remove_job("model")

    def start(self) -> None:
        assert self.scheduler is not None
        self.scheduler.resume()

    def recorded(self) -> int:
        return len(self.starts)

    def not_run(self) -> dict[str, int]:
        return dict(self._not_run)

    def stop(self) -> None:
        """The process ends anyway; a shutdown would wait for a round that may take a minute."""

    def store_still(self, jobs: int, first_due_at: datetime) -> None:
        self.scheduler = self._configure(Still)
        self._add(self.scheduler, jobs, first_due_at, Every(3600))
        self.scheduler.resume()

    def wake_up(self, job_number: int) -> float:
        if not isinstance(self.scheduler, Still):
            raise TypeError("wake-ups are measured without a loop")
        self.scheduler.modify_job(f"job-{job_number}", next_run_time=datetime.now(UTC))
        with metered() as meter:
            self.scheduler._process_jobs()
        return meter.wall_s

    def cold_start(self) -> dict[str, float]:
        name = type(self).__module__
        options = json.dumps({"store": self.kind})
        command = [sys.executable, "-m", "bench.contenders", name, options, "idle", "{}"]
        folder = self.folder / "cold"
        folder.mkdir()
        began = time.perf_counter()
        with subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while process.stdout.readline().strip() != "ready":
                assert process.poll() is None
            start_s = time.perf_counter() - began
            time.sleep(SETTLE_S)
            memory = memory_mb(process.pid)
            process.kill()
        return {"start_s": start_s, "memory_mb": memory}

    def first_page(self) -> float:
        assert self.scheduler is not None
        with metered() as meter:
            self.scheduler.get_jobs()
        return meter.wall_s


def _wal(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


contender = BareScheduler
