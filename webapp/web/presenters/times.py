"""Moments and lengths of time as people read them. Every moment is shown in a named zone.

``relative`` and ``span`` have a twin in ``static/app.js``, which lets them tick; a browser test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def iso(at: datetime) -> str:
    """The instant for machines: UTC with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(at: datetime, zone: ZoneInfo) -> str:
    """Everything about an instant, for a title: "Tue 14 Apr 2026, 14:32:08.123 CEST (12:32:08 UTC)"."""
    local = at.astimezone(zone)
    text = f"{day(local, year=True)}, {millis(local)} {label(at, zone)}"
    return text if local.utcoffset() == timedelta(0) else f"{text} ({at.astimezone(UTC):%H:%M:%S} UTC)"


def millis(local: datetime) -> str:
    """ "14:32:08.123"."""
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def full(at: datetime, zone: ZoneInfo) -> str:
    """ "Tue 14 Apr 2026, 14:32:08"."""
    local = at.astimezone(zone)
    return f"{day(local, year=True)}, {local:%H:%M:%S}"


def clock(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """As short as today allows: "14:32:08", "Wed 15 Apr 14:32", "15 Apr 2027 14:32"."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    if local.year == today.year:
        return f"{day(local)} {local:%H:%M}"
    return f"{local.day} {MONTHS[local.month - 1][:3]} {local.year} {local:%H:%M}"


def day(local: date, *, year: bool = False) -> str:
    """ "Tue 14 Apr" or "Tue 14 Apr 2026"."""
    text = f"{WEEKDAYS[local.weekday()][:3]} {local.day} {MONTHS[local.month - 1][:3]}"
    return f"{text} {local.year}" if year else text


def long_day(local: date) -> str:
    """ "Tuesday 14 April 2026"."""
    return f"{WEEKDAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]} {local.year}"


def day_name(local: date, today: date) -> str:
    """ "Today", "Yesterday", "Tomorrow", or nothing."""
    return {0: "Today", -1: "Yesterday", 1: "Tomorrow"}.get((local - today).days, "")


def short(local: datetime) -> str:
    """Hours and minutes, and seconds where there are any."""
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def label(at: datetime, zone: ZoneInfo) -> str:
    """The zone's short name at that moment, or its offset where tzdata has no letters: "CEST", "UTC+05:30"."""
    name = at.astimezone(zone).tzname() or ""
    return f"UTC{name}" if name[:1] in "+-" else name


def relative(at: datetime, now: datetime) -> str:
    """ "in 4 min", "2 h 5 min ago", "now"; rounded down."""
    seconds = int(abs((at - now).total_seconds()))
    if seconds < 1:
        return "now"
    return f"in {span(seconds)}" if at > now else f"{span(seconds)} ago"


def span(seconds: int) -> str:
    """Whole seconds in one unit, or in two while the first is below ten."""
    if seconds < 60:
        return f"{seconds} s"
    at = next(index for index, (_, size) in enumerate(_UNITS) if seconds >= size)
    unit, size = _UNITS[at]
    whole, left = divmod(seconds, size)
    rest = left // _UNITS[at + 1][1] if at + 1 < len(_UNITS) else 0
    if rest and whole < 10:
        return f"{whole} {unit} {rest} {_UNITS[at + 1][0]}"
    return f"{whole} {unit}"


def duration(seconds: float) -> str:
    """How long something took, to about three figures: "4 ms", "0.48 s", "12.4 s", "3 min 05 s", "2 h 10 min"."""
    seconds = max(0.0, seconds)
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3_600} h {whole % 3_600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3_600} h"


def length(seconds: float) -> str:
    """A length that somebody chose, exactly: "90 s" is "1 min 30 s", "0.5 s" stays."""
    if seconds != int(seconds):
        return f"{seconds:g} s"
    left, parts = int(seconds), []
    for unit, size in (*_UNITS, ("s", 1)):
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts) or "0 s"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from ``start`` to ``end``; None unless both are known."""
    return (end - start).total_seconds() if start and end else None
