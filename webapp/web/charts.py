"""Geometry of the charts: numbers in, coordinates out. Templates write the SVG, the stylesheet gives it its colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from webapp.domain.states import RunState
from webapp.services.downtime import Gap
from webapp.services.runs import RunBar
from webapp.web.presenters import times

PITCH = 6.0
WIDTH = 4.0
HEIGHT = 24.0
BASE = 23.0
LOW, HIGH = 4.0, 18.0
"""Heights of the shortest and the longest run."""
DECADES_MIN = 2.0
"""The scale spans at least a factor of 100, so that runs of nearly equal length look equal."""


class Bar(NamedTuple):
    """One run: where its bar stands and the path that draws it."""

    run: RunBar
    x: float
    pitch: float
    d: str

    @property
    def label(self) -> str:
        took = f", {times.duration(self.run.duration_s)}" if self.run.duration_s is not None else ""
        folded = f", {self.run.due_count} due times" if self.run.due_count > 1 else ""
        return f"Run {self.run.id}: {self.run.state.label}{took}{folded}"


@dataclass(frozen=True)
class Strip:
    """A row of bars, oldest left. ``paths`` holds one path for each state; ``gaps`` are marks for down time."""

    width: float
    height: float
    base: float
    bars: tuple[Bar, ...]
    paths: tuple[tuple[str, str], ...]
    gaps: tuple[str, ...]
    label: str


def strip(runs: Sequence[RunBar], slots: int = 30, now: datetime | None = None, gaps: Sequence[Gap] = ()) -> Strip:
    """The newest ``slots`` runs, right-aligned; a mark stands where the scheduler was down between two of them."""
    shown = runs[-slots:]
    gaps_before = _runs_after(gaps, shown)
    scale = _Scale([run.duration_s for run in shown if run.duration_s])
    bars: list[Bar] = []
    paths: dict[str, str] = {}
    marks: list[str] = []
    first = slots - len(shown)
    for place, run in enumerate(shown, first):
        x = place * PITCH + (PITCH - WIDTH) / 2
        took = run.duration_s
        if took is None and run.state is RunState.RUNNING and now is not None:
            took = max(0.0, (now - run.at).total_seconds())
        d = _shape(run.state, x, scale.height(took))
        bars.append(Bar(run, place * PITCH, PITCH, d))
        paths[run.state.value] = paths.get(run.state.value, "") + d
        if run.id in gaps_before:
            marks.append(f"M{_n(place * PITCH)} {_n(BASE - HIGH)}V{_n(BASE)}")
    return Strip(slots * PITCH, HEIGHT, BASE, tuple(bars), tuple(paths.items()), tuple(marks), _label(shown))


def _runs_after(gaps: Sequence[Gap], runs: Sequence[RunBar]) -> set[int]:
    """The first runs that were due after a gap had begun, where another run stands before them."""
    return {
        later.id
        for earlier, later in pairwise(runs)
        if any(gap.since and (earlier.due_at or earlier.at) <= gap.since < (later.due_at or later.at) for gap in gaps)
    }


class _Scale:
    """Seconds to bar height, logarithmic between the shortest and the longest run of the strip."""

    def __init__(self, seconds: Sequence[float]) -> None:
        logs = [math.log10(max(value, 1e-3)) for value in seconds]
        self.top = max(logs, default=0.0)
        self.bottom = min(min(logs, default=0.0), self.top - DECADES_MIN)

    def height(self, seconds: float | None) -> float:
        if seconds is None:
            return LOW
        share = (math.log10(max(seconds, 1e-3)) - self.bottom) / (self.top - self.bottom)
        return LOW + (HIGH - LOW) * min(max(share, 0.0), 1.0)


def _shape(state: RunState, x: float, height: float) -> str:
    """Each state has a form of its own, so that colour is never the only sign."""
    top = BASE - height
    if state is RunState.FAILED:  # a bar with a cap that has come off
        return _box(x, top, WIDTH, height) + _box(x, top - 4, WIDTH, 2.2)
    if state is RunState.TIMED_OUT:  # a bar that hit a ceiling
        return _box(x, top, WIDTH, height) + _box(x - 1, top - 1.4, WIDTH + 2, 1.8)
    if state is RunState.RUNNING:  # a bar that is still growing
        return f"M{_n(x)} {_n(BASE)}V{_n(top + 2)}l2 -3.4l2 3.4V{_n(BASE)}z"
    if state is RunState.MISSED:  # a ring where a bar should stand
        return f"M{_n(x)} {_n(BASE - 4)}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z"
    if state is RunState.SKIPPED:
        return f"M{_n(x)} {_n(BASE - 3.5)}h{_n(WIDTH)}"
    if state is RunState.HELD:
        return f"M{_n(x + 0.7)} {_n(BASE - 2)}v-4M{_n(x + 3.3)} {_n(BASE - 2)}v-4"
    if state is RunState.LOST:  # a bar broken in two
        middle = max(height / 2 - 1.2, 1.0)
        return _box(x + 0.5, BASE - middle, 3, middle - 0.5) + _box(x + 0.5, top, 3, middle - 0.5)
    if state is RunState.SUCCEEDED:
        return _box(x, top, WIDTH, height)
    return _box(x + 0.5, top + 0.5, 3, height - 1)  # queued, cancelled: an empty bar


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h{_n(-width)}z"


def _n(value: float) -> str:
    """A coordinate with at most one decimal, as short as it gets: a page holds thousands of them."""
    return f"{value:.1f}".removesuffix(".0")


def _label(runs: Sequence[RunBar]) -> str:
    if not runs:
        return "No runs yet"
    counts: dict[RunState, int] = {}
    for run in runs:
        counts[run.state] = counts.get(run.state, 0) + 1
    parts = ", ".join(f"{number} {state.label}" for state, number in sorted(counts.items(), key=lambda item: -item[1]))
    return f"Last run: {parts}" if len(runs) == 1 else f"Last {len(runs)} runs: {parts}"
