"""What happens inside the process of one run."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn

from webapp.engine.claims import Claim, Outcome
from webapp.engine.runner import execute
from webapp.engine.sink import LiveSink
from webapp.tasks import Stopped


@dataclass(frozen=True)
class ChildSetup:
    """How a child comes to an app of its own: a function (``module:name``) and the settings it takes."""

    factory: str
    settings: Any
    path: tuple[str, ...]

    def app(self) -> Any:
        sys.path[:] = self.path
        module, name = self.factory.split(":")
        return getattr(importlib.import_module(module), name)(self.settings)


class PipeSink(LiveSink):
    """Speaks through a pipe; bounds and stop are judged at its other end."""

    def __init__(self, claim: Claim, writer: Connection) -> None:
        super().__init__(claim, _nowhere)
        self._writer = writer

    def line(self, at: datetime, level: str, text: str) -> None:
        self._send("line", at, level, text)

    def progress(self, fraction: float, text: str) -> None:
        self._send("progress", fraction, text)

    def close(self, now: datetime) -> None:
        self._writer.close()

    def _send(self, name: str, *values: object) -> None:
        with self._lock:
            self._writer.send((name, values))


def _nowhere(message: object) -> None:
    """A child has no recorder."""


def run_in_child(setup: ChildSetup, claim: Claim, writer: Connection) -> Outcome:
    """Build an app without a scheduler, run the task, return its outcome."""
    sink = PipeSink(claim, writer)

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        sink.stop()
        raise Stopped("its process was asked to end")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="carillon-parent", daemon=True).start()
    app = setup.app()
    signal.signal(signal.SIGTERM, stop)
    outcome = execute(claim, sink, app.app_context)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what is left is to send it
    return outcome


def _end_with_parent() -> None:
    """A server or worker that was killed must not leave runs behind: the ledger calls them lost, or runs them again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)
