"""While the database is away, jobs that the code declares may run from memory, if the settings allow it.

One process only: nothing but the database could keep two from acting on the same due time. The runs are written into
the ledger when the database is back; a process that ends before that takes them with it, and says so in its log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from flask import Flask

from webapp import clock
from webapp.domain.states import RunState
from webapp.engine.claims import Claim, Line, Outcome, Progress
from webapp.engine.executors import ThreadPoolExecutor
from webapp.engine.executors.child import ChildSetup
from webapp.services import due
from webapp.services.adoption import MemoryJob, MemoryRun, adopt
from webapp.services.definitions import Definition
from webapp.services.schedule_cache import schedule_of

REASON = "It ran from memory: the database was away."
SLEEP_MAX_S = 0.5

log = logging.getLogger(__name__)


class MemoryFallback:
    """Serves declared jobs from memory between ``begin`` and ``end``; what ran waits for ``hand_over``."""

    def __init__(self, app: Flask, definitions: Callable[[], Sequence[Definition]], max_workers: int = 10) -> None:
        self._app = app
        self._definitions = definitions
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._jobs: list[MemoryJob] = []
        self._runs: dict[int, MemoryRun] = {}
        self._adopted: dict[int, int] = {}
        self._forward: Callable[[Line | Progress | Outcome], None] | None = None
        self._last_key = 0
        self._since = self._until = clock.now()
        self.is_serving = False
        self._pool = ThreadPoolExecutor(max_workers)
        self._pool.bind(self._take, app.app_context, ChildSetup("", None, ()))

    @property
    def has_runs(self) -> bool:
        """Whether something waits to be written into the ledger."""
        return bool(self._jobs)

    def begin(self, now: datetime) -> None:
        """Serve the declared jobs from now on, or go on where the database came back for too short a time."""
        with self._lock:
            if self.is_serving:
                return
            if not self._jobs:
                with self._app.app_context():
                    jobs = [self._job(each, now) for each in self._definitions()]
                self._since = now
                self._jobs = [job for job in jobs if job is not None]
            if not self._jobs:
                return
            log.warning("the database is away: %d declared jobs run from memory until it is back", len(self._jobs))
            self.is_serving = True
            self._stop.clear()
        threading.Thread(target=self._loop, name="carillon-memory", daemon=True).start()

    def _job(self, definition: Definition, now: datetime) -> MemoryJob | None:
        """None when its schedule cannot be built: a shared calendar that it names may be in the database only."""
        try:
            return MemoryJob(definition, schedule_of(_row(definition, None)).next_after(now))
        except Exception:
            log.exception("the declared job %s cannot run from memory", definition.id)
            return None

    def tick(self, now: datetime) -> None:
        """Act on the due times up to ``now``, by the same rules as the due pass."""
        with self._lock:
            for job in self._jobs if self.is_serving else ():
                if job.next_due_at is not None and job.next_due_at <= now:
                    self._act(job, now)

    def end(self, now: datetime) -> None:
        """Serve what is due up to ``now``, and nothing after it."""
        with self._lock:
            if self.is_serving:
                self.tick(now)
                self.is_serving, self._until = False, now
        self._stop.set()

    def hand_over(self, worker_id: str, receive: Callable[[Claim, int], None],
                  report: Callable[[Line | Progress | Outcome], None]) -> None:  # fmt: skip
        """Write what ran into the ledger, in an app context. ``receive`` gets each run that still goes on, with the
        number of log lines that stand already; what it says from now on goes to ``report``. Raises when the database
        is away again: then everything is kept.
        """
        with self._lock:
            ids = adopt(self._jobs, self._since, self._until, worker_id)
            for run in [run for job in self._jobs for run in job.runs]:
                if run.values["state"] == RunState.RUNNING:
                    receive(_claim(run, ids[run.key]), len(run.lines))
            self._adopted.update(ids)
            self._forward = report
            log.warning("the database is back: %d runs from memory are in the ledger", len(ids))
            self._jobs, self._runs = [], {}

    def _loop(self) -> None:
        while not self._stop.wait(SLEEP_MAX_S):
            try:
                self.tick(clock.now())
            except Exception:
                log.exception("serving from memory failed; it goes on")

    def _act(self, job: MemoryJob, now: datetime) -> None:
        row = _row(job.definition, job.next_due_at)
        active = sum(run.values["state"] == RunState.RUNNING for run in job.runs)
        decisions, job.next_due_at = due.judge(row, now, active, None)
        for decision in decisions:
            self._last_key -= 1
            run = MemoryRun(self._last_key, due.run_row(row, decision, now, None))
            run.values["reason"] = f"{REASON} {run.values['reason'] or ''}".strip()
            job.runs.append(run)
            if run.values["state"] == RunState.QUEUED:
                run.values |= {"state": RunState.RUNNING.value, "started_at": now}
                self._runs[run.key] = run
                self._pool.launch(_claim(run, run.key))

    def _take(self, message: Line | Progress | Outcome) -> None:
        """What a run from memory says: kept until it is adopted, passed on under its new number afterwards."""
        with self._lock:
            run = self._runs.get(message.run_id)
            if run is None:
                self._pass_on(message)
            elif isinstance(message, Line):
                run.lines.append(message.text)
            elif isinstance(message, Outcome):
                told = {"state": message.state.value, "finished_at": message.finished_at, "result": message.result}
                told |= {"error": message.error, "traceback": message.traceback}
                run.values |= told | ({"reason": f"{REASON} {message.reason}"[:500]} if message.reason else {})

    def _pass_on(self, message: Line | Progress | Outcome) -> None:
        real = self._adopted.get(message.run_id)
        if real is not None and self._forward is not None:
            self._forward(type(message)(**{**vars(message), "run_id": real}))


def _row(definition: Definition, next_due_at: datetime | None) -> Any:
    """A definition as the due pass reads a job."""
    return SimpleNamespace(**definition.columns(), next_due_at=next_due_at, revision=0)


def _claim(run: MemoryRun, run_id: int) -> Claim:
    values = run.values
    return Claim(
        run_id=run_id,
        job_id=values["job_id"],
        job_name=values["job_name"],
        task=values["task"],
        args=values["args"],
        kwargs=values["kwargs"],
        trigger=values["trigger"],
        attempt=1,
        due_at=values["due_at"],
        timeout_s=values["timeout_s"],
        executor="default",
        started_at=values["started_at"],
        follow_up=values["follow_up"],
    )
