"""Lists of jobs: pages of the catalogue, what a filter finds, and what there is to filter by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.extensions import db
from webapp.services import list_cursors
from webapp.store import job_pages, job_words
from webapp.store import jobs as store
from webapp.store.filters import JobFilter
from webapp.store.models import Job


@dataclass(frozen=True)
class JobPage:
    """Some jobs of a list. ``next`` and ``previous`` are cursors for ``listing``; None: there are none that way.

    ``total`` is how many the whole list has, or the number up to which they were counted: then ``is_more`` is set.
    ``offset`` says how many stood before these when the list was begun.
    """

    rows: Sequence[Job]
    total: int
    is_more: bool
    offset: int
    next: str | None
    previous: str | None


def listing(filter: JobFilter, *, limit: int = 50, cursor: str | None = None, counts: bool = False) -> JobPage:
    """A page of the catalogue; ``cursor`` comes from another page. ``counts`` all jobs. Raises Invalid."""
    session = db.session()
    at = list_cursors.read(cursor)
    read = job_pages.page(session, filter, limit=limit + 1, start=at.place, back=at.back)
    found = read.jobs
    if at.back and len(found) <= limit:  # the first page is always a full one
        return listing(filter, limit=limit, counts=counts)
    rows = found[-limit:] if at.back else found[:limit]
    offset = max(0, at.offset - limit) if at.back else at.offset
    total = job_pages.count(session, filter) if counts and read.total is None else read.total
    following = rows and (at.back or len(found) > limit)
    preceding = rows and at.place is not None
    return JobPage(
        [job for job, _ in rows],
        job_pages.FEW if total is None else total,
        total is None,
        offset,
        list_cursors.write(rows[-1][1], offset + len(rows)) if following else None,
        list_cursors.write(rows[0][1], offset, back=True) if preceding else None,
    )


def every(filter: JobFilter) -> Sequence[Job]:
    """All jobs that a filter finds, in its order."""
    return store.every(db.session(), filter)


def first(filter: JobFilter, limit: int) -> Sequence[Job]:
    """The first jobs that a filter finds."""
    return store.every(db.session(), filter, limit)


def schedules_from(moment: datetime, limit: int) -> Sequence[Any]:
    """Active jobs that are next due at ``moment`` or later, the soonest first: id, name and what a schedule is of."""
    return store.schedules_from(db.session(), moment, limit)


def rev() -> str:
    """A text that differs whenever somebody has added, changed or deleted a job since."""
    return store.rev(db.session())


def tags() -> list[str]:
    """Every tag in use."""
    return job_words.tags(db.session())
