"""Runs on other machines, through Celery: the leader sends a run's number, a worker starts it."""

from __future__ import annotations

from typing import Any, ClassVar

from webapp.engine import broker
from webapp.engine.claims import Claim
from webapp.engine.executors.base import RunExecutor
from webapp.engine.sender import Sender

INNER = ("processpool", "threadpool", "asyncio")


class CeleryExecutor(RunExecutor):
    """At most ``max_workers`` runs are with Celery at a time, waiting at the broker or running; the rest stays queued
    here, where limits and priorities are kept. ``inner`` is the kind of executor that a worker runs them with.
    """

    kind: ClassVar[str] = "celery"
    can_stop: ClassVar[bool] = True
    is_remote: ClassVar[bool] = True

    def __init__(
        self,
        broker_url: Any = None,
        queue: str = "carillon",
        max_workers: int = 100,
        inner: str = "processpool",
        transport_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(max_workers)
        self.broker_url = broker.check(broker_url)
        if not isinstance(queue, str) or not queue or len(queue) > 100 or not queue.isprintable():
            raise ValueError(f"queue must be a name of 1 to 100 characters, not {queue!r}")
        if inner not in INNER:
            raise ValueError(f"inner must be one of {', '.join(INNER)}, not {inner!r}")
        self.queue = queue
        self.inner = inner
        self.transport_options = dict(transport_options or {})
        self._sender: Sender | None = None

    def start(self, scheduler: Any, alias: str) -> None:
        super().start(scheduler, alias)
        celery = broker.make(self.broker_url, [self.queue], self.transport_options, receives=False)
        self._sender = Sender(alias, self.max_workers, celery, scheduler)
        self._sender.start()

    def shutdown(self, wait: bool = True) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def wake(self) -> None:
        if self._sender is not None:
            self._sender.wake()

    def launch(self, claim: Claim) -> None:
        raise NotImplementedError("A worker of Celery starts these runs.")

    def stop_run(self, run_id: int) -> None:
        """The sender looks for stop requests itself."""
