"""A worker process: its heartbeat, its executors, and the recorder that starts and ends its runs in the ledger."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from flask import Flask

from webapp import clock
from webapp.engine.executors import KINDS, CeleryExecutor, RunExecutor
from webapp.engine.executors.child import ChildSetup
from webapp.engine.worker.starter import Starter
from webapp.services import heartbeat, liveness, recovery, sending
from webapp.store import lease
from webapp.store.database import writing
from webapp.store.models import Worker

log = logging.getLogger(__name__)


class Host:
    """Runs what arrives, ``slots`` at a time. ``settled`` is told, in any thread, which run's message is done with."""

    def __init__(
        self,
        app: Flask,
        remote: Mapping[str, CeleryExecutor],
        slots: int,
        name: str,
        settled: Callable[[int], None],
    ) -> None:
        self._app = app
        self._slots = slots
        self._name = name
        self._remote = remote
        self.id = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._stopping = threading.Event()
        self._left = False
        self._full_at = clock.monotonic()
        self._executors = {alias: self._inner(executor) for alias, executor in remote.items()}
        self.recorder = Starter(app, self._worker, self._executors, slots, settled)
        child = ChildSetup("webapp:create_app", app.config["CARILLON"], tuple(sys.path))
        for executor in self._executors.values():
            executor.bind(self.recorder.report, app.app_context, child)
        self._beat = threading.Thread(target=self._beat_loop, name="carillon-heartbeat", daemon=True)

    def _inner(self, executor: CeleryExecutor) -> RunExecutor:
        """What really runs here: a thread, process or coroutine for each run."""
        return KINDS[executor.inner](max_workers=self._slots)

    def start(self, scheduler: Any) -> None:
        """Show that this worker lives, then be ready. ``scheduler`` stays as it is; executors ask it for locks."""
        with self._app.app_context():
            heartbeat.alive(self._worker())
        for alias, executor in self._executors.items():
            executor.start(scheduler, alias)
        self.recorder.start()
        self._beat.start()
        log.info("worker %s runs at most %d runs of %s at a time", self.id, self._slots, ", ".join(self._executors))

    def want(self, run_id: int) -> None:
        """A message for this run has arrived."""
        self.recorder.want(run_id)

    def stop_run(self, run_id: int) -> None:
        """Somebody revoked it at Celery: end it, and write down that it was asked to end."""
        for executor in self._executors.values():
            executor.stop_run(run_id)
        try:
            with self._app.app_context(), writing() as session:
                sending.note_revoked(session, run_id, clock.now())
        except Exception:
            log.exception("the ledger could not be told that run %d was revoked; it ends all the same", run_id)

    def stop(self, wait_s: float) -> None:
        """Start nothing more, let runs end for ``wait_s`` seconds, record the rest as lost, leave. Once only."""
        if self._left:
            return
        self._left = True
        self._stopping.set()
        self.recorder.stop_claiming()
        until = clock.monotonic() + wait_s
        pause = threading.Event()
        while not self.recorder.idle() and clock.monotonic() < until:
            pause.wait(0.05)
        left = self.recorder.active_ids()
        self.recorder.close(timeout_s=10.0)
        for executor in self._executors.values():
            executor.shutdown()
        try:
            with self._app.app_context():
                if left:
                    reason = "stopped: the worker was stopped and did not wait any longer for this run."
                    with writing() as session:
                        recovery.lose_own(session, left, reason, clock.now())
                heartbeat.leave(self.id, None)
        except Exception:
            log.exception("the database could not be told that this worker stops; the leader will notice by itself")

    def _beat_loop(self) -> None:
        failures = 0
        while not self._stopping.wait(lease.RENEW_EVERY_S):
            try:
                with self._app.app_context():
                    heartbeat.alive(self._worker())
                failures = 0
            except Exception:
                failures += 1
                if failures in (1, 10) or failures % 100 == 0:
                    log.exception("the heartbeat could not be written (try %d)", failures)

    def _worker(self) -> Worker:
        """This process as the others see it."""
        recorder: Starter | None = getattr(self, "recorder", None)
        active = recorder.active if recorder is not None else {}
        runs = sorted(recorder.active_ids()) if recorder is not None else []
        waiting = recorder.waiting if recorder is not None else 0
        if len(runs) + waiting >= self._slots:
            self._full_at = clock.monotonic()
        return Worker(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            detail={
                "kind": "celery",
                "name": self._name,
                "identity": liveness.identity(),
                "stopping": self._stopping.is_set(),
                "runs": runs[:50],
                "free_s": round(clock.monotonic() - self._full_at, 1),
                "executors": {
                    alias: {"kind": remote.inner, "max_workers": self._slots, "active": active.get(alias, 0)}
                    for alias, remote in self._remote.items()
                },
            },
        )
