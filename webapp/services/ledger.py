"""The ledger's moves on behalf of the engine: outcomes, log lines, progress, claims.

These functions take the session of the caller, who commits: the recorder puts many of them into one transaction.
Every move is compare-and-set on the state it leaves, so that a run is started once and ended once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import String, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from webapp.domain.rules import span_words
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services.due import quarantine
from webapp.services.follow_up import follow
from webapp.store import lease, runs
from webapp.store.models import Run, RunLog
from webapp.tasks import registry

_RUN: Any = Run.__table__
_LOG: Any = RunLog.__table__


@dataclass
class Entries:
    """What runs reported: outcomes and progress as mappings, log lines with the number of their first."""

    outcomes: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[int, tuple[int, list[str]]] = field(default_factory=dict)
    progress: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """A run that has its outcome now, for those who listen."""

    run_id: int
    job_id: str
    state: RunState
    due_at: datetime | None


@dataclass
class Written:
    """What a round of the recorder changed; ``next_at``: when the earliest new attempt may start."""

    ended: list[Ended] = field(default_factory=list)
    next_at: datetime | None = None


@dataclass
class Claimed:
    """Runs that are ``running`` now and must be started, as keyword arguments of ``Claim``; ``more``: ask again."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    more: bool = False


_NOW = bindparam("now", type_=_RUN.c.available_at.type)
_ANY_QUEUED = select(_RUN.c.id).where(_RUN.c.state == RunState.QUEUED.value, _RUN.c.available_at <= _NOW).limit(1)


def anything_queued(now: datetime) -> bool:
    """Whether a run may start now: a read that keeps idle servers from writing."""
    return db.session.scalar(_ANY_QUEUED, {"now": now}) is not None


def stop_requests(run_ids: Sequence[int]) -> list[int]:
    """Those of these runs that somebody asked to stop, or that the ledger gave up while they go on."""
    given_up = Run.state != RunState.RUNNING
    query = select(Run.id).where(Run.id.in_(run_ids), or_(Run.stop_requested_at.is_not(None), given_up))
    return list(db.session.scalars(query))


_END = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run_id"), _RUN.c.state == RunState.RUNNING.value)
    .values(
        state=bindparam("new_state"),
        finished_at=bindparam("at"),
        updated_at=bindparam("at"),
        result=bindparam("new_result"),
        error=bindparam("new_error"),
        traceback=bindparam("new_traceback"),
        reason=func.coalesce(bindparam("new_reason", type_=String), _RUN.c.reason),
    )
)
# Coalesce keeps SQLite from looking for the state in an index: it would walk through everything that is queued.
_START = (
    update(_RUN)
    .where(_RUN.c.id.in_(bindparam("ids", expanding=True)), func.coalesce(_RUN.c.state, "") == RunState.QUEUED.value)
    .values(
        state=RunState.RUNNING.value, started_at=bindparam("at"), updated_at=bindparam("at"), worker=bindparam("by")
    )
)
_PROGRESS = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run_id"), _RUN.c.state == RunState.RUNNING.value)
    .values(progress=bindparam("fraction"), progress_text=bindparam("text"), updated_at=bindparam("at"))
)
_LINES = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run_id"))
    .values(log_lines=bindparam("total"), updated_at=bindparam("at"))
)


def write(session: Session, entries: Entries, now: datetime) -> Written:
    """Store what runs reported. An outcome of a run that is not ``running`` any more changes nothing."""
    connection = session.connection()
    if entries.lines:
        pieces = [(run_id, first, lines) for run_id, (first, lines) in entries.lines.items()]
        runs.insert_new(
            session,
            _LOG,
            [
                {"run_id": run_id, "first_line": first, "lines": len(lines), "text": "\n".join(lines)}
                for run_id, first, lines in pieces
            ],
        )
        connection.execute(
            _LINES,
            [{"run_id": run_id, "total": first + len(lines), "at": now} for run_id, first, lines in pieces],
        )
    if entries.progress:
        connection.execute(_PROGRESS, [{**item, "at": now} for item in entries.progress])
    if not entries.outcomes:
        return Written()
    following = _still_running(session, [item["run_id"] for item in entries.outcomes if item["follow_up"]])
    connection.execute(_END, [_ending(item) for item in entries.outcomes])
    names = {item["run_id"]: item["error_names"] for item in entries.outcomes if item["run_id"] in following}
    return Written([_ended(item) for item in entries.outcomes], _follow_up(session, names, now))


def _ending(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run_id": item["run_id"],
        "new_state": item["state"].value,
        "at": item["finished_at"],
        "new_result": item["result"],
        "new_error": item["error"],
        "new_traceback": item["traceback"],
        "new_reason": item["reason"],
    }


def _ended(item: Mapping[str, Any]) -> Ended:
    return Ended(item["run_id"], item["job_id"], item["state"], item["due_at"])


def _still_running(session: Session, run_ids: Sequence[int]) -> set[int]:
    """Those of these runs that have no outcome yet. The others had theirs, and what follows from it."""
    if not run_ids:
        return set()
    query = select(Run.id).where(Run.id.in_(run_ids), Run.state == RunState.RUNNING).with_for_update()
    return set(session.scalars(query))


def _follow_up(session: Session, error_names: Mapping[int, Sequence[str]], now: datetime) -> datetime | None:
    """Do what the jobs of these runs want at their end; when the earliest new attempt may start."""
    if not error_names:
        return None
    query = select(Run).where(Run.id.in_(list(error_names))).order_by(Run.id).execution_options(populate_existing=True)
    attempts = [follow(session, run, error_names[run.id], now) for run in session.scalars(query).all()]
    return min(filter(None, attempts), default=None)


def claim(
    session: Session,
    held: lease.Held,
    free: Mapping[str, int],
    now: datetime,
    worker_id: str,
    group_limits: Mapping[str, int] | None = None,
) -> Claimed:
    """Make as many queued runs ``running`` as there are free workers. Nothing when the lease is not ours any more."""
    claimed = Claimed()
    if not free or not lease.confirm(session, held):
        return claimed
    room = Room(session, group_limits or {})
    for alias, slots in free.items():
        good = startable(session, alias, slots, now, room, claimed)
        if not good:
            continue
        ids = [row.id for row in good]
        moved = session.connection().execute(_START, {"ids": ids, "at": now, "by": worker_id})
        if moved.rowcount != len(ids):  # somebody cancelled one of them in between
            mine = select(Run.id).where(Run.id.in_(ids), Run.state == RunState.RUNNING, Run.worker == worker_id)
            kept = set(session.scalars(mine))
            good = [row for row in good if row.id in kept]
        claimed.rows += [claim_row(row, alias, now) for row in good]
    return claimed


def claim_row(row: Any, alias: str, now: datetime) -> dict[str, Any]:
    """A row that is ``running`` since ``now`` as the keyword arguments of ``Claim``."""
    return {
        "run_id": row.id,
        "job_id": row.job_id,
        "job_name": row.job_name,
        "task": row.task,
        "args": row.args,
        "kwargs": row.kwargs,
        "trigger": row.trigger,
        "attempt": row.attempt,
        "due_at": row.due_at,
        "timeout_s": row.timeout_s,
        "executor": alias,
        "started_at": now,
        "follow_up": row.follow_up,
    }


SCAN_MAX = 2_000
"""Queued runs that one claim looks through when many of them must wait for others of their job or group."""


def startable(
    session: Session, alias: str, slots: int, now: datetime, room: Room, claimed: Claimed, *, unsent: bool = False
) -> list[Any]:
    """The first ``slots`` runs that may start (of those that no broker has, where ``unsent``).

    Those that came too late or have no task here get their outcome.
    """
    good: list[Any] = []
    offset, size = 0, slots + 1  # one more shows whether any is left
    while len(good) < slots and offset < SCAN_MAX:
        rows = runs.candidates(session, alias, now, size, offset, room.full_groups(), unsent)
        for row in rows:
            if len(good) == slots:
                claimed.more = True
                break
            if _may_start(session, row, now, room, claimed):
                good.append(row)
        if len(rows) < size:
            break
        offset, size = offset + size, 500
    return good


def _may_start(session: Session, row: Any, now: datetime, room: Room, claimed: Claimed) -> bool:
    if row.start_by_at is not None and now > row.start_by_at:
        late = span_words((now - (row.due_at or row.queued_at)).total_seconds())
        reason = f"It waited for a free worker until it was {late} late, longer than its job allows."
        end_queued(session, row, RunState.MISSED, now, claimed, reason=reason)
        return False
    if registry.find(row.task) is None:
        error = f"There is no task {row.task!r} here: its module was removed or cannot be imported."
        end_queued(session, row, RunState.FAILED, now, claimed, error=error)
        quarantine(session, row.job_id, error, now)
        return False
    return room.take(row)


class Room:
    """How many more runs may go on, of a job that waits for its own runs and of a group that has a limit."""

    def __init__(self, session: Session, group_limits: Mapping[str, int]) -> None:
        self._session = session
        self._limits = group_limits
        self._jobs: dict[str, int] = {}
        self._groups = runs.occupied_groups(session, list(group_limits)) if group_limits else {}

    def full_groups(self) -> list[str]:
        """The groups in which nothing may start now."""
        return [group for group, limit in self._limits.items() if self._groups.get(group, 0) >= limit]

    def take(self, row: Any) -> bool:
        """Whether this run may start; if so, it counts from now on."""
        limit = self._limits.get(row.group)
        if limit is not None and self._groups.get(row.group, 0) >= limit:
            return False
        if row.instances_max is not None and self._running(row.job_id) >= row.instances_max:
            return False
        if limit is not None:
            self._groups[row.group] = self._groups.get(row.group, 0) + 1
        if row.job_id in self._jobs:
            self._jobs[row.job_id] += 1
        return True

    def _running(self, job_id: str) -> int:
        if job_id not in self._jobs:
            self._jobs[job_id] = runs.occupied(self._session, job_id)
        return self._jobs[job_id]


def end_queued(session: Session, row: Any, state: RunState, now: datetime, claimed: Claimed, **values: str) -> None:
    """Give a queued run its outcome without starting it."""
    statement = runs.move([row.id], RunState.QUEUED, state=state, finished_at=now, updated_at=now, **values)
    session.execute(statement.execution_options(synchronize_session=False))
    claimed.ended.append(Ended(row.id, row.job_id, state, row.due_at))
    claimed.more = True


def undo_claims(session: Session, worker_id: str, known: Sequence[int], now: datetime) -> None:
    """Queue again what this process claimed without knowing it.

    When a commit's answer is lost, the claims in it may stand in the ledger although nothing was started: only this
    process starts what it claims, and only runs in ``known``. One that somebody asked to stop meanwhile is cancelled.
    """
    mine = update(_RUN).where(
        _RUN.c.state == RunState.RUNNING.value, _RUN.c.worker == worker_id, _RUN.c.id.not_in(known)
    )
    undone = mine.values(started_at=None, worker=None, updated_at=now)
    reason = "Somebody asked it to stop before it started."
    cancelled = undone.values(state=RunState.CANCELLED.value, finished_at=now, reason=reason)
    session.connection().execute(cancelled.where(_RUN.c.stop_requested_at.is_not(None)))
    session.connection().execute(undone.values(state=RunState.QUEUED.value))
