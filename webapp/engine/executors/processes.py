"""Each run in a process of its own, through Pebble: for work that computes, may crash, or must be ended for sure."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from concurrent.futures import CancelledError, TimeoutError
from multiprocessing.connection import Connection
from typing import Any, ClassVar

from pebble import ProcessExpired
from pebble.concurrent import process

from webapp import clock
from webapp.domain.states import RunState
from webapp.engine.claims import Claim, Outcome
from webapp.engine.executors.base import RunExecutor
from webapp.engine.executors.child import run_in_child
from webapp.engine.runner import over_limit
from webapp.engine.sink import LiveSink

_POLL_S = 0.1
# A fork of a process with threads may hang. The fork server is a clean process that has imported Carillon once, so
# that a run starts in milliseconds and shares nothing with the server or with other runs.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["webapp.children", "webapp.engine.executors.child"])


class ProcessPoolExecutor(RunExecutor):
    """One process for each run; at most ``max_workers`` at a time. Time limit and stop are certain."""

    kind: ClassVar[str] = "processpool"
    can_stop: ClassVar[bool] = True

    def __init__(self, max_workers: int = 2) -> None:
        super().__init__(max_workers)
        self._going: dict[int, tuple[LiveSink, Any]] = {}

    def launch(self, claim: Claim) -> None:
        name = f"carillon-run-{claim.run_id}"
        threading.Thread(target=self._attend, args=(claim, name), name=name, daemon=True).start()

    def stop_run(self, run_id: int) -> None:
        found = self._going.get(run_id)
        if found is not None:
            found[0].stop()
            found[1].cancel()

    def shutdown(self, wait: bool = True) -> None:
        """End the processes that are still there; who waits for them does so before."""
        for run_id in list(self._going):
            self.stop_run(run_id)

    def _attend(self, claim: Claim, name: str) -> None:
        """Start the process, pass on what it says, report how it ended."""
        sink = LiveSink(claim, self._report)
        try:
            reader, writer = _CONTEXT.Pipe(duplex=False)
            start = process(name=name, daemon=False, timeout=claim.timeout_s, mp_context=_CONTEXT)(run_in_child)
            future = start(self.child_setup, claim, writer)
            self._going[claim.run_id] = (sink, future)
            writer.close()
            self._listen(reader, sink, future)
            outcome = self._outcome(claim, sink, future)
        except Exception as error:
            outcome = Outcome(
                claim.run_id, RunState.FAILED, clock.now(), error=f"Its process could not be started: {error}"[:1000]
            )
        self._going.pop(claim.run_id, None)
        sink.close(outcome.finished_at)
        self._report(outcome)

    @staticmethod
    def _listen(reader: Connection, sink: LiveSink, future: Any) -> None:
        """Until the process has ended: a grandchild may hold the pipe open for longer."""
        with reader:
            while True:
                try:
                    if reader.poll(_POLL_S):
                        name, values = reader.recv()
                        getattr(sink, name)(*values)
                    elif future.done():
                        return
                except (EOFError, OSError):
                    return

    @staticmethod
    def _outcome(claim: Claim, sink: LiveSink, future: Any) -> Outcome:
        try:
            ended: Outcome = future.result()
        except (CancelledError, TimeoutError, ProcessExpired) as error:
            return _ended(claim, sink, error)
        except BaseException as error:
            text = f"Its process did not answer: {type(error).__name__}: {error}"
            return Outcome(claim.run_id, RunState.FAILED, clock.now(), error=text[:1000])
        return ended


def _ended(claim: Claim, sink: LiveSink, error: BaseException) -> Outcome:
    now = clock.now()
    if sink.was_stopped or isinstance(error, CancelledError):
        return Outcome(claim.run_id, RunState.CANCELLED, now, reason="Its process was ended.")
    if isinstance(error, TimeoutError):
        text = over_limit(claim, now)
        return Outcome(claim.run_id, RunState.TIMED_OUT, now, error=text, reason=f"{text} Its process was ended.")
    return Outcome(claim.run_id, RunState.FAILED, now, error=_exit_words(getattr(error, "exitcode", None)))


def _exit_words(code: int | None) -> str:
    if code is None:
        return "Its process ended without an answer."
    if code >= 0:
        return f"Its process ended with exit code {code} before the task was done."
    try:
        return f"Its process was killed by signal {-code} ({signal.Signals(-code).name})."
    except ValueError:
        return f"Its process was killed by signal {-code}."
