"""Time zones as runs of constant offset, so that due times are integer arithmetic and no clock change is missed.

A *wall second* is what the local clock shows, counted like an epoch second: ``wall = instant + offset``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webapp.domain.errors import Invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_S = 86_400
MAX_OFFSET_S = DAY_S
"""No zone is further than this from UTC (datetime itself refuses more)."""

FIRST_YEAR = 1800
LAST_YEAR = 2199
FIRST_S = int((datetime(FIRST_YEAR, 1, 3, tzinfo=UTC) - EPOCH).total_seconds())
LAST_S = int((datetime(LAST_YEAR, 12, 29, tzinfo=UTC) - EPOCH).total_seconds())
"""Nothing is computed outside these instants: far from where datetime overflows, far beyond any accepted date."""

END = EPOCH + timedelta(seconds=LAST_S)
"""``LAST_S`` as a moment, for "as far as there are due times"."""

_CHUNK_S = 48 * DAY_S
_STEP_S = 3 * DAY_S
"""The IANA data never holds two changes of one zone within this distance (a test looks at every zone)."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*", re.ASCII)
_NOT_PLACES = ("posix/", "right/", "posixrules", "localtime", "Factory")
"""Files beside the zones: ``right/`` counts leap seconds, the others mean another zone on another machine."""


class Piece(NamedTuple):
    """A run of instants ``start <= t < end`` with one ``offset``; ``before`` is the offset just before ``start``.

    ``before == offset`` where a piece begins for no other reason than that the table is cut there.
    """

    start: int
    end: int
    offset: int
    before: int


class Zone:
    """One IANA zone and its clock changes, found on demand and kept."""

    def __init__(self, name: str, tz: ZoneInfo) -> None:
        self.name = name
        self.tz = tz
        self._chunks: dict[int, tuple[list[int], list[Piece]]] = {}

    def __repr__(self) -> str:
        return f"<Zone {self.name}>"

    def offset(self, instant: int) -> int:
        """Seconds that the local clock is ahead of UTC at this epoch second."""
        moment = datetime.fromtimestamp(instant, self.tz)
        ahead = moment.utcoffset()
        if ahead is None:  # pragma: no cover - a ZoneInfo always knows
            raise ValueError(f"{self.name} has no offset")
        return ahead.days * DAY_S + ahead.seconds

    def piece(self, instant: int) -> Piece:
        """The piece that holds this epoch second."""
        number = instant // _CHUNK_S
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = self._read_chunk(number)
        starts, pieces = chunk
        if len(pieces) == 1:
            return pieces[0]
        return pieces[bisect_right(starts, instant) - 1]

    def changes(self, first: int, end: int) -> Iterator[Piece]:
        """The pieces that begin with a clock change at ``first <= start < end``."""
        while first < end:
            piece = self.piece(first)
            if piece.start == first and piece.offset != piece.before:
                yield piece
            first = piece.end

    def first_at_wall(self, wall: int) -> int:
        """The first instant at which the local clock shows this wall second or, where it is skipped, a later one."""
        piece = self.piece(wall - MAX_OFFSET_S)
        while wall >= piece.end + piece.offset:
            piece = self.piece(piece.end)
        return max(wall - piece.offset, piece.start)

    def local(self, instant: int) -> datetime:
        """The aware local time at this epoch second, ``fold`` included."""
        return datetime.fromtimestamp(instant, self.tz)

    def _read_chunk(self, number: int) -> tuple[list[int], list[Piece]]:
        first, end = number * _CHUNK_S, (number + 1) * _CHUNK_S
        changes = [(first, self.offset(first - 1), self.offset(first))]
        at, offset = first, changes[0][2]
        while at < end - 1:
            to = min(at + _STEP_S, end - 1)
            later = self.offset(to)
            if later != offset:
                changes.append((self._change_between(at, to, offset), offset, later))
                offset = later
            at = to
        starts = [start for start, _, _ in changes]
        ends = [*starts[1:], end]
        pieces = [Piece(s, e, after, before) for (s, before, after), e in zip(changes, ends, strict=True)]
        return starts, pieces

    def _change_between(self, low: int, high: int, offset: int) -> int:
        """The first instant in ``(low, high]`` whose offset is no longer ``offset``."""
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == offset:
                low = middle
            else:
                high = middle
        return high


@lru_cache(maxsize=1024)
def zone(name: str) -> Zone:
    """The zone of an IANA name. Raises Invalid under ``timezone`` for anything else."""
    if _NAME.fullmatch(name) and not name.startswith(_NOT_PLACES):
        try:
            return Zone(name, ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise Invalid({"timezone": f"“{name[:60]}” is not a time zone. Use an IANA name such as Europe/Berlin or UTC."})


def zone_name(value: str | tzinfo) -> str:
    """The IANA name behind what code may pass as a zone: a name, a ZoneInfo, ``timezone.utc`` or a pytz zone.

    Fixed offsets have no name and no clock changes to follow: Invalid.
    """
    if isinstance(value, str):
        return value.strip()
    if value is UTC:
        return "UTC"
    name = getattr(value, "key", None) or getattr(value, "zone", None)
    if isinstance(name, str):
        return name
    raise Invalid({"timezone": f"{value} is a fixed offset, not a time zone. Use a name such as Europe/Berlin."})


def seconds(moment: datetime) -> int:
    """Whole epoch seconds of an aware moment, rounded down."""
    since = moment - EPOCH
    return since.days * DAY_S + since.seconds


def seconds_up(moment: datetime) -> int:
    """Whole epoch seconds of an aware moment, rounded up: never earlier than what was asked for."""
    return seconds(moment) + (1 if moment.microsecond else 0)


def wall_datetime(wall: int) -> datetime:
    """A wall second as the naive local time it stands for."""
    return datetime(1970, 1, 1) + timedelta(seconds=wall)  # noqa: DTZ001 - a wall time has no zone
