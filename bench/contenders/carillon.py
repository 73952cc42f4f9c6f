"""Carillon itself, as a serving process runs it: its own settings, its scheduler, an embedded database."""

from __future__ import annotations

import logging
import shutil
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, inspect, select

from bench.contenders import served, tasks
from bench.contenders.base import SETTLE_S, WORKERS, Contender, Every, metered
from bench.contenders.memory import memory_mb
from webapp import create_app, serving
from webapp.domain.states import JobState, Role, RunState
from webapp.engine.scheduler import CarillonScheduler
from webapp.extensions import db
from webapp.services import heartbeat, jobs, users
from webapp.services.actors import Actor
from webapp.settings import Settings
from webapp.store.database import writing
from webapp.store.models import Job, JobRevision, Run

BENCH = Actor("bench", Role.ADMIN, "code")
PASSWORD = "correct horse"
PAGES = ("/", "/jobs", "/runs")


class Carillon(Contender):
    """The scheduler runs in this process, without pages unless one is asked for."""

    def __init__(self, folder: Path, **options: str) -> None:
        super().__init__(folder)
        settings = Settings(instance_path=folder, max_workers=WORKERS, _env_file=None)  # type: ignore[call-arg]
        logging.basicConfig(level=logging.WARNING)
        _migrate(settings, folder.parent / "migrated.sqlite")
        self.app = create_app(settings)
        self.app.config.update(RATELIMIT_ENABLED=False, WTF_CSRF_ENABLED=False, TESTING=True)
        self.starts = tasks.starts
        self._moment = datetime.now(UTC)

    @property
    def scheduler(self) -> CarillonScheduler:
        inner = serving.scheduler_of(self.app).scheduler
        assert isinstance(inner, CarillonScheduler)
        return inner

    def store(self, jobs: int, first_due_at: datetime, every: Every) -> None:
        with self.app.app_context():
            store_jobs(jobs, first_due_at, every)

    def start(self) -> None:
        serving.prepare(self.app)
        serving.start(self.app)

    def recorded(self) -> int:
        return self._count(RunState.SUCCEEDED)

    def not_run(self) -> dict[str, int]:
        states = (RunState.SKIPPED, RunState.MISSED, RunState.FAILED, RunState.LOST)
        return {state.value: number for state in states if (number := self._count(state))}

    def _count(self, state: RunState) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.count()).where(Run.state == state)) or 0

    def stop(self) -> None:
        serving.scheduler_of(self.app).shutdown(wait=False)

    def store_still(self, jobs: int, first_due_at: datetime) -> None:
        self.store(jobs, first_due_at, Every(3600))
        self._moment = first_due_at - timedelta(seconds=1800)
        scheduler = self.scheduler
        scheduler.begin()
        with self.app.app_context():
            users.create("bench", PASSWORD, Role.ADMIN, actor=BENCH, now=datetime.now(UTC))
            scheduler.held = heartbeat.take(scheduler._worker(), datetime.now(UTC))

    def wake_up(self, job_number: int) -> float:
        self._moment += timedelta(seconds=1)
        scheduler = self.scheduler
        with self.app.app_context():
            with writing() as session:
                job = session.get_one(Job, f"job-{job_number}")
                job.next_due_at = self._moment
            scheduler._last_beat = mono = time.monotonic()
            scheduler._clocks = None
            with metered() as meter:
                scheduler.round(self._moment, mono)
        return meter.wall_s

    def cold_start(self) -> dict[str, float]:
        """The first start makes the database; the second finds it. Usable: the page after the login is here."""
        folder = self.folder / "cold"
        folder.mkdir()
        first_s, _ = self._started(folder)
        start_s, memory = self._started(folder)
        return {"first_start_s": first_s, "start_s": start_s, "memory_mb": memory}

    @staticmethod
    def _started(folder: Path) -> tuple[float, float]:
        with served.serving(folder) as server:
            began = time.perf_counter()
            server.start(wait=False)
            while True:
                try:
                    served.Browser(server.url).get("/login")
                    break
                except OSError:
                    time.sleep(0.01)
            took_s = time.perf_counter() - began
            browser = served.Browser(server.url)
            browser.log_in()
            for page in PAGES:
                browser.get(page)
            time.sleep(SETTLE_S)
            assert server.process is not None
            return took_s, memory_mb(server.process.pid)

    def pages_during_burst(self, jobs: int) -> dict[str, float]:
        due_at = (datetime.now(UTC) + timedelta(seconds=9 + jobs / 4000)).replace(microsecond=0)
        self.store(jobs, due_at, Every(3600))
        with served.serving(self.folder, CARILLON_TASK_MODULES="bench.contenders.tasks") as server:
            server.start()
            browser = served.Browser(server.url)
            browser.log_in()
            idle = _visits(browser, lambda: time.time() > due_at.timestamp() - 0.1, warm_up=3)
            busy = _visits(browser, lambda: time.time() > due_at.timestamp() + 0.5 and self.recorded() >= jobs)
            took_s = time.time() - due_at.timestamp()
        return {
            "idle_worst_ms": max(idle) * 1000,
            "busy_worst_ms": max(busy) * 1000,
            "worst_times": max(busy) / max(idle),
            "idle_p50_ms": statistics.median(idle) * 1000,
            "busy_p50_ms": statistics.median(busy) * 1000,
            "busy_pages": len(busy),
            "runs_per_s": self.recorded() / took_s,
        }

    def first_page(self) -> float:
        client = self.app.test_client()
        assert client.post("/login", data={"name": "bench", "password": PASSWORD}).status_code == 303
        with metered() as meter:
            answer = client.get("/jobs")
        assert answer.status_code == 200, answer.status
        return meter.wall_s


def _migrate(settings: Settings, template: Path) -> None:
    """Give the folder an empty database; migrated once in a bench, then copied."""
    target = settings.instance_path / "carillon.sqlite"
    if not template.exists():
        app = create_app(settings)
        with app.app_context():
            serving.upgrade_database(settings)
            db.session.remove()
            db.engine.dispose()
        shutil.copy(target, template)
    else:
        shutil.copy(template, target)


def _visits(browser: served.Browser, enough: Callable[[], bool], warm_up: int = 0) -> list[float]:
    """Seconds of each page, one after the other as a hurried person would click; each page is seen at least once."""
    taken: list[float] = []
    for _ in range(warm_up):
        for page in PAGES:
            browser.get(page)
    while not taken or not enough():
        taken += [browser.get(page) for page in PAGES]
        time.sleep(0.02)
    return taken


def store_jobs(number: int, first_due_at: datetime, every: Every) -> None:
    """Make one job as a person would, and the others like it, with all that a new job has in the database."""
    trigger: dict[str, Any] = {"kind": "interval", "seconds": every.seconds, "start_date": first_due_at.isoformat()}
    if every.cron:
        trigger = {"kind": "cron", "second": f"*/{every.seconds}"}
    raw = {"id": "job-0", "name": "nothing", "task": "bench.nothing", "trigger": {**trigger, "timezone": "UTC"}}
    job = jobs.create(raw, actor=BENCH, now=datetime.now(UTC))
    assert job.state == JobState.ACTIVE
    revision = jobs.revisions("job-0")[0]
    with writing() as session:
        for start in range(1, number, 5_000):
            ids = [f"job-{index}" for index in range(start, min(number, start + 5_000))]
            session.execute(insert(Job), [{**_columns(job), "id": each, "name": f"Nothing {each}"} for each in ids])
            model = _columns(revision)
            del model["id"]
            session.execute(insert(JobRevision), [{**model, "job_id": job_id} for job_id in ids])


def _columns(row: Job | JobRevision) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}


contender = Carillon
