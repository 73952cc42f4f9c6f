"""Prints what was measured: absolute numbers, their spread, ratios, and which aims are met."""

from __future__ import annotations

import math
import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.contenders import CARILLON, EVERYONE
from bench.contest import Results


@dataclass(frozen=True)
class Measure:
    """A column: the key of a value, its heading, how it is written, and whether ratios are shown beside it."""

    key: str
    heading: str
    form: str = ",.0f"
    ratio: bool = False

    @property
    def width(self) -> int:
        return 34 if self.ratio else 26


@dataclass(frozen=True)
class Aim:
    """A bound of one value of Carillon's, or of its ratio to a rival's; ``most`` or ``least``."""

    text: str
    key: str
    most: float = math.inf
    least: float = -math.inf
    against: str | None = None

    def value(self, results: Results) -> float:
        if self.against is not None:
            return results.ratio(CARILLON.name, self.against, self.key)
        return results.median(CARILLON.name, self.key)

    def is_met(self, results: Results) -> bool:
        return self.least <= self.value(results) <= self.most


def surroundings(folder: Path, repeat: int) -> None:
    """Say what this was measured on, and what is compared with what."""
    fsync_ms = _fsync_ms(folder)
    print(f"{os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, fsync {fsync_ms:.2f} ms")
    names = ("apscheduler", "sqlalchemy", "django", "django-apscheduler")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}")
    print(f"{repeat} alternating repetitions, each in a fresh process; medians, in brackets least and greatest.")
    print("Ratios are Carillon / rival, the median of the repetitions' ratios. A run counts as recorded when:")
    for who in EVERYONE:
        print(f"  {who.name:9} {who.what}: {who.recorded}.")
    print("Bare APScheduler keeps no record of runs at all: it is compared with the work that it leaves out.")


def _fsync_ms(folder: Path) -> float:
    path = folder / "fsync"
    with open(path, "wb") as file:
        began = time.perf_counter()
        for _ in range(20):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        took_s = time.perf_counter() - began
    path.unlink()
    return took_s / 20 * 1000


def table(results: Results, measures: Sequence[Measure]) -> None:
    """A row for each contender, Carillon first."""
    print(f"{'':10}" + "".join(f"{measure.heading:>{measure.width}}" for measure in measures))
    for who in EVERYONE:
        if who.name in results.values:
            cells = [f"{_cell(results, who.name, measure):>{measure.width}}" for measure in measures]
            print(f"{who.name:10}" + "".join(cells))
        if who.name in results.broken:
            print(f"{who.name:10}  did not finish: {results.broken[who.name]}")


def _cell(results: Results, name: str, measure: Measure) -> str:
    value = results.median(name, measure.key)
    if math.isnan(value):
        return "-"
    text = f"{value:{measure.form}}"
    least, greatest = results.span(name, measure.key)
    if f"{least:{measure.form}}" != f"{greatest:{measure.form}}":
        text += f" ({least:{measure.form}}-{greatest:{measure.form}})"
    if measure.ratio and name != CARILLON.name:
        text += f" {results.ratio(CARILLON.name, name, measure.key):5.2f}x"
    return text


def verdicts(results: Results, aims: Sequence[Aim]) -> list[bool]:
    """A line for each aim."""
    found = [aim.is_met(results) for aim in aims]
    for aim, is_met in zip(aims, found, strict=True):
        print(f"  {'met   ' if is_met else 'MISSED'} {aim.text}: {aim.value(results):,.2f}")
    return found
