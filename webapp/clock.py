"""The one place that reads the clock, so that every rule can be tested with a time of the test's own."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that nobody can set: for measuring how long something took."""
    return time.monotonic()
