"""What can be done about a run that goes on: whether an abort is certain, and whether it is over its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.domain.rules import span_words
from webapp.domain.states import RunState
from webapp.settings import Settings
from webapp.store.models import Run

ASKED_ONLY = "threadpool"
"""The kind of executor that can only ask: Python cannot end a thread from outside."""


@dataclass(frozen=True)
class Stopping:
    """``certain``: an abort ends the run whatever its task does. ``overdue_s``: how long it is over its limit."""

    certain: bool
    overdue_s: float | None = None

    @property
    def note(self) -> str:
        """The sentence beside the run; empty when there is nothing to say."""
        late = "" if self.overdue_s is None else f"Over its time limit since {span_words(self.overdue_s)}. "
        if self.certain:
            return late.strip()
        how = "It runs in a thread, which cannot be ended from outside: it ends when its task asks whether to stop."
        if late:
            return f"{late}{how} Its worker is free again then."
        return how


def of(run: Run, settings: Settings, now: datetime) -> Stopping | None:
    """How ``run`` could be stopped; None unless it is running."""
    if run.state != RunState.RUNNING or run.started_at is None:
        return None
    options = settings.executor_table().get(run.executor, {})
    kind = options.get("type", ASKED_ONLY)
    if kind == "celery":  # what counts is how a worker runs it
        kind = options.get("inner", "processpool")
    overdue_s = None
    if run.timeout_s is not None and now > run.started_at + timedelta(seconds=run.timeout_s):
        overdue_s = (now - run.started_at).total_seconds() - run.timeout_s
    return Stopping(kind != ASKED_ONLY, overdue_s)
