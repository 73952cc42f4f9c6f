"""How busy the executors are: those of the leader's process, and those whose runs are with workers elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.services.status import SchedulerStatus


@dataclass(frozen=True)
class Load:
    """One executor: how many runs it can have going on, how many go on; None where nobody knows."""

    name: str
    kind: str
    slots: int | None
    busy: int | None
    note: str = ""


def loads(table: Mapping[str, Mapping[str, Any]], status: SchedulerStatus) -> list[Load]:
    """The executors of the settings, with what the living processes say of them."""
    return [_load(name, options, status) for name, options in table.items()]


def _load(name: str, options: Mapping[str, Any], status: SchedulerStatus) -> Load:
    kind = str(options.get("type", options.get("class", "")))
    if kind == "celery":
        said = [worker.detail.get("executors", {}).get(name) for worker in status.workers if is_remote(worker)]
        there = [each for each in said if each]
        slots, busy = sum(each["max_workers"] for each in there), sum(each["active"] for each in there)
        return Load(name, kind, slots, busy, "" if there else "no worker is alive: its runs wait")
    here = status.executors.get(name, {})
    return Load(name, kind, here.get("max_workers", options.get("max_workers")), here.get("active"))


def is_remote(worker: Any) -> bool:
    """Whether a process is a worker of Celery."""
    return bool(worker.detail.get("kind") == "celery")
