"""Runs contenders one after the other, again and again, each in a fresh process with a time limit."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.contenders import Who

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 150


@dataclass
class Results:
    """What one scenario measured: for each contender a list of values for each repetition, in the same order."""

    values: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def median(self, name: str, measure: str) -> float:
        """Of all repetitions; NaN when there is none."""
        found = [each[measure] for each in self.values.get(name, []) if measure in each]
        return statistics.median(found) if found else float("nan")

    def span(self, name: str, measure: str) -> tuple[float, float]:
        """The least and the greatest."""
        found = [each[measure] for each in self.values[name]]
        return min(found), max(found)

    def ratio(self, name: str, other: str, measure: str) -> float:
        """The median, over the repetitions, of ``name`` / ``other``: what disturbs a repetition disturbs both."""
        both = zip(self.values.get(name, []), self.values.get(other, []), strict=False)
        found = [mine[measure] / theirs[measure] for mine, theirs in both if theirs.get(measure)]
        return statistics.median(found) if found else float("nan")


def compete(contenders: Iterable[Who], scenario: str, arguments: dict[str, Any], repeat: int, folder: Path) -> Results:
    """Let everybody do the scenario ``repeat`` times in turns, each time in an empty folder below ``folder``."""
    results = Results()
    for _ in range(repeat):
        for who in contenders:
            if who.name in results.broken:
                continue
            try:
                values = once(who, scenario, arguments, folder)
            except (subprocess.SubprocessError, ValueError, IndexError) as error:
                results.broken[who.name] = _why(error)
                continue
            results.values.setdefault(who.name, []).append(values)
    return results


def once(who: Who, scenario: str, arguments: dict[str, Any], folder: Path) -> dict[str, float]:
    """One contender, one scenario. Raises SubprocessError when it fails or takes too long."""
    own = Path(tempfile.mkdtemp(prefix=f"{who.name}-", dir=folder))
    command = [sys.executable, "-m", "bench.contenders", who.module, json.dumps(who.options), scenario]
    try:
        done = subprocess.run(
            [*command, json.dumps(arguments), str(own)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
        values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return values
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not done within {LIMIT_S} s"
    said = getattr(error, "stderr", "") or str(error)
    return said.strip().splitlines()[-1][:200]
