"""What each contender does in its process: the same steps and the same measuring for all of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.contenders.base import Contender, Every, metered

AHEAD_S = 1.5
"""From the start of a contender to the first due time: it must have found its feet by then."""
POLL_S = 0.005


def burst(contender: Contender, jobs: int, limit_s: float) -> dict[str, float]:
    """So many jobs due at one instant. Ends when all are recorded, or ``limit_s`` after that instant."""
    far = datetime.now(UTC) + timedelta(seconds=2 + AHEAD_S + jobs / 4000)
    due_at = far.replace(microsecond=0)
    contender.store(jobs, due_at, Every(3600))
    contender.start()
    _sleep_until(due_at.timestamp() - 0.05)
    with metered() as meter:
        recorded = _wait_for(contender, jobs, due_at.timestamp() + limit_s)
        took_s = time.time() - due_at.timestamp()
    contender.stop()
    late = [start.late_s for start in contender.starts[:jobs]]
    return {
        "runs_per_s": recorded / took_s,
        "lost": jobs - recorded,
        "cpu_us": _each(meter.cpu_s, recorded),
        **_lateness(late),
        "over_1s": sum(late_s > 1 for late_s in late),
    }


def steady(contender: Contender, jobs: int, seconds: int) -> dict[str, float]:
    """So many jobs each second."""
    first = _soon()
    contender.store(jobs, first, Every(1))
    contender.start()
    _sleep_until(first.timestamp() - 0.2)
    with metered() as meter:
        _sleep_until(first.timestamp() + seconds - 0.2)
    contender.stop()
    recorded = contender.recorded()
    told = sum(contender.not_run().values())
    return {
        "cpu_us": _each(meter.cpu_s, recorded),
        **_lateness([start.late_s for start in contender.starts]),
        "runs": recorded,
        "lost": max(0, jobs * seconds - recorded - told),
        "not_run": told,
    }


def saturated(contender: Contender, jobs: int, seconds: int) -> dict[str, float]:
    """So many recurring jobs each second that a core is busy: what is recorded in a second."""
    first = _soon()
    contender.store(jobs, first, Every(1))
    contender.start()
    _sleep_until(first.timestamp() + 1)
    before, began = contender.recorded(), time.time()
    with metered() as meter:
        _sleep_until(began + seconds)
        runs, took_s = contender.recorded() - before, time.time() - began
    contender.stop()
    return {
        "runs_per_s": runs / took_s,
        "cpu_us": _each(meter.cpu_s, runs),
        "cores": meter.cpu_s / took_s,
        "not_run_per_s": sum(contender.not_run().values()) / (took_s + 1),
    }


def boundaries(contender: Contender, jobs: int, every_s: int, rounds: int) -> dict[str, float]:
    """Cron jobs that are all due at each boundary, with silence in between."""
    ahead = math.ceil((time.time() + AHEAD_S) / every_s) * every_s
    first = datetime.fromtimestamp(ahead, UTC)
    contender.store(jobs, first, Every(every_s, cron=True))
    contender.start()
    _sleep_until(ahead + every_s * (rounds - 1) + min(every_s - 0.5, 3))
    contender.stop()
    recorded = contender.recorded()
    late = [start.late_s for start in contender.starts]
    return {**_lateness(late), "lost": max(0, jobs * rounds - recorded)}


def stored(contender: Contender, jobs: int, wake_ups: int) -> dict[str, float]:
    """One job due among so many stored, and the list of the jobs."""
    contender.store_still(jobs, datetime.now(UTC) + timedelta(hours=1))
    step = max(1, jobs // wake_ups)
    taken = [contender.wake_up((number * step) % jobs) for number in range(wake_ups)]
    contender.first_page()  # templates and caches
    pages = [contender.first_page() for _ in range(1 if jobs > 20_000 and not hasattr(contender, "app") else 5)]
    return {"wake_up_ms": statistics.median(taken) * 1000, "page_ms": statistics.median(pages) * 1000}


def idle(contender: Contender) -> dict[str, float]:
    """Nothing to do. Says that it is ready, and stays until it is killed; ``cold`` starts it so."""
    contender.store(1, datetime.now(UTC) + timedelta(days=1), Every(3600))
    contender.start()
    print("ready", flush=True)
    time.sleep(120)
    return {}


def cold(contender: Contender) -> dict[str, float]:
    """From nothing to work: seconds until it serves, and the memory of all its processes some seconds later."""
    return contender.cold_start()


def pages(contender: Contender, jobs: int) -> dict[str, float]:
    """The slowest page while so many jobs are due at one instant, against the slowest while nothing happens."""
    return contender.pages_during_burst(jobs)


def _soon() -> datetime:
    return (datetime.now(UTC) + timedelta(seconds=1 + AHEAD_S)).replace(microsecond=0)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _wait_for(contender: Contender, runs: int, until: float) -> int:
    """Wait for so many recorded runs; a database is asked only when all functions were called."""
    while time.time() < until:
        if len(contender.starts) >= runs:
            recorded = contender.recorded()
            if recorded >= runs:
                return recorded
        time.sleep(POLL_S)
    return contender.recorded()


def _each(cpu_s: float, runs: int) -> float:
    return cpu_s * 1e6 / runs if runs else math.nan


def _lateness(late: Sequence[float]) -> dict[str, float]:
    if not late:
        return {"p50_ms": math.nan, "p99_ms": math.nan, "worst_ms": math.nan}
    ordered = sorted(late)
    return {
        "p50_ms": statistics.median(ordered) * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
        "worst_ms": ordered[-1] * 1000,
    }


_ALL = (burst, steady, saturated, boundaries, stored, idle, cold, pages)
SCENARIOS: dict[str, Any] = {each.__name__: each for each in _ALL}
