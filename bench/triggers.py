"""How fast the next due time is found: Carillon's cron trigger, bare APScheduler's, cronsim and croniter.

    python bench/triggers.py            a table
    python bench/triggers.py --check    and exit 1 when an aim is missed

All four answer the same expressions in one run, in America/New_York, each from its own last answer. Aims: at the
median of the expressions no slower than bare APScheduler, and never above 5 ms for one answer, the first included.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from apscheduler.triggers.cron import CronTrigger as Original
from croniter import croniter
from cronsim import CronSim

from webapp.domain import zones
from webapp.domain.cron import CronTrigger
from webapp.domain.errors import Invalid

ZONE = "America/New_York"
START = datetime(2026, 1, 1, tzinfo=ZoneInfo(ZONE))
MOST_ALLOWED_S = 0.005
ANSWERS = 200

COMMON = (
    "* * * * *",
    "*/5 * * * *",
    "*/15 9-17 * * 1-5",
    "0 * * * *",
    "5,35 */2 * * *",
    "0 2 * * *",
    "30 1 * * *",
    "30 9 * * mon-fri",
    "0 0 * * 0",
    "0 4 8-14 * *",
    "0 0 1 * *",
    "0 0 1,15 * *",
    "15 10 31 * *",
    "0 0 1 jan *",
    "0 12 1 */3 *",
    "59 23 31 12 *",
    "0 0 29 2 *",
)
"""What all four read; what they mean by weekday numbers differs, the work does not."""

RARE = (
    "0 0 29 2 mon#5",
    "0 0 13 * fri",
    "0 0 L * *",
    "0 0 * * fri#5,5L",
    "30 2 * 3 0#2",
    "59 59 23 31 12 *",
    "* * * * * *",
    "7 7 7 7 7 7",
    "*/7 */7 */7 */7 */7",
)
"""The hardest that are accepted: rare days, times that a clock change always skips, every second."""


def carillon(expression: str) -> Iterator[datetime | None]:
    trigger = CronTrigger.from_crontab(expression, ZONE)
    at: datetime | None = START
    while True:
        at = trigger.get_next_fire_time(at, at or START)
        yield at


def apscheduler(expression: str) -> Iterator[datetime | None]:
    trigger = Original.from_crontab(expression, ZoneInfo(ZONE))
    at = START
    while True:
        at = trigger.get_next_fire_time(at, at)
        yield at


def oracle(expression: str) -> Iterator[datetime | None]:
    yield from CronSim(expression, START)


def iterator(expression: str) -> Iterator[datetime | None]:
    clock = croniter(expression, START)
    while True:
        yield clock.get_next(datetime)


RIVALS: dict[str, Callable[[str], Iterator[datetime | None]]] = {
    "Carillon": carillon,
    "APScheduler": apscheduler,
    "cronsim": oracle,
    "croniter": iterator,
}


def timings(make: Callable[[str], Iterator[datetime | None]], expression: str, answers: int) -> list[float]:
    """Seconds for each answer. Nothing about the zone is remembered from before."""
    zones.zone.cache_clear()
    clock, taken = make(expression), []
    gc.disable()
    try:
        for _ in range(answers):
            began = time.perf_counter()
            answer = next(clock)
            taken.append(time.perf_counter() - began)
            if answer is None or answer.year > 2190:
                break
    finally:
        gc.enable()
    return taken


def median_of(name: str, expression: str) -> float:
    return statistics.median(timings(RIVALS[name], expression, ANSWERS))


def worst_of(expression: str) -> float:
    """The slowest answer, the first included; the best of five runs, so that a busy machine is not blamed."""
    return min(max(timings(carillon, expression, 50)) for _ in range(5))


def compare() -> dict[str, list[float]]:
    """A table of answers per second; the medians in seconds by name."""
    print(f"Next due times per second (median of {ANSWERS}), Python {platform.python_version()}, {platform.machine()}")
    print(f"{'':22}" + "".join(f"{name:>14}" for name in RIVALS))
    medians: dict[str, list[float]] = {name: [] for name in RIVALS}
    for expression in COMMON:
        row = []
        for name in RIVALS:
            took = median_of(name, expression)
            medians[name].append(took)
            row.append(f"{1 / took:14,.0f}")
        print(f"{expression:22}" + "".join(row))
    print(f"{'median':22}" + "".join(f"{1 / statistics.median(taken):14,.0f}" for taken in medians.values()))
    return medians


def worst() -> float:
    print("\nSlowest single answer of Carillon, nothing remembered (ms)")
    found = {expression: worst_of(expression) for expression in (*COMMON, *RARE)}
    for expression, took in sorted(found.items(), key=lambda pair: -pair[1])[:8]:
        print(f"{expression:22}{took * 1000:14.3f}")
    return max(found.values())


def windows() -> None:
    """What a due pass asks after a long sleep: how many, the first and the last."""
    print("\nDue times of a slept-through window (ms)")
    for expression in ("* * * * * *", "* * * * *", "0 2 * * *"):
        for days in (30, 365):
            trigger = CronTrigger.from_crontab(expression, ZONE)
            began = time.perf_counter()
            span = trigger.span(START, START + timedelta(days=days))
            took = time.perf_counter() - began
            print(f"{expression:14}{days:4} days{span.count:14,}{took * 1000:10.3f}")


def refusals() -> None:
    print("\nRefused (ms)")
    for expression in ("0 0 31 2 *", "0 0 31 4,6,9,11 *", "0 0 */16 * mon#2"):
        began = time.perf_counter()
        try:
            CronTrigger.from_crontab(expression, ZONE).next_after(datetime(2026, 1, 1, tzinfo=UTC))
        except Invalid:
            print(f"{expression:22}{(time.perf_counter() - began) * 1000:14.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when an aim is missed")
    wanted = parser.parse_args()
    medians = compare()
    slowest = worst()
    windows()
    refusals()
    ratio = statistics.median(medians["APScheduler"]) / statistics.median(medians["Carillon"])
    fast, bounded = ratio >= 1, slowest <= MOST_ALLOWED_S
    print(f"\n{ratio:.1f} times as fast as APScheduler at the median: {'met' if fast else 'MISSED'}")
    limit = f"slowest answer {slowest * 1000:.2f} ms, at most {MOST_ALLOWED_S * 1000:.0f} ms"
    print(f"{limit}: {'met' if bounded else 'MISSED'}")
    return 0 if not wanted.check or (fast and bounded) else 1


if __name__ == "__main__":
    sys.exit(main())
