"""Celery's worker pool, as Carillon fills it: a message is a run, kept unacknowledged until the run has its outcome.

Celery connects, receives and acknowledges; what it calls a task is never called. All of Celery's callbacks are made in
its own loop, since its connections belong to that thread.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.concurrency.base import BasePool, apply_target
from celery.worker import state

from webapp.engine.broker import TASK
from webapp.engine.worker.host import Host

Callback = Callable[..., Any]


class Delivery:
    """A message that is being worked on; what Celery keeps of it, to end it when it is revoked."""

    def __init__(self, run_id: int, task_id: str, done: Callback, pool: RunPool) -> None:
        self.run_id = run_id
        self._task_id = task_id
        self._done = done
        self._pool = pool

    def terminate(self, signal: int) -> None:
        """Celery asks to end it: by ``revoke``, or because the worker stops at once."""
        if self._task_id in state.revoked:
            self._pool.revoke(self.run_id)
        else:
            self._pool.hurry = True

    def done(self) -> None:
        """Let Celery acknowledge the message."""
        self._done((False, None, 0.0))


class RunPool(BasePool):  # type: ignore[misc]  # Celery ships no types
    """Hands runs to a ``Host`` and tells Celery when they are done with."""

    body_can_be_buffer = True
    host: Host | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hurry = False
        self._deliveries: dict[int, Delivery] = {}
        self._settled: deque[int] = deque()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ring, False)

    def on_start(self) -> None:
        node = self.options.get("initargs", (None, "celery"))[1]
        queues = list(self.app.amqp.queues.consume_from)
        self.host = self.app.carillon.open(self.limit, node, queues, self._on_settled)

    def register_with_event_loop(self, hub: Any) -> None:
        hub.add_reader(self._bell, self._settle)

    def on_apply(self, target: Callback, args: Any = None, kwargs: Any = None, **options: Any) -> Delivery | None:
        """Take a run's message. Another task than ours can only be one of Celery's own: it is done in place."""
        name, task_id, request = args[:3]
        done, accepted = options["callback"], options["accept_callback"]
        if name != TASK:
            apply_target(target, args, kwargs, done, accepted)
            return None
        accepted(os.getpid(), time.monotonic())
        delivery = Delivery(int(request["args"][0]), task_id, done, self)
        if delivery.run_id in self._deliveries:  # it was sent twice
            delivery.done()
            return None
        assert self.host is not None
        self._deliveries[delivery.run_id] = delivery
        self.host.want(delivery.run_id)
        return delivery

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Nothing: ``pid`` is this worker's own; Celery ends the delivery next."""

    def revoke(self, run_id: int) -> None:
        if self.host is not None:
            self.host.stop_run(run_id)

    def on_stop(self) -> None:
        if self.host is not None:
            self.host.stop(0.0 if self.hurry else self.app.carillon.stop_wait_s)
        self._settle()

    def on_terminate(self) -> None:
        if self.host is not None:
            self.host.stop(0.0)

    def _on_settled(self, run_id: int) -> None:
        self._settled.append(run_id)
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._ring, b"!")

    def _settle(self) -> None:
        """Acknowledge what is done with; in Celery's loop."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 4096)
        while self._settled:
            delivery = self._deliveries.pop(self._settled.popleft(), None)
            if delivery is not None:
                delivery.done()
