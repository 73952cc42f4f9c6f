"""Pieces of English that descriptions are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def join(parts: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def ordinal(n: int) -> str:
    """``1st``, ``22nd``, ``13th``."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def progression(numbers: Sequence[int]) -> int | None:
    """The common distance of at least three rising numbers; None when there is none."""
    if len(numbers) < 3:
        return None
    step = numbers[1] - numbers[0]
    return step if all(b - a == step for a, b in pairwise(numbers)) else None


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as runs of neighbours: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def range_list(numbers: Sequence[int], names: Sequence[str], to: str = " to ") -> list[str]:
    """``["1 to 3", "7"]``: runs of three or more are shortened. ``names[n]`` is how ``n`` is said."""
    said: list[str] = []
    for first, last in runs(numbers):
        if last - first >= 2:
            said.append(f"{names[first]}{to}{names[last]}")
        else:
            said.extend(names[n] for n in range(first, last + 1))
    return said


def ranges(numbers: Sequence[int], names: Sequence[str]) -> str:
    """``1 to 3 and 7``."""
    return join(range_list(numbers, names))


def clock_text(second: int) -> str:
    """A second of the day as ``02:30``, or ``02:30:15`` when there are seconds."""
    text = f"{second // 3600:02}:{second // 60 % 60:02}"
    return f"{text}:{second % 60:02}" if second % 60 else text


def duration(length_s: int) -> str:
    """Seconds as ``1 hour``, ``30 minutes`` or ``1 day and 6 hours``."""
    said = []
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        n, length_s = divmod(length_s, size)
        if n:
            said.append(plural(n, unit))
    return join(said) or "0 seconds"
