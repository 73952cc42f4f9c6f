"""What a contender can do, whoever it is: store jobs, run, and say how many runs it has recorded."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

WORKERS = 20
"""Threads of the executor, for everybody."""
SETTLE_S = 3.0
"""Memory is looked at so long after a start."""


@dataclass(frozen=True)
class Every:
    """When jobs are due: each ``seconds`` after the first time, or at each second that ``seconds`` divides (cron)."""

    seconds: int
    cron: bool = False


@dataclass(frozen=True)
class Started:
    """One call of a job's function: when it came, and for which due time. Both in seconds since 1970."""

    at: float
    due_at: float

    @property
    def late_s(self) -> float:
        return self.at - self.due_at


class Contender(ABC):
    """Lives in a fresh process and a fresh folder. ``starts`` grows while it runs."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.starts: list[Started] = []

    @abstractmethod
    def store(self, jobs: int, first_due_at: datetime, every: Every) -> None:
        """Store so many no-op jobs, not yet started. May take every short cut: storing is not measured."""

    @abstractmethod
    def start(self) -> None:
        """Serve due times from now on."""

    @abstractmethod
    def recorded(self) -> int:
        """How many runs are recorded by now."""

    @abstractmethod
    def stop(self) -> None:
        """Serve no more due times."""

    @abstractmethod
    def store_still(self, jobs: int, first_due_at: datetime) -> None:
        """Store so many jobs, and be ready for single wake-ups instead of a loop."""

    @abstractmethod
    def wake_up(self, job_number: int) -> float:
        """Seconds of one wake-up at which one of the stored jobs is due; after ``store_still``."""

    @abstractmethod
    def first_page(self) -> float:
        """Seconds until the jobs are listed as far as the contender has a list at all."""

    @abstractmethod
    def cold_start(self) -> dict[str, float]:
        """Start it in processes of its own and measure that."""

    def pages_during_burst(self, jobs: int) -> dict[str, float]:
        """Only for who has pages."""
        raise NotImplementedError

    def not_run(self) -> dict[str, int]:
        """Due times that the contender itself says it did not run, by its own word for it."""
        return {}


@dataclass
class Meter:
    """Seconds by the clock and of all cores."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def metered() -> Iterator[Meter]:
    """Measure what happens inside, in this process."""
    meter = Meter()
    wall, cpu = time.perf_counter(), time.process_time()
    yield meter
    meter.wall_s, meter.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
