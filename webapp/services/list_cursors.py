"""Where a page of a list ends, as the text in an address from which the next page goes on; Invalid for any other."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from webapp.domain.errors import Invalid
from webapp.store import job_pages, run_pages
from webapp.store.models import Run

_BAD = Invalid({"cursor": "This is not a cursor that a page gave out."})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH_MAX = 2_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class JobCursor:
    """A place in a list of jobs, how many jobs stood before it, and whether the page lies before it or behind it."""

    place: job_pages.Place | None = None
    offset: int = 0
    back: bool = False


def write(place: job_pages.Place, offset: int, *, back: bool = False) -> str:
    """The cursor of the page behind a place in a list of jobs, or ``back`` of the one before it."""
    value = [place.value.isoformat()] if isinstance(place.value, datetime) else place.value
    text = json.dumps([place.stretch, value, place.id, offset, back], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(text: str | None) -> JobCursor:
    """What ``write`` wrote; the beginning for None."""
    if not text:
        return JobCursor()
    try:
        if len(text) > _LENGTH_MAX:
            raise ValueError("too long")
        stretch, value, job_id, offset, back = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        value = _utc(value[0]) if isinstance(value, list) else value
    except (ValueError, TypeError, IndexError, RecursionError):
        raise _BAD from None
    if type(stretch) is not int or type(offset) is not int or type(back) is not bool or not isinstance(job_id, str):
        raise _BAD
    if not isinstance(value, str | datetime) or not 0 <= offset < 2**31:
        raise _BAD
    return JobCursor(job_pages.Place(stretch, value, job_id), offset, back)


def _utc(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("without a zone")
    return moment


def place_of(run: Run) -> run_pages.Place:
    """Where a run stands in the history."""
    return run_pages.Place(run.queued_at, run.id)


def write_run(place: run_pages.Place, way: str) -> str:
    """The cursor of the runs before (``way`` "b") or after ("a") a place in the history."""
    return f"{way}{(place.queued_at - _EPOCH) // _MICROSECOND}.{place.id}"


def read_run(text: str | None) -> tuple[run_pages.Place | None, run_pages.Place | None]:
    """What ``write_run`` wrote, as (before, after)."""
    if not text:
        return None, None
    way, at, number = text[0], *text[1:].partition(".")[::2]
    if way not in "ab" or not (_is_number(at) and _is_number(number)):
        raise _BAD
    place = run_pages.Place(_EPOCH + int(at) * _MICROSECOND, int(number))
    return (place, None) if way == "b" else (None, place)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 18
