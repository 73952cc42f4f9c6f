"""An independent, slow and obvious reading of the cron policy, against which the trigger is tested.

Every minute of a window is looked at once, as Python's own zoneinfo shows it. Nothing of ``webapp.domain`` is used.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

THOROUGH = int(os.environ.get("CARILLON_EXAMPLES_FACTOR", "1"))
"""Multiplies the number of generated examples; 1 keeps the suite fast."""

ZONES = (
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Santiago",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "UTC",
)
"""Changes of 30 minutes, of 1, 2, 3 and 24 hours; at midnight, at 00:01, at odd minutes; Ramadan pauses; none."""


def examples(n: int) -> Callable[..., object]:
    """Settings for a property: ``n`` examples, no deadline on a busy machine."""
    return settings(max_examples=n * THOROUGH, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Line:
    """A crontab line as text and, independently, as what it means (weekdays: 0 = Sunday)."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    hour_star: bool
    either_day: bool

    def names(self, local: datetime) -> bool:
        """Whether the fields name this local minute."""
        if local.minute not in self.minutes or local.hour not in self.hours or local.month not in self.months:
            return False
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday


@lru_cache(maxsize=64)
def local_minutes(zone: str, first: datetime, count: int) -> list[datetime]:
    """What the clock of this zone shows at each of so many minutes from ``first`` (UTC)."""
    tz, start = ZoneInfo(zone), int(first.timestamp())
    return [datetime.fromtimestamp(start + 60 * n, tz) for n in range(count)]


def due_minutes(line: Line, zone: str, first: datetime, count: int, gap: str = "skip") -> list[datetime]:
    """The due times (UTC) in ``count`` minutes from ``first``, by the letter of the policy.

    Fixed hours: the first pass of a repeated time counts, a time in a gap is skipped or (``gap="end"``) runs at the
    end of the gap. An hour field that begins with ``*`` follows the clock through both passes.
    """
    due = []
    before: datetime | None = None
    for local in local_minutes(zone, first, count):
        here = line.names(local) and (line.hour_star or local.fold == 0)
        if gap == "end" and not line.hour_star and before is not None and not here:
            here = any(line.names(skipped) for skipped in _skipped(before, local))
        if here:
            due.append(local.astimezone(UTC))
        before = local
    return due


def _skipped(before: datetime, now: datetime) -> list[datetime]:
    """The local minutes between two neighbouring ones that the clock did not show."""
    wall, end = before.replace(tzinfo=None, fold=0), now.replace(tzinfo=None, fold=0)
    return [wall + timedelta(minutes=n) for n in range(1, (end - wall) // timedelta(minutes=1))]


def line(text: str) -> Line:
    """A crontab line of numbers, ranges, steps and lists, read the plain way."""
    minute, hour, day, month, weekday = text.split()
    return Line(
        text,
        _numbers(minute, 0, 59),
        _numbers(hour, 0, 23),
        _numbers(day, 1, 31),
        _numbers(month, 1, 12),
        frozenset(n % 7 for n in _numbers(weekday, 0, 7)),
        hour_star=hour.startswith("*"),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )


def _numbers(text: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        bounds, _, step = item.partition("/")
        first, _, last = (f"{low}-{high}" if bounds == "*" else bounds).partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)


def random_line(chance: random.Random, changes: bool = True) -> str:
    """A crontab line; with ``changes`` it is often due in the hours at which clocks change."""
    hour = _random_field(chance, 0, 23, 0.3)
    if changes and chance.random() < 0.7:
        hour = chance.choice(["0", "1", "2", "3", "23", "0-3", "1,2", "2-3", "*/2", "*", "0,23", "*/3"])
    return " ".join(
        [
            _random_field(chance, 0, 59, 0.2),
            hour,
            _random_field(chance, 1, 31, 0.7),
            _random_field(chance, 1, 12, 0.9 if changes else 0.7),
            _random_field(chance, 0, 7, 0.7),
        ]
    )


def _random_field(chance: random.Random, low: int, high: int, star: float) -> str:
    if chance.random() < star:
        return "*"
    return ",".join(_random_item(chance, low, high) for _ in range(chance.choice([1, 1, 1, 2, 3])))


def _random_item(chance: random.Random, low: int, high: int) -> str:
    first = chance.randint(low, high)
    last = chance.randint(first, high)
    step = chance.choice([2, 3, 4, 5, 7, 10, 15])
    shapes = [f"{first}", f"{first}", f"{first}-{last}", f"*/{step}"]
    if last - first >= step:
        shapes.append(f"{first}-{last}/{step}")
    return chance.choice(shapes)


def lines(changes: bool = True) -> st.SearchStrategy[Line]:
    """Crontab lines for properties."""
    return st.randoms(use_true_random=False).map(lambda chance: line(random_line(chance, changes)))
