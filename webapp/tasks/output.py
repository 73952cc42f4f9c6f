"""What a run says, joined into whole lines and handed to its sink. Nothing here can break the task that speaks.

Kept apart from the run context so that ``capture`` and ``context`` share one path to the sink.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from webapp.tasks.redaction import Redactor

LINE_LIMIT = 8_192
"""Characters in one line; a longer one is cut into several, so that a task printing without newlines is bounded."""

STREAM_LEVELS = {"stdout": "info", "stderr": "warning"}
"""``stderr`` is not an error: progress bars and warnings use it."""

logger = logging.getLogger(__name__)
_bypass = threading.local()


class RunSink(Protocol):
    """Where the engine takes what a run says, and tells it to stop. Called from any thread the task uses."""

    def line(self, at: datetime, level: str, text: str) -> None:
        """One line without a newline; ``at`` is aware UTC, ``level`` one of debug, info, warning, error, critical."""

    def progress(self, fraction: float, text: str) -> None:
        """``fraction`` is 0 to 1."""

    def stop_requested(self) -> bool:
        """True once someone asked this run to stop. Must be cheap: tasks ask it in their loops."""
        ...


@contextmanager
def bypassed() -> Iterator[None]:
    """What this thread logs and prints meanwhile goes to the server, not to the run.

    Used while a sink or one of the server's own log handlers works: what *they* say is not what the task said.
    """
    before = is_bypassed()
    _bypass.on = True
    try:
        yield
    finally:
        _bypass.on = before


def is_bypassed() -> bool:
    return getattr(_bypass, "on", False)


class RunOutput:
    """The way from one run to its sink: whole, bounded, storable lines. A sink that raises is reported once."""

    def __init__(self, sink: RunSink, clock: Callable[[], datetime], redactor: Redactor | None = None) -> None:
        self._sink = sink
        self.redactor = redactor or Redactor()
        self._clock = clock
        self._lock = threading.RLock()
        self._partial = dict.fromkeys(STREAM_LEVELS, "")
        self._has_failed = False
        self.is_closed = False

    def say(self, level: str, text: str, at: datetime | None = None) -> None:
        """Hand over a message, one call of the sink for each of its lines."""
        self._hand_over(level, [line.rstrip("\r") for line in text.split("\n")], at or self._clock())

    def write(self, stream: str, text: str) -> None:
        """Take text printed to ``stdout`` or ``stderr``; the end of an unfinished line waits for its newline."""
        with self._lock:
            *lines, rest = (self._partial[stream] + text).split("\n")
            lines = [_shown(line) for line in lines]
            if len(rest) > LINE_LIMIT + self.redactor.longest:  # so that no secret is cut in two unseen
                *full, rest = _pieces(self.redactor.hide(_shown(rest)), keep=self.redactor.longest)
                lines += full
            self._partial[stream] = rest
            if lines:
                self._hand_over(STREAM_LEVELS[stream], lines, self._clock())

    def progress(self, fraction: float, text: str) -> None:
        with self._guard():
            self._sink.progress(fraction, storable(self.redactor.hide(text)))

    def stop_requested(self) -> bool:
        """False when the sink cannot say: a run is stopped by a request, never by a fault."""
        with self._guard():
            return bool(self._sink.stop_requested())
        return False

    def close(self) -> None:
        """Hand over unfinished lines. What left-over threads say later goes where it would go outside a run."""
        with self._lock:
            for stream, rest in self._partial.items():
                if rest:
                    self._hand_over(STREAM_LEVELS[stream], [_shown(rest)], self._clock())
            self._partial = dict.fromkeys(STREAM_LEVELS, "")
            self.is_closed = True

    def _hand_over(self, level: str, lines: list[str], at: datetime) -> None:
        with self._lock, bypassed():
            for line in lines:
                for piece in _pieces(storable(self.redactor.hide(line))):
                    try:
                        self._sink.line(at, level, piece)
                    except Exception:
                        self._report_once()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        with bypassed():
            try:
                yield
            except Exception:
                self._report_once()

    def _report_once(self) -> None:
        if not self._has_failed:
            self._has_failed = True
            logger.exception("The log of a run cannot be kept; the run goes on. Reported once for each run")


def storable(text: str) -> str:
    """The same text without what no database takes: NUL and lone surrogates become the replacement character."""
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _shown(line: str) -> str:
    """What a terminal would still show of a line that was rewritten with carriage returns (progress bars)."""
    return line.rstrip("\r").rpartition("\r")[2]


def _pieces(line: str, keep: int = 0) -> list[str]:
    """The line in pieces of LINE_LIMIT; the last one has at least ``keep`` characters."""
    if len(line) <= LINE_LIMIT:
        return [line]
    starts = [*range(0, len(line) - keep, LINE_LIMIT)]
    return [line[start:end] for start, end in zip(starts, [*starts[1:], len(line)], strict=True)]
