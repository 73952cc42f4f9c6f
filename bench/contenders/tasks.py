"""Carillon's job of the bench, in a module of its own that a served Carillon can load."""

from __future__ import annotations

import time

from bench.contenders.base import Started
from webapp.tasks import current_run, task

starts: list[Started] = []


@task(key="bench.nothing", title="Nothing")
def nothing() -> None:
    """Note when it was called, as the listeners of the others do."""
    due_at = current_run().due_at
    if due_at is not None:
        starts.append(Started(time.time(), due_at.timestamp()))
