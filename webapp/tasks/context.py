"""The run a task finds itself in: who it is, its log, its progress, and whether it should stop.

The context reaches the outside only through the ``RunSink`` that the engine hands in; it knows no table and no queue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, overload

from webapp.tasks.output import RunOutput, RunSink
from webapp.tasks.redaction import Redactor

LEVELS = ("debug", "info", "warning", "error", "critical")

Default = TypeVar("Default")


class Stopped(BaseException):
    """The run was asked to stop and its task agreed.

    Not an ``Exception``, like ``asyncio.CancelledError``: a task's ``except Exception`` around one item of its loop
    must not turn a stop into one more failed item.
    """


class OutsideRun(RuntimeError):
    """``current_run()`` was asked for where no run is going on."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What a task may know about its run and tell about itself. Safe to use from every thread of the task."""

    run_id: int
    job_id: str
    job_name: str
    task: str
    """The task's key."""
    attempt: int
    """1 for the first try."""
    due_at: datetime | None
    """The due time, aware UTC; None for a run that somebody asked for."""
    trigger: str
    """Why it runs: ``schedule``, ``manual``, ``retry``, ``chain``, ``api`` or ``catch-up``."""
    sink: RunSink = field(repr=False, compare=False)
    redactor: Redactor = field(default_factory=Redactor, repr=False, compare=False)
    clock: Callable[[], datetime] = field(default=_utc_now, repr=False, compare=False)
    _output: RunOutput = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_output", RunOutput(self.sink, self.clock, self.redactor))

    def secret(self, name: str) -> str:
        """The value of a secret that this run's arguments refer to. Raises KeyError for any other."""
        return self.redactor.values[name]

    def log(self, message: object, level: str = "info") -> None:
        """Write a line (or several) to the run's log. ``level``: debug, info, warning, error or critical."""
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
        self._output.say(level, str(message))

    def progress(self, fraction: float, text: str = "") -> None:
        """Show how far the task is: 0 to 1 (values outside are clamped), with a short text.

        A fraction that is no number (an empty total divided by zero, say) is noted in the log and changes nothing.
        """
        if math.isnan(fraction):
            self.log("Progress is not a number; the earlier progress stays", level="warning")
            return
        self._output.progress(float(min(max(fraction, 0.0), 1.0)), str(text))

    def should_stop(self) -> bool:
        """True once someone asked this run to stop or its time is over. Ask it in loops and end early."""
        return self._output.stop_requested()

    def check_stop(self) -> None:
        """Raise ``Stopped`` if the run should stop; the run is then recorded as cancelled or timed out."""
        if self.should_stop():
            raise Stopped(f"run {self.run_id} was asked to stop")


_active: ContextVar[RunContext | None] = ContextVar("carillon_run", default=None)
_REQUIRED = object()


@overload
def current_run() -> RunContext: ...
@overload
def current_run(default: Default) -> RunContext | Default: ...
def current_run(default: object = _REQUIRED) -> object:
    """The run this code belongs to.

    Works in the task's own thread, in its asyncio tasks and in ``asyncio.to_thread``. A thread that the task starts
    itself begins without a run; give it one::

        pool.submit(contextvars.copy_context().run, work, item)      # one copy for each call

    Raises OutsideRun where no run is going on, unless a default is given: ``current_run(None)``.
    """
    context = _active.get()
    if context is not None:
        return context
    if default is not _REQUIRED:
        return default
    raise OutsideRun(
        "There is no current run here. It exists only inside a task that Carillon runs; in a thread of your own, "
        "start the work with contextvars.copy_context().run(...). In tests, use webapp.tasks.testing.recorded_run()."
    )


@contextmanager
def activate(context: RunContext) -> Iterator[RunContext]:
    """Make ``context`` the current run of this thread or asyncio task; unfinished lines are flushed at the end."""
    token = _active.set(context)
    try:
        yield context
    finally:
        _active.reset(token)
        context._output.close()


def active_output() -> RunOutput | None:
    """Where captured lines of this thread or asyncio task belong, or None outside a run. For ``capture``."""
    context = _active.get()
    if context is None or context._output.is_closed:
        return None
    return context._output
