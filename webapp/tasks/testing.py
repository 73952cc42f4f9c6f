"""For tests of tasks: a run without an engine, whose lines, progress and stop can be looked at and set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from webapp.tasks.context import RunContext, activate


@dataclass
class RecordedRun:
    """A sink that remembers. Set ``stop`` to make ``should_stop()`` true."""

    entries: list[tuple[datetime, str, str]] = field(default_factory=list)
    """(aware UTC, level, text), in order."""
    progress_seen: list[tuple[float, str]] = field(default_factory=list)
    stop: bool = False

    @property
    def lines(self) -> list[str]:
        return [text for _, _, text in self.entries]

    def line(self, at: datetime, level: str, text: str) -> None:
        self.entries.append((at, level, text))

    def progress(self, fraction: float, text: str) -> None:
        self.progress_seen.append((fraction, text))

    def stop_requested(self) -> bool:
        return self.stop


def context_for(sink: RecordedRun, task: str = "test.task") -> RunContext:
    """A plausible context: run 1 of job ``test-job``, first attempt, due now."""
    return RunContext(
        run_id=1,
        job_id="test-job",
        job_name="Test job",
        task=task,
        attempt=1,
        due_at=datetime.now(UTC),
        trigger="manual",
        sink=sink,
    )


@contextmanager
def recorded_run(task: str = "test.task") -> Iterator[RecordedRun]:
    """Code inside belongs to a run::

    with recorded_run() as run:
        daily(date(2026, 1, 1))
    assert run.lines == ["done"]
    """
    recorded = RecordedRun()
    with activate(context_for(recorded, task)):
        yield recorded
