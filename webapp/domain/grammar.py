"""What crontab strings and cron fields have in common: numbers, names, ranges, steps. ASCII only, nothing guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from webapp.domain.civil import Days
from webapp.domain.daytimes import DayTimes

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_ITEM = re.compile(
    r"(?:(?P<star>\*)|(?P<first>[0-9]{1,4}|[a-z]{3})(?:-(?P<last>[0-9]{1,4}|[a-z]{3}))?)(?:/(?P<step>[0-9]{1,4}))?"
)


class Refused(ValueError):
    """A piece of a cron expression that has no meaning here; the message says which and why."""


@dataclass(frozen=True)
class CronParts:
    """What a cron expression means: its days, its times of day, and whether it follows the clock (see wall.py)."""

    days: Days
    times: DayTimes
    follows_clock: bool

    def same_as(self, other: CronParts) -> bool:
        """Whether both mean the same, however they were written."""
        return self.times == other.times and self.follows_clock == other.follows_clock and self.days.same_as(other.days)


@dataclass(frozen=True)
class Unit:
    """One field: its name for messages, its bounds, and the names of its values, beginning at ``first_name``.

    ``strict_steps``: a step must be within its range. ``open_steps``: ``5/10`` may run to the upper bound.
    ``wraps``: how many values come round again, so that ranges of names may wrap; 0 for none.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0
    strict_steps: bool = False
    open_steps: bool = True
    wraps: int = 0

    @property
    def bounds(self) -> str:
        return f"{self.low} to {self.high}"


def items(text: str, unit: Unit) -> list[str]:
    """The comma-separated parts of a field, in lower case. Refuses empty ones."""
    if not text.isascii():
        raise Refused(f"{unit.name}: “{text[:40]}” has characters other than plain ASCII.")
    parts = [part.strip() for part in text.lower().split(",")]
    if not all(parts):
        raise Refused(f"{unit.name}: “{text[:40]}” has an empty part.")
    return parts


def values(item: str, unit: Unit) -> list[int]:
    """The numbers that ``*``, ``5``, ``1-5``, ``*/2``, ``1-9/2``, ``5/10`` or ``fri-mon`` stand for, in order."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise Refused(f"{unit.name}: “{item[:40]}” is not understood.{_hint(item, unit)}")
    step = None if match["step"] is None else int(match["step"])
    if step == 0:
        raise Refused(f"{unit.name}: “{item}” has a step of 0.")
    if match["star"]:
        chosen = list(range(unit.low, unit.high + 1))
    else:
        chosen = _range(match["first"], match["last"], step is not None, item, unit)
    if step is None:
        return chosen
    if unit.strict_steps and step > len(chosen) - 1:
        raise Refused(f"{unit.name}: the step of “{item}” is larger than its range.")
    return chosen[::step]


def _range(first: str, last: str | None, stepped: bool, item: str, unit: Unit) -> list[int]:
    low = _number(first, item, unit)
    if last is None:
        if stepped and not unit.open_steps:
            raise Refused(f"{unit.name}: “{item}” means different things to different crons. Name the days.")
        return list(range(low, unit.high + 1)) if stepped else [low]
    high = _number(last, item, unit)
    if low <= high:
        return list(range(low, high + 1))
    if unit.wraps and not (first.isdigit() and last.isdigit()):
        return list(range(low, unit.wraps + unit.first_name)) + list(range(unit.first_name, high + 1))
    end, begin = unit.high, unit.low
    raise Refused(f"{unit.name}: “{item}” runs backwards. Write {low}-{end},{begin}-{high} if it is meant to wrap.")


def _number(text: str, item: str, unit: Unit) -> int:
    if not text.isdigit():
        if text not in unit.names:
            raise Refused(f"{unit.name}: “{item[:40]}” is not understood.{_hint(text, unit)}")
        return unit.names.index(text) + unit.first_name
    number = int(text)
    if not unit.low <= number <= unit.high:
        raise Refused(f"{unit.name}: {number} is outside {unit.bounds}.")
    return number


def _hint(item: str, unit: Unit) -> str:
    if "?" in item:
        return " Use * where another scheduler takes a question mark."
    if "~" in item or item.startswith("h"):
        return " To spread jobs in time use the spread setting."
    known = next((name for name in unit.names if item.startswith(name)), None)
    if known is not None:
        return f" Names have three letters, such as {known}."
    if unit.names:
        return f" Use {unit.bounds} or {unit.names[0]} to {unit.names[-1]}."
    return f" Use {unit.bounds}, ranges such as {unit.low}-{unit.low + 2}, lists, and steps such as */2."


def ordered(numbers: set[int]) -> tuple[int, ...]:
    return tuple(sorted(numbers))
