"""Pages of the run history: newest first by (queued_at, id), for any filter, at a cost that its length does not set.

A filter becomes *streams*. A stream is what one index lists in the order of the history (the runs of a job, those in a
state, all of them), and what else is asked of each of these runs. Where something else is asked, a page looks at
``WINDOW`` runs of the stream at most; if that does not fill it, it says how far it has looked, and the next one goes on
from there. So no page reads the whole ledger, and none leaves anything out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, exists, func, literal_column, or_, select, union_all
from sqlalchemy.orm import Session, defer

from webapp.domain.states import RunState, RunTrigger
from webapp.store import job_words
from webapp.store.filters import RunFilter
from webapp.store.job_words import escape_like
from webapp.store.models import Run

WINDOW = 5_000
"""So many runs of a stream are looked at for one page."""
JOBS_MAX = 20
"""Words that so many jobs are found by at most bring all runs of these jobs."""
_WITH_ERRORS = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST, RunState.CANCELLED)
_LONG = (Run.traceback, Run.result, Run.args, Run.kwargs)
_R: Any = Run.__table__


class Place(NamedTuple):
    """Where a run stands in the history."""

    queued_at: datetime
    id: int


@dataclass(frozen=True)
class Found:
    """Runs, newest first. ``looked_to``: how far was looked, where that was not far enough to fill the page."""

    rows: list[Run]
    looked_to: Place | None


def page(session: Session, filter: RunFilter, *, before: Place | None, after: Place | None, limit: int) -> Found:
    """The ``limit`` runs older than ``before``, or the ones next newer than ``after``. Long columns are left out."""
    newer, start = after is not None, after or before
    streams = _streams(session, filter)
    look = _Look(filter, start, newer)
    edges = look.edges(session, [stream for stream in streams if stream.rest])
    edge = (min if newer else max)(edges, default=None)
    places = look.places(session, streams, edge, limit)
    return Found(_load(session, places), edge if len(places) < limit else None)


@dataclass(frozen=True)
class _Stream:
    """The runs whose columns have these values, as far as they meet the rest."""

    equal: dict[str, str]
    rest: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Look:
    """A look along streams from a place (None: from the end) in one direction, within the filter's time."""

    filter: RunFilter
    start: Place | None
    newer: bool

    def _keys(self, stream: _Stream) -> Select[Any]:
        query = select(_R.c.queued_at, _R.c.id).where(*(_R.c[name] == value for name, value in stream.equal.items()))
        if self.filter.since:
            query = query.where(_R.c.queued_at >= self.filter.since)
        if self.filter.until:
            query = query.where(_R.c.queued_at < self.filter.until)
        if self.start is not None:
            query = query.where(_beyond(self.start, self.newer))
        if self.newer:
            return query.order_by(_R.c.queued_at.asc(), _R.c.id.asc())
        return query.order_by(_R.c.queued_at.desc(), _R.c.id.desc())

    def edges(self, session: Session, streams: Sequence[_Stream]) -> list[Place]:
        """The last places that are looked at, of the streams that go on behind it. Reads only the index."""
        return _all(session, [self._keys(stream).offset(WINDOW - 1).limit(1) for stream in streams])

    def places(self, session: Session, streams: Sequence[_Stream], edge: Place | None, limit: int) -> list[Place]:
        """The places of the runs that are wanted, up to the edge, in the direction of the look."""
        queries = [self._keys(stream).where(*stream.rest).limit(limit) for stream in streams]
        if edge is not None:
            queries = [query.where(_beyond(edge, not self.newer, itself=True)) for query in queries]
        return sorted(set(_all(session, queries)), reverse=not self.newer)[:limit]


def _beyond(place: Place, newer: bool, itself: bool = False) -> Any:
    """Newer or older than a place; written so that MariaDB, too, finds the range in an index."""
    at, number = _R.c.queued_at, _R.c.id
    if newer:
        return and_(at >= place.queued_at, or_(at > place.queued_at, number > place.id - itself))
    return and_(at <= place.queued_at, or_(at < place.queued_at, number < place.id + itself))


def _all(session: Session, queries: Sequence[Select[Any]]) -> list[Place]:
    if not queries:
        return []
    if len(queries) == 1:
        return [Place(*row) for row in session.execute(queries[0])]
    parts = [query.subquery() for query in queries]  # SQLite takes no limit inside a union
    return [Place(*row) for row in session.execute(union_all(*(select(part) for part in parts)))]


def _load(session: Session, places: Sequence[Place]) -> list[Run]:
    if not places:
        return []
    query = select(Run).options(*(defer(column) for column in _LONG)).where(Run.id.in_([place.id for place in places]))
    return sorted(session.scalars(query), key=lambda run: (run.queued_at, run.id), reverse=True)


# -- what to read for a filter -----------------------------------------------------------------------------------------


def _streams(session: Session, filter: RunFilter) -> list[_Stream]:
    wanted = {
        "job_id": (filter.job_id,) if filter.job_id else (),
        "task": (filter.task,) if filter.task else (),
        "trigger": filter.trigger,
        "state": filter.state,
    }
    wanted = {name: tuple(dict.fromkeys(values)) for name, values in wanted.items() if values}
    if filter.q:
        return _worded(session, filter.q, wanted)
    lead = _lead(filter, list(wanted))
    rest = tuple(_asked(name, values) for name, values in wanted.items() if name not in lead)
    streams = [_Stream({}, rest)]
    for name in lead:
        streams = [_Stream({**stream.equal, name: value}, rest) for stream in streams for value in wanted[name]]
    return streams


def _lead(filter: RunFilter, names: Sequence[str]) -> list[str]:
    """The columns by whose index to go: of one job, else by what fewer runs have."""
    if "job_id" in names:
        return [name for name in ("job_id", "state") if name in names]
    few = {
        "trigger": RunTrigger.SCHEDULE not in filter.trigger,
        "state": RunState.SUCCEEDED not in filter.state,
    }
    order = [name for name in ("trigger", "state") if few[name]] + ["task", "trigger", "state"]
    return [name for name in order if name in names][:1]


def _asked(name: str, values: Sequence[str]) -> Any:
    """A condition that is asked of each run and leads no database to another index than the stream's."""
    return func.coalesce(_R.c[name], literal_column("''")).in_(values)


def _worded(session: Session, q: str, wanted: dict[str, tuple[str, ...]]) -> list[_Stream]:
    """The runs of the jobs that these words find, and the runs with the words in their error."""
    like = f"%{escape_like(q)}%"
    in_error = _R.c.error.ilike(like, escape="\\")
    others = tuple(_asked(name, values) for name, values in wanted.items() if name != "job_id")
    if "job_id" in wanted:
        (job_id,) = wanted["job_id"]
        named = [_R.c.job_name.ilike(like, escape="\\"), _R.c.job_id.ilike(like, escape="\\")]
        return [_Stream({"job_id": job_id}, (or_(in_error, *named), *others))]
    jobs = job_words.matching(session, q, JOBS_MAX + 1)
    if len(jobs) > JOBS_MAX:
        words = job_words.WORDS
        of_job = exists().where(words.c.job_id == _R.c.job_id, job_words.contain(words, q))
        return [_Stream({}, (or_(in_error, of_job, _R.c.job_name.ilike(like, escape="\\")), *others))]
    states = [state for state in _WITH_ERRORS if state in wanted.get("state", _WITH_ERRORS)]
    ids = dict.fromkeys([*jobs, q])  # the words may be the id of a job that was deleted
    found = [_Stream({"job_id": job_id}, others) for job_id in ids]
    return found + [_Stream({"state": state.value}, (in_error, *others)) for state in states]
