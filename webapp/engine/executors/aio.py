"""Runs in an event loop of their own thread: right for ``async def`` tasks that wait a lot."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

from webapp.engine.claims import Claim, Outcome
from webapp.engine.executors.base import RunExecutor
from webapp.engine.runner import closed, execute, prepared, raised, result_text, returned, surroundings
from webapp.engine.sink import LiveSink
from webapp.tasks import registry


class AsyncIOExecutor(RunExecutor):
    """Many coroutines in one loop. A coroutine that is to stop, or is over its time limit, is cancelled at
    its next ``await``. A plain function gets a thread, so that it cannot hold up the others, and is told as there.
    """

    kind: ClassVar[str] = "asyncio"
    can_stop: ClassVar[bool] = True

    def __init__(self, max_workers: int = 100) -> None:
        super().__init__(max_workers)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._going: dict[int, tuple[LiveSink, asyncio.Task[None]]] = {}
        self._threads: dict[int, LiveSink] = {}

    def start(self, scheduler: Any, alias: str) -> None:
        super().start(scheduler, alias)
        loop = self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, args=(loop,), name=f"carillon-asyncio-{alias}", daemon=True).start()

    def shutdown(self, wait: bool = True) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def launch(self, claim: Claim) -> None:
        assert self._loop is not None
        sink = LiveSink(claim, self._report)
        task = registry.find(claim.task)
        if task is not None and task.is_async:
            self._loop.call_soon_threadsafe(self._begin, self._loop, claim, sink)
            return
        self._threads[claim.run_id] = sink
        threading.Thread(target=self._run_plain, args=(claim, sink), name=f"run {claim.run_id}", daemon=True).start()

    def stop_run(self, run_id: int) -> None:
        sink = self._threads.get(run_id)
        if sink is not None:
            sink.stop()
        elif self._loop is not None and run_id in self._going:
            self._loop.call_soon_threadsafe(self._cancel, run_id)

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def _begin(self, loop: asyncio.AbstractEventLoop, claim: Claim, sink: LiveSink) -> None:
        task = loop.create_task(self._run(claim, sink), name=f"run {claim.run_id}")
        self._going[claim.run_id] = (sink, task)
        if claim.timeout_s is not None:
            timer = loop.call_later(claim.timeout_s, task.cancel)
            task.add_done_callback(lambda _: timer.cancel())

    def _cancel(self, run_id: int) -> None:
        found = self._going.get(run_id)
        if found is not None and not found[0].was_stopped:
            found[0].stop()
            found[1].cancel()

    def _run_plain(self, claim: Claim, sink: LiveSink) -> None:
        outcome = execute(claim, sink, self._app_context)
        del self._threads[claim.run_id]
        self._report(outcome)

    async def _run(self, claim: Claim, sink: LiveSink) -> None:
        outcome = await self._outcome(claim, sink)
        del self._going[claim.run_id]
        self._report(outcome)

    async def _outcome(self, claim: Claim, sink: LiveSink) -> Outcome:
        try:
            with surroundings(claim, sink, self._app_context):
                task, args, kwargs = prepared(claim)
                result = result_text(await task.func(*args, **kwargs))
        except BaseException as error:  # as in runner.execute: whatever a task raises ends in a row
            return closed(sink, raised(claim, sink, error))
        return closed(sink, returned(claim, sink, result))
