"""Carillon's engine beside bare APScheduler and django-apscheduler, in the same run on the same machine.

    python bench/engine.py                 every scenario, 3 repetitions
    python bench/engine.py a d --repeat 5  some of them
    python bench/engine.py --quick         smaller and shorter, for a first look
    python bench/engine.py --check         exit 1 when an aim is missed

Needs the extra ``bench`` (django, django-apscheduler). What the scenarios and the words mean: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report
from bench.contenders import CARILLON, EVERYONE, Who
from bench.contest import compete
from bench.report import Aim, Measure

LATE = (Measure("p50_ms", "late p50 ms", ",.1f"), Measure("p99_ms", "late p99 ms", ",.1f", ratio=True))
WORST = Measure("worst_ms", "late worst ms", ",.1f")
LOST = Measure("lost", "lost or unfinished")
CPU = Measure("cpu_us", "CPU us/run", ratio=True)
RATE = Measure("runs_per_s", "recorded runs/s", ratio=True)


@dataclass(frozen=True)
class Scenario:
    """What is measured under one letter. ``quick`` replaces some of the arguments for a first look."""

    letter: str
    title: str
    steps: str
    arguments: dict[str, Any]
    measures: Sequence[Measure]
    aims: Sequence[Aim] = ()
    quick: dict[str, Any] = field(default_factory=dict)
    who: Sequence[Who] = EVERYONE


BURST_AIMS = (
    Aim("nothing lost", "lost", most=0),
    Aim("at least 2 times the runs/s of APScheduler on WAL", "runs_per_s", least=2, against="wal"),
    Aim("at least 10 times the runs/s of django-apscheduler", "runs_per_s", least=10, against="django"),
)
BURST = (RATE, *LATE, LOST, CPU, Measure("over_1s", "over 1 s late"))


def _stored(jobs: int) -> Scenario:
    return Scenario(
        "e",
        f"one wake-up, and the first page of the job list, with {jobs:,} jobs stored",
        "stored",
        {"jobs": jobs, "wake_ups": 20},
        (Measure("wake_up_ms", "wake-up ms", ",.2f", ratio=True), Measure("page_ms", "list ms", ",.1f", ratio=True)),
        (Aim("first page of the list under 50 ms", "page_ms", most=50),),
    )


SCENARIOS = (
    Scenario("a", "1,000 no-op jobs due at one instant", "burst", {"jobs": 1_000, "limit_s": 15}, BURST, BURST_AIMS),
    Scenario(
        "a",
        "10,000 no-op jobs due at one instant",
        "burst",
        {"jobs": 10_000, "limit_s": 15},
        BURST,
        BURST_AIMS,
        quick={"jobs": 3_000},
    ),
    Scenario(
        "b",
        "100 jobs each second",
        "steady",
        {"jobs": 100, "seconds": 10},
        (*LATE, CPU, LOST, Measure("not_run", "told as not run")),
        (
            Aim("p99 lateness under 25 ms", "p99_ms", most=25),
            Aim("CPU for each run under that of APScheduler's defaults", "cpu_us", most=1, against="default"),
        ),
        quick={"seconds": 5},
    ),
    Scenario(
        "c",
        "recurring jobs, 4,000 due each second",
        "saturated",
        {"jobs": 4_000, "seconds": 6},
        (RATE, CPU, Measure("cores", "cores busy", ".2f"), Measure("not_run_per_s", "told as not run/s")),
        (Aim("at least 3,000 recorded runs a second", "runs_per_s", least=3_000),),
        quick={"seconds": 4},
    ),
    Scenario(
        "d",
        "the slowest page while 10,000 jobs are due, against idle",
        "pages",
        {"jobs": 10_000},
        (
            Measure("idle_worst_ms", "idle worst ms", ",.0f"),
            Measure("busy_worst_ms", "busy worst ms", ",.0f"),
            Measure("worst_times", "times", ".1f"),
            Measure("busy_p50_ms", "busy p50 ms", ",.0f"),
            Measure("busy_pages", "pages meanwhile"),
            Measure("runs_per_s", "recorded runs/s"),
        ),
        (Aim("slowest page under 5 times idle", "worst_times", most=5),),
        quick={"jobs": 5_000},
        who=(CARILLON,),
    ),
    _stored(1_000),
    _stored(10_000),
    _stored(100_000),
    Scenario(
        "f",
        "cold start and idle memory of all processes (PSS)",
        "cold",
        {},
        (
            Measure("first_start_s", "first start s", ".2f"),
            Measure("start_s", "start s", ".2f"),
            Measure("memory_mb", "memory MB", ".0f"),
        ),
        (
            Aim("under 1.5 s to a usable page", "start_s", most=1.5),
            Aim("under 100 MB in all processes", "memory_mb", most=100),
        ),
    ),
    Scenario(
        "g",
        "100 cron jobs due at each boundary, with silence between boundaries",
        "boundaries",
        {"jobs": 100, "every_s": 4, "rounds": 2},
        (*LATE, WORST, LOST),
        (Aim("p50 lateness under 50 ms", "p50_ms", most=50), Aim("worst lateness under 150 ms", "worst_ms", most=150)),
    ),
)

LETTERS = {scenario.letter for scenario in SCENARIOS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("letters", nargs="*", metavar="a-g", help="which scenarios (all)")
    parser.add_argument("--repeat", type=int, default=3, help="alternating repetitions (3)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="only these contenders")
    parser.add_argument("--seconds", type=int, help="how long b and c go on")
    parser.add_argument("--minutes", type=int, help="g at so many real minute boundaries")
    parser.add_argument("--quick", action="store_true", help="one repetition, smaller sizes")
    parser.add_argument("--check", action="store_true", help="exit 1 when an aim is missed")
    parser.add_argument("--folder", type=Path, help="where databases are made; the disk matters (a temporary folder)")
    wanted = parser.parse_args()
    if unknown := set(wanted.letters) - LETTERS:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; they are a to g")
    letters = set(wanted.letters) or LETTERS
    repeat = 1 if wanted.quick else wanted.repeat
    began, met = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="carillon-bench-", dir=wanted.folder) as name:
        report.surroundings(Path(name), repeat)
        for scenario in SCENARIOS:
            if scenario.letter not in letters or (wanted.quick and scenario.arguments.get("jobs") == 100_000):
                continue
            who = [each for each in scenario.who if not wanted.only or each.name in wanted.only]
            arguments = {**scenario.arguments, **(scenario.quick if wanted.quick else {}), **_longer(scenario, wanted)}
            print(f"\n({scenario.letter}) {scenario.title}", flush=True)
            results = compete(who, scenario.steps, arguments, repeat, Path(name))
            report.table(results, scenario.measures)
            met += report.verdicts(results, scenario.aims)
    print(f"\n{sum(met)} of {len(met)} aims met, in {time.monotonic() - began:,.0f} s")
    return 0 if all(met) or not wanted.check else 1


def _longer(scenario: Scenario, wanted: argparse.Namespace) -> dict[str, int]:
    if scenario.letter in "bc" and wanted.seconds:
        return {"seconds": wanted.seconds}
    if scenario.letter == "g" and wanted.minutes:
        return {"every_s": 60, "rounds": wanted.minutes}
    return {}


if __name__ == "__main__":
    sys.exit(main())
