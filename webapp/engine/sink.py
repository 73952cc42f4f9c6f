"""What a run is handed to speak through: lines and progress go to the recorder, stop requests come from it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from webapp import clock
from webapp.engine.claims import Claim, Line, Progress, Report
from webapp.tasks.redaction import Redactor

LINES_MAX = 20_000
BYTES_MAX = 2 * 1024 * 1024
LINE_MAX = 8_192
"""Bounds of one run's log. What goes beyond is counted and said in one last line."""


class LiveSink:
    """The ``RunSink`` of a run in this process. The log is bounded, so that no task can fill memory or the disk."""

    def __init__(self, claim: Claim, report: Report) -> None:
        self.claim = claim
        self._report = report
        self._lock = threading.Lock()
        self.redactor = Redactor()
        self._lines = 0
        self._bytes = 0
        self._dropped = 0
        self._stop = threading.Event()
        self._deadline = None if claim.timeout_s is None else clock.monotonic() + claim.timeout_s

    def line(self, at: datetime, level: str, text: str) -> None:
        with self._lock:
            if self._lines >= LINES_MAX or self._bytes >= BYTES_MAX:
                self._dropped += 1
                return
            if len(text) > LINE_MAX:
                text = f"{text[:LINE_MAX]} ... ({len(text) - LINE_MAX} more characters)"
            self._lines += 1
            self._bytes += len(text)
        self._report(Line(self.claim.run_id, stored_line(at, level, text)))

    def progress(self, fraction: float, text: str) -> None:
        self._report(Progress(self.claim.run_id, fraction, text[:200]))

    def stop_requested(self) -> bool:
        return self._stop.is_set() or self.is_overdue()

    def stop(self) -> None:
        """Somebody asked this run to end."""
        self._stop.set()

    @property
    def was_stopped(self) -> bool:
        return self._stop.is_set()

    def is_overdue(self) -> bool:
        """Whether the run's time limit has passed."""
        return self._deadline is not None and clock.monotonic() > self._deadline

    def close(self, now: datetime) -> None:
        """Say how much of the log was left out, if any was."""
        if self._dropped:
            text = f"The log is cut here: {self._dropped:,} more lines were not kept."
            self._report(Line(self.claim.run_id, stored_line(now, "warning", text)))


def stored_line(at: datetime, level: str, text: str) -> str:
    """A line as ``RunLog`` keeps it. Line breaks and control characters become visible signs."""
    stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp}\t{level}\t{_printable(text)}"


_UNPRINTABLE = {code: f"\\x{code:02x}" for code in range(32) if code != 9} | {0x7F: "\\x7f"}
_UNPRINTABLE |= dict.fromkeys(range(55296, 57344), "�")


def _printable(text: str) -> str:
    return text if text.isprintable() else text.translate(_UNPRINTABLE)
