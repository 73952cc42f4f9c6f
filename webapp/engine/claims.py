"""The values that pass between the recorder and the executors: a claimed run going out, what it says coming back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from webapp.domain.states import RunState


@dataclass(frozen=True)
class Claim:
    """A run that is ``running`` in the ledger and that this process must now start, once."""

    run_id: int
    job_id: str
    job_name: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    trigger: str
    attempt: int
    due_at: datetime | None
    timeout_s: float | None
    executor: str
    started_at: datetime
    follow_up: bool = False
    """Whether its job wants something done when it ends."""


@dataclass(frozen=True)
class Line:
    """One line of a run's log."""

    run_id: int
    text: str  # as it is stored: time, tab, level, tab, message


@dataclass(frozen=True)
class Progress:
    """How far a run says it is, from 0 to 1."""

    run_id: int
    fraction: float
    text: str


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``result`` is JSON text."""

    run_id: int
    state: RunState
    finished_at: datetime
    result: str | None = None
    error: str | None = None
    traceback: str | None = None
    reason: str | None = None
    error_names: tuple[str, ...] = ()
    """Names of the error's class and of all classes above it, plain and with their module."""


class Report(Protocol):
    """Where executors say what happens to their runs. Never blocks; safe from every thread."""

    def __call__(self, message: Line | Progress | Outcome) -> None: ...
