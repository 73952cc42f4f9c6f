"""Pages of the catalogue in any order, at a cost that its length does not set: a page goes on from where one ended.

An order is one or more *stretches*, each in the order of an index. Where a filter finds few jobs, these are read and
sorted; where it finds many, the index is walked until the page is full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from webapp.domain.states import JobState
from webapp.store import many
from webapp.store.filters import UNINDEXED_STATE, JobFilter
from webapp.store.models import Job, JobTag, JobWords

FEW = 5_000
"""So many jobs are read and sorted rather than looked for along an index."""
_J: Any = Job.__table__
_W: Any = JobWords.__table__
_DUE = and_(Job.state == JobState.ACTIVE, Job.next_due_at.is_not(None))


def _not_due(state: Any) -> Any:
    others = [each for each in JobState if each is not JobState.ACTIVE]
    return or_(state.in_(others), and_(state == JobState.ACTIVE, Job.next_due_at.is_(None)))


class Place(NamedTuple):
    """Where a job stands in an order: in which stretch, its value there, its id."""

    stretch: int
    value: Any
    id: str


def _has(state: JobState) -> Callable[[Any], Any]:
    return lambda column: column == state


@dataclass(frozen=True)
class _Stretch:
    """Jobs in the order of (value, id). ``asks``: what the index of this order does not answer, of the state."""

    value: Any
    id: Any = _J.c.id
    among: Any = None
    asks: Callable[[Any], Any] | None = None
    descending: bool = False

    def query(self, start: Place | None, back: bool) -> Select[Any]:
        """Its jobs from behind ``start`` on, or ``back`` from before it."""
        query = select(Job, self.value.label("value"))
        if self.id is not _J.c.id:
            query = query.join_from(JobWords, Job, JobWords.job_id == Job.id)
        if self.among is not None:
            query = query.where(self.among)
        down = self.descending != back
        if start is not None:
            beyond = (
                (self.value < start.value, self.id < start.id)
                if down
                else (self.value > start.value, self.id > start.id)
            )
            edge = self.value <= start.value if down else self.value >= start.value
            query = query.where(edge, or_(*beyond))
        order = (self.value.desc(), self.id.desc()) if down else (self.value.asc(), self.id.asc())
        return query.order_by(*order)


def _stretches(sort: str) -> list[_Stretch]:
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    match name:
        case "next":  # jobs without a next due time come last in either direction
            return [_Stretch(_J.c.next_due_at, among=_DUE, descending=descending), _Stretch(_J.c.name, asks=_not_due)]
        case "state":
            states = sorted(JobState, reverse=descending)
            return [_Stretch(_J.c.name, asks=_has(state), descending=descending) for state in states]
        case "task":
            return [_Stretch(_W.c.task, id=_W.c.job_id, descending=descending)]
        case "updated":
            return [_Stretch(_J.c.updated_at, descending=descending)]
    return [_Stretch(_J.c.name, descending=descending)]


@dataclass(frozen=True)
class Found:
    """Jobs, each with its place, in the list's order; and how many the filter finds, None for more than FEW."""

    jobs: list[tuple[Job, Place]]
    total: int | None


def page(session: Session, filter: JobFilter, *, limit: int, start: Place | None = None, back: bool = False) -> Found:
    """The ``limit`` jobs behind a place (None: from the beginning), or those before it, when it is the way ``back``."""
    few = _few(session, filter) if filter.asks else None
    total = len(few) if few is not None else None if filter.asks else count(session, filter, FEW + 1)
    stretches = list(enumerate(_stretches(filter.sort)))
    if back:
        stretches.reverse()
    found: list[tuple[Job, Place]] = []
    for number, stretch in stretches:
        if start is not None and (number > start.stretch if back else number < start.stretch):
            continue
        behind = start if start is not None and number == start.stretch else None
        query = _filtered(session, stretch, filter, few, stretch.query(behind, back))
        rows = session.execute(query.limit(limit - len(found)))
        found += [(job, Place(number, value, job.id)) for job, value in rows]
        if len(found) == limit:
            break
    return Found(found[::-1] if back else found, None if total is None or total > FEW else total)


def _few(session: Session, filter: JobFilter, asks: Sequence[Any] = ()) -> Sequence[str] | None:
    """The ids of what the filter finds; None for more than FEW."""
    ids = session.scalars(_ids(filter, asks).limit(FEW + 1)).all()
    return ids if len(ids) <= FEW else None


def _filtered(
    session: Session, stretch: _Stretch, filter: JobFilter, few: Sequence[str] | None, query: Select[Any]
) -> Select[Any]:
    """The query for what the filter finds in a stretch."""
    asks = [] if stretch.asks is None else [stretch.asks(Job.state)]
    if few is None and asks:
        few = _few(session, filter, asks)
    if few is not None:
        return query.where(many.among(session, _J.c.id, few), *asks)
    query = filter.apply(query)
    return query if stretch.asks is None else query.where(stretch.asks(UNINDEXED_STATE))


def count(session: Session, filter: JobFilter, most: int | None = None) -> int:
    """How many jobs the filter finds, counted up to ``most`` if it is given."""
    found = _ids(filter, []).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def _ids(filter: JobFilter, asks: Sequence[Any]) -> Select[Any]:
    """The ids of what the filter finds, in no order, from the narrowest table that knows them."""
    of_job = [*filter.of_job(), *asks]
    if not (filter.tag or filter.of_words()):
        return select(Job.id).where(*of_job)
    number: Any = JobTag.job_id if filter.tag else JobWords.job_id
    query = select(number)
    if filter.tag:
        query = query.where(JobTag.tag == filter.tag)
        if filter.of_words():
            query = query.where(exists().where(_W.c.job_id == number, *filter.of_words()))
    else:
        query = query.where(*filter.of_words())
    return query.where(exists().where(Job.id == number, *of_job)) if of_job else query
