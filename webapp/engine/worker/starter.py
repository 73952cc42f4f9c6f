"""The recorder of a worker: it starts the runs that messages name, where the leader's claims queued ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from webapp.engine.executors import RunExecutor
from webapp.engine.recorder import Batch, Recorder
from webapp.services import ledger, sending
from webapp.store.models import Worker


class Starter(Recorder):
    """Each round starts the runs that have arrived, as many as there are free slots, in the transaction that also
    writes what the others reported. Until it is committed nothing runs, and the messages wait.
    """

    def __init__(
        self,
        app: Flask,
        worker: Callable[[], Worker],
        executors: Mapping[str, RunExecutor],
        slots: int,
        settled: Callable[[int], None],
    ) -> None:
        super().__init__(app, worker().id, executors, lambda: None, self._tell)
        self._worker = worker
        self._slots = slots
        self._settled = settled
        self._arrived: deque[int] = deque()
        self._starting: list[int] = []

    def want(self, run_id: int) -> None:
        """A message for this run is here. ``settled`` is called with its number when the message is done with: the run
        has ended, or is not for this worker to start.
        """
        self._arrived.append(run_id)
        self.wake()

    @property
    def waiting(self) -> int:
        """How many messages wait for the database."""
        return len(self._arrived)

    def _round(self, pending: Batch) -> None:
        self._starting = []
        super()._round(pending)
        for run_id in self._starting:
            self._arrived.popleft()
            if run_id not in self._claims:
                self._settled(run_id)
        if self._arrived:
            self.wake()

    def _anything_to_claim(self, now: datetime) -> bool:
        return bool(self._arrived)

    def _claim(self, session: Session, free: Mapping[str, int], now: datetime) -> ledger.Claimed:
        taken = sum(self._slots - free.get(alias, 0) for alias in self._executors)
        self._starting = list(self._arrived)[: max(0, self._slots - taken)]
        if not self._starting:
            return ledger.Claimed()
        return sending.start(session, self._starting, self._worker(), now)

    def _tell(self, written: Any) -> None:
        for ended in written.ended:
            self._settled(ended.run_id)
