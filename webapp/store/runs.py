"""Bounded reads of the ledger, and its compare-and-set moves as statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Update, bindparam, exists, func, or_, select, true, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from webapp.domain.states import ACTIVE, RunState
from webapp.store import many
from webapp.store.filters import RunFilter
from webapp.store.models import Run, RunLog, Sending

_EXPORTED: Sequence[Any] = (
    Run.id, Run.job_id, Run.job_name, Run.task, Run.state, Run.trigger, Run.attempt, Run.due_at, Run.due_count,
    Run.queued_at, Run.started_at, Run.finished_at, Run.executor, Run.worker, Run.requested_by, Run.result, Run.error,
    Run.reason,
)  # fmt: skip
_NEWEST = (Run.queued_at.desc(), Run.id.desc())
CHANGING = 100
"""So many of its newest runs tell whether anything about a job's runs has changed."""


def export_rows(session: Session, filter: RunFilter, *, before: int | None, limit: int) -> Sequence[Any]:
    """Runs newest first as plain rows, without arguments and tracebacks: those below ``before``."""
    query = filter.apply(select(*_EXPORTED))
    if before is not None:
        query = query.where(Run.id < before)
    return session.execute(query.order_by(Run.id.desc()).limit(limit)).all()


def rev(session: Session, job_id: str | None = None) -> str:
    """A text that changes whenever a run is added or changed: any run, or one job's newest ones and those going on."""
    if not job_id:  # each is read from the end of an index
        return _rev(session.connection().execute(_REV).one())
    of_job = select(Run.id, Run.updated_at).where(Run.job_id == job_id)
    newest = of_job.order_by(*_NEWEST).limit(CHANGING).subquery()
    active = of_job.where(Run.state.in_(ACTIVE)).limit(CHANGING).subquery()
    parts = [select(func.max(part.c.id), func.max(part.c.updated_at), func.count()) for part in (newest, active)]
    return "-".join(_rev(session.execute(part).one()) for part in parts)


_REV = select(select(func.max(Run.id)).scalar_subquery(), select(func.max(Run.updated_at)).scalar_subquery())


def _rev(row: Any) -> str:
    top, changed, *number = row
    return "-".join(map(str, (top or 0, int(changed.timestamp() * 1_000_000) if changed else 0, *number)))


def active(session: Session, limit: int = 100) -> Sequence[Run]:
    """Running runs, the longest first."""
    query = select(Run).where(Run.state == RunState.RUNNING).order_by(Run.queued_at, Run.id).limit(limit)
    return session.scalars(query).all()


def active_counts(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """How many runs of each of these jobs are queued or running; jobs with none are absent."""
    query = select(Run.job_id, func.count()).where(Run.job_id.in_(job_ids), Run.state.in_(ACTIVE)).group_by(Run.job_id)
    return dict(session.execute(query).all())


def count_in(session: Session, state: RunState, most: int) -> int:
    """How many runs are in this state, counted up to ``most``."""
    found = select(Run.id).where(Run.state == state).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


_TABLE: Any = Run.__table__
_RECENT_COLUMNS = ("job_id", "id", "state", "due_at", "queued_at", "started_at", "finished_at", "due_count")
_NEWEST_RUNS = (
    select(*(_TABLE.c[name] for name in _RECENT_COLUMNS))
    .order_by(_TABLE.c.queued_at.desc(), _TABLE.c.id.desc())
    .limit(bindparam("size", type_=Integer))
)
_RECENT = _NEWEST_RUNS.where(_TABLE.c.job_id == bindparam("job"))
_WANTED = many.unnested("jobs")
_OF_WANTED = _NEWEST_RUNS.where(_TABLE.c.job_id == _WANTED.c.value).lateral("newest")
_RECENT_OF_MANY = select(_OF_WANTED).select_from(_WANTED.join(_OF_WANTED, true()))


def recent(session: Session, job_ids: Sequence[str], each: int) -> Sequence[Any]:
    """The newest ``each`` runs of every job, newest first, with the columns ``_RECENT_COLUMNS``.

    For each job it is one short walk down the end of an index; where the server is far, all of them are one statement.
    """
    connection = session.connection()
    if many.is_postgresql(session):
        return connection.execute(_RECENT_OF_MANY, {"jobs": list(job_ids), "size": each}).all()
    rows: list[Any] = []
    for job_id in job_ids:  # the others have no LATERAL, and a window would read all history
        rows += connection.execute(_RECENT, {"job": job_id, "size": each}).all()
    return rows


def of_due_time(session: Session, job_id: str, due_at: datetime) -> Sequence[Run]:
    """All attempts at one due time, first to last."""
    query = select(Run).where(Run.job_id == job_id, Run.due_at == due_at).order_by(Run.attempt)
    return session.scalars(query).all()


def log(session: Session, run_id: int, from_line: int, limit: int) -> Sequence[RunLog]:
    """The pieces that hold the lines ``from_line`` .. ``from_line + limit - 1``."""
    query = (
        select(RunLog)
        .where(
            RunLog.run_id == run_id,
            RunLog.first_line < from_line + limit,
            RunLog.first_line + RunLog.lines > from_line,
        )
        .order_by(RunLog.first_line)
    )
    return session.scalars(query).all()


def outcomes(session: Session, since: datetime, until: datetime, job_id: str | None = None) -> dict[str, int]:
    """Due times in (since, until] by their outcome, which is the state of their last attempt."""
    query = (
        select(Run.state, func.sum(Run.due_count))
        .where(Run.due_at > since, Run.due_at <= until, Run.next_id.is_(None))
        .group_by(Run.state)
    )
    if job_id:
        query = query.where(Run.job_id == job_id)
    return {state: int(number) for state, number in session.execute(query)}


def start_delays(session: Session, since: datetime, limit: int = 1000) -> list[float]:
    """Seconds between due time and start of the newest first attempts that started since then."""
    query = (
        select(Run.due_at, Run.started_at)
        .where(Run.due_at > since, Run.started_at.is_not(None), Run.attempt == 1, Run.due_count == 1)
        .order_by(Run.due_at.desc())
        .limit(limit)
    )
    return [(started - due).total_seconds() for due, started in session.execute(query) if started and due]


_SENT = select(Run.id).join(Sending, Sending.run_id == Run.id).where(Run.state == RunState.QUEUED)
"""Runs that a broker has and no worker started."""
CLAIM_COLUMNS = (
    "id", "job_id", "job_name", "task", "args", "kwargs", "trigger", "attempt", "due_at", "queued_at", "start_by_at",
    "instances_max", "group", "follow_up", "timeout_s",
)  # fmt: skip
_CANDIDATES = (
    select(*(_TABLE.c[name] for name in CLAIM_COLUMNS))
    .where(
        _TABLE.c.state == RunState.QUEUED.value,
        _TABLE.c.executor == bindparam("executor"),
        _TABLE.c.available_at <= bindparam("now", type_=_TABLE.c.available_at.type),
    )
    .order_by(_TABLE.c.rank, _TABLE.c.available_at, _TABLE.c.id)
    .limit(bindparam("size", type_=Integer))
    .offset(bindparam("skip", type_=Integer))
)


def candidates(
    session: Session,
    executor: str,
    now: datetime,
    limit: int,
    offset: int,
    full_groups: Sequence[str],
    unsent: bool = False,
) -> Sequence[Any]:
    """Queued runs of one executor that may start now, in the order in which they should.

    ``unsent``: without those that a broker has already.
    """
    query = _CANDIDATES
    if unsent:
        query = query.where(~exists().where(Sending.run_id == _TABLE.c.id))
    if full_groups:
        query = query.where(or_(_TABLE.c.group.is_(None), _TABLE.c.group.not_in(full_groups)))
    parameters = {"executor": executor, "now": now, "size": limit, "skip": offset}
    return session.connection().execute(query, parameters).all()


def occupied_groups(session: Session, groups: Sequence[str]) -> dict[str, int]:
    """How many runs of each of these groups are going on or with a broker; groups with none are absent."""
    running = select(Run.group.label("name")).where(Run.state == RunState.RUNNING, Run.group.in_(groups))
    sent = _SENT.with_only_columns(Run.group).where(Run.group.in_(groups))
    both = running.union_all(sent).subquery()
    query = select(both.c.name, func.count()).group_by(both.c.name)
    return {str(group): number for group, number in session.execute(query)}


def occupied(session: Session, job_id: str) -> int:
    """How many runs of a job are going on or with a broker."""
    running = select(func.count()).where(Run.job_id == job_id, Run.state == RunState.RUNNING).scalar_subquery()
    sent = _SENT.with_only_columns(func.count()).where(Run.job_id == job_id).scalar_subquery()
    return int(session.scalar(select(running + sent)) or 0)


def move(run_ids: Iterable[int], source: RunState, **values: Any) -> Update:
    """Compare-and-set of whole rows: those of ``run_ids`` that are still in ``source``."""
    return update(Run).where(Run.id.in_(list(run_ids)), Run.state == source).values(**values)


def insert_new(session: Session, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows whose unique keys are new; the others stand already and stay as they are.

    So a due time that has its run (the clock went back), or a piece of log whose commit was not confirmed, is not
    written twice.
    """
    connection = session.connection()
    statement: Any
    if connection.dialect.name in ("mysql", "mariadb"):
        number = next(iter(table.primary_key))
        statement = mysql.insert(table).on_duplicate_key_update({number.name: number})
    elif connection.dialect.name == "postgresql":
        statement = postgresql.insert(table).on_conflict_do_nothing()
    else:
        statement = sqlite.insert(table).on_conflict_do_nothing()
    connection.execute(statement, rows)


def cancel_queued(session: Session, job_id: str, reason: str, now: datetime) -> None:
    """End all runs of a job that have not started."""
    session.execute(
        update(Run)
        .where(Run.job_id == job_id, Run.state == RunState.QUEUED)
        .values(state=RunState.CANCELLED, reason=reason, finished_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
