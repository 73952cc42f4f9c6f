"""When a failed run is tried again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

DELAY_MAX_S = 86_400.0
JITTER = 0.2
"""Exponential delays are spread by up to this share, so that jobs that failed together do not return together."""


@dataclass(frozen=True)
class Retry:
    """A job's rule: at most ``max_attempts`` tries in all, the first included."""

    max_attempts: int
    delay_s: float
    backoff: str
    only_on: tuple[str, ...] = ()
    """Names of exceptions; empty: every error. A subclass counts, "timed_out" stands for the time limit."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Retry | None:
        """From a job's ``retry`` column; None: it is tried once."""
        attempts = int(stored.get("max_attempts", 1))
        if attempts <= 1:
            return None
        only_on = tuple(stored.get("only_on", ()))
        return cls(attempts, float(stored.get("delay_s", 0.0)), str(stored.get("backoff", "exponential")), only_on)

    def wants(self, attempt: int, error_names: Collection[str]) -> bool:
        """Whether to try again after ``attempt`` ended with an error of these names (its class and all above it)."""
        return attempt < self.max_attempts and (not self.only_on or not set(self.only_on).isdisjoint(error_names))


def delay_s(retry: Retry, attempt: int, seed: int) -> float:
    """Seconds to wait after ``attempt`` (1 = the first) failed.

    Fixed: always ``delay_s``. Exponential: it doubles with each attempt, plus up to JITTER of it drawn from ``seed``,
    and never more than a day.
    """
    if retry.backoff == "fixed":
        return min(retry.delay_s, DELAY_MAX_S)
    base = retry.delay_s * 2.0 ** min(attempt - 1, 40)
    share = int.from_bytes(hashlib.blake2s(f"{seed}".encode(), digest_size=4).digest()) / 2**32
    return min(base * (1 + JITTER * share), DELAY_MAX_S)
