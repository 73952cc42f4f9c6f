"""Local times as people write them: ISO 8601 only; and what a clock change does to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from webapp.domain.zones import Zone, seconds, seconds_up, wall_datetime

YEARS = range(2000, 2101)
"""Years that a date in a schedule may have."""

MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?P<time>[T ](?:[01]\d|2[0-3]):\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?P<offset>Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


class Unreadable(ValueError):
    """A text that is not a moment; its message is for the one who typed it."""


class Repeated(Unreadable):
    """A local time that the clock shows twice, and nobody said which of the two is meant."""


@dataclass(frozen=True)
class Gap:
    """The clock jumps from ``last`` straight to ``first`` (naive local times): what lies between does not exist."""

    last: datetime
    first: datetime


@dataclass(frozen=True)
class Repeat:
    """The clock shows a local time twice: at ``first`` and again at ``second`` (aware)."""

    first: datetime
    second: datetime


def clash(local: datetime, zone: Zone) -> Gap | Repeat | None:
    """What a clock change does to this naive local time; None when it exists exactly once."""
    first, second = local.replace(tzinfo=zone.tz, fold=0), local.replace(tzinfo=zone.tz, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    if before is None or after is None or before == after:
        return None
    if before > after:
        return Repeat(first, second)
    piece = zone.piece(seconds(first))
    return Gap(wall_datetime(piece.start + piece.before), wall_datetime(piece.start + piece.offset))


def read(value: object, zone: Zone, *, fold: int | None = None, bare_dates: bool = False) -> datetime:
    """A moment as typed, or as code gives it, in ``zone`` and rounded up to a whole second.

    Text is ISO 8601 with or without seconds; without an offset it is local time in ``zone``. ``bare_dates`` takes a
    date alone as its midnight. ``fold`` answers which of two equal local times is meant (0 first, 1 second).
    Raises Unreadable, and Repeated when ``fold`` is needed.
    """
    moment = _to_datetime(value, bare_dates)
    if moment.year not in YEARS:
        raise Unreadable("Use a date between 2000 and 2100.")
    if moment.tzinfo is None:
        moment = _in_zone(moment, zone, fold)
    elif hasattr(moment.tzinfo, "localize") and str(moment.tzinfo) != "UTC":
        raise Unreadable("This time carries a pytz zone, whose offset is often wrong. Use zoneinfo.ZoneInfo.")
    return zone.local(seconds_up(moment))


def _to_datetime(value: object, bare_dates: bool) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - made aware by the caller
    if not isinstance(value, str):
        raise Unreadable("Write a date and time such as 2026-12-01T10:00.")
    text = value.strip()
    match = _ISO.fullmatch(text)
    if match is None or (match["time"] is None and not bare_dates):
        raise Unreadable(f"“{text[:40]}” is not an ISO 8601 time. Write it like 2026-12-01T10:00.")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"“{text[:40]}” is not in the calendar.") from None


def _in_zone(local: datetime, zone: Zone, fold: int | None) -> datetime:
    problem = clash(local, zone)
    if isinstance(problem, Gap):
        raise Unreadable(gap_words(local, problem, zone))
    if isinstance(problem, Repeat) and fold is None:
        raise Repeated(repeat_words(local, problem, zone))
    return local.replace(tzinfo=zone.tz, fold=fold or 0)


def gap_words(local: datetime, gap: Gap, zone: Zone) -> str:
    """Why this local time cannot be used, and the two nearest that can."""
    before = wall_datetime(_naive_seconds(gap.last) - 60)
    return (
        f"{clock(local)} on {spoken_date(local)} does not exist in {zone.name}: the clock goes from "
        f"{clock(gap.last)} to {clock(gap.first)}. The nearest times are {_near(before, local)} and "
        f"{_near(gap.first, local)}."
    )


def repeat_words(local: datetime, repeat: Repeat, zone: Zone) -> str:
    """That this local time comes twice, and how to say which is meant."""
    return (
        f"{clock(local)} on {spoken_date(local)} comes twice in {zone.name}: first as "
        f"{repeat.first.isoformat()}, then as {repeat.second.isoformat()}. "
        "Say which: fold 0 is the first, 1 the second."
    )


def _near(moment: datetime, asked: datetime) -> str:
    return clock(moment) if moment.date() == asked.date() else f"{clock(moment)} on {spoken_date(moment)}"


def _naive_seconds(local: datetime) -> int:
    return seconds(local.replace(tzinfo=UTC))


def clock(moment: datetime) -> str:
    """``02:30``, or ``02:30:15`` when there are seconds."""
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")


def spoken_date(day: date) -> str:
    """``8 March 2026``."""
    return f"{day.day} {MONTH_NAMES[day.month - 1]} {day.year}"
