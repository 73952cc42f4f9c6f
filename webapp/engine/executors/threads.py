"""Runs in threads of the leader's process: the default, right for work that waits for networks, files and databases."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import ClassVar

from webapp.engine.claims import Claim
from webapp.engine.executors.base import RunExecutor
from webapp.engine.runner import execute
from webapp.engine.sink import LiveSink


class ThreadPoolExecutor(RunExecutor):
    """A pool of daemon threads, made as they are needed.

    A thread cannot be ended from outside: stop and time limit are told to the task, which must ask. Daemon, because
    a task that ignores them must not keep a stopping server alive for ever.
    """

    kind: ClassVar[str] = "threadpool"
    can_stop: ClassVar[bool] = False

    def __init__(self, max_workers: int = 10) -> None:
        super().__init__(max_workers)
        self._inbox: SimpleQueue[Claim | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._sinks: dict[int, LiveSink] = {}
        self._guard = threading.Lock()

    def launch(self, claim: Claim) -> None:
        with self._guard:
            if self._idle > 0:
                self._idle -= 1
            else:
                number = len(self._threads) + 1
                thread = threading.Thread(
                    target=self._work, args=(self._inbox,), name=f"carillon-worker-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        self._inbox.put(claim)

    def stop_run(self, run_id: int) -> None:
        sink = self._sinks.get(run_id)
        if sink is not None:
            sink.stop()

    def shutdown(self, wait: bool = True) -> None:
        """Let idle threads end; threads that still work end after their run."""
        with self._guard:
            threads, self._threads, self._idle = self._threads, [], 0
            inbox, self._inbox = self._inbox, SimpleQueue()
        for _ in threads:
            inbox.put(None)

    def _work(self, inbox: SimpleQueue[Claim | None]) -> None:
        while (claim := inbox.get()) is not None:
            sink = self._sinks[claim.run_id] = LiveSink(claim, self._report)
            outcome = execute(claim, sink, self._app_context)
            del self._sinks[claim.run_id]
            with self._guard:
                if inbox is self._inbox:
                    self._idle += 1
            self._report(outcome)
