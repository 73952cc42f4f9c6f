"""Runs on their way to a worker of Celery: what the leader may send, and the start by whoever receives it.

A run stays ``queued`` until a worker starts it. A row of ``sending`` says that a broker has it: it counts as occupied,
is not sent again without need, and permits a worker to start it, by compare-and-set, however often it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from webapp.domain.rules import span_words
from webapp.domain.states import RunState
from webapp.services import heartbeat, ledger, status
from webapp.store import lease, runs
from webapp.store.database import read_database_now
from webapp.store.models import Run, Sending, Worker
from webapp.tasks import registry

RESEND_S = 10.0
"""A run that was sent so long ago, and that a worker with a free slot did not get, is sent again."""
FREE_S = 5.0
"""A worker that had a free slot for so long would have taken what the broker has."""
AT_ONCE = 500

_RUN: Any = Run.__table__
_SENT = exists().where(Sending.run_id == Run.id)


@dataclass(frozen=True)
class Message:
    """What is sent: a run by its number. ``task_id`` is its name at Celery, the same each time it is sent."""

    run_id: int
    task_id: str


@dataclass
class Taken:
    """What to send now, and the runs that got their outcome without being sent."""

    messages: list[Message]
    ended: list[ledger.Ended]


def task_id(run_id: int, queued_at: datetime) -> str:
    """A run's name at Celery. The moment keeps installations apart that share a broker."""
    return f"carillon-{run_id}-{int(queued_at.timestamp() * 1_000_000)}"


def room(session: Session, executor: str, most: int, now: datetime) -> int:
    """How many runs of this executor may be sent now: a read that keeps an idle leader from writing."""
    waiting = select(Run.id).where(
        Run.state == RunState.QUEUED, Run.executor == executor, Run.available_at <= now, ~_SENT
    )
    if session.scalar(waiting.limit(1)) is None:
        return 0
    running = select(func.count()).where(Run.state == RunState.RUNNING, Run.executor == executor).scalar_subquery()
    sent = select(func.count()).where(Sending.executor == executor).scalar_subquery()
    return max(0, most - int(session.scalar(select(running + sent)) or 0))


def take(
    session: Session, held: lease.Held, executor: str, slots: int, now: datetime, group_limits: Mapping[str, int]
) -> Taken:
    """Mark as sent what may start now, ``slots`` runs at most; nothing when the lease is not ours any more."""
    if not lease.confirm(session, held):
        return Taken([], [])
    claimed = ledger.Claimed()
    limits = ledger.Room(session, group_limits)
    good = ledger.startable(session, executor, slots, now, limits, claimed, unsent=True)
    if good:
        session.execute(insert(Sending), [{"run_id": row.id, "executor": executor, "sent_at": now} for row in good])
    return Taken([Message(row.id, task_id(row.id, row.queued_at)) for row in good], claimed.ended)


def take_back(session: Session, run_ids: Sequence[int]) -> None:
    """Forget that these were sent: the broker did not take them, or they are left over."""
    session.execute(delete(Sending).where(Sending.run_id.in_(run_ids)))


def overdue(session: Session, executor: str, before: datetime) -> list[Message]:
    """Runs that were sent before that moment and that no worker started."""
    query = (
        select(Run.id, Run.queued_at)
        .join(Sending, Sending.run_id == Run.id)
        .where(Sending.executor == executor, Sending.sent_at < before, Run.state == RunState.QUEUED)
        .order_by(Run.id)
        .limit(AT_ONCE)
    )
    return [Message(row.id, task_id(row.id, row.queued_at)) for row in session.execute(query)]


def workers_wait(session: Session, executor: str) -> bool:
    """Whether a living worker has had a free slot for a while: then its queue at the broker is empty."""
    alive = status.live_workers(session, read_database_now(session))
    return any(
        executor in worker.detail.get("executors", {}) and worker.detail.get("free_s", 0.0) >= FREE_S
        for worker in alive
        if worker.detail.get("kind") == "celery"
    )


def sent_again(session: Session, held: lease.Held, run_ids: Sequence[int], now: datetime) -> bool:
    """Write down that these are sent once more; False when the lease is not ours any more."""
    if not lease.confirm(session, held):
        return False
    session.execute(update(Sending).where(Sending.run_id.in_(run_ids)).values(sent_at=now))
    return True


def leftovers(session: Session, executor: str) -> list[int]:
    """Runs that were sent and are not queued any more: they were cancelled, or are gone."""
    sent = (
        select(Sending.run_id)
        .outerjoin(Run, Run.id == Sending.run_id)
        .where(Sending.executor == executor, or_(Run.id.is_(None), Run.state != RunState.QUEUED))
    )
    return list(session.scalars(sent.limit(AT_ONCE)))


def stops(session: Session, executor: str) -> list[Message]:
    """Running runs of this executor that somebody asked to stop."""
    query = select(Run.id, Run.queued_at).where(
        Run.state == RunState.RUNNING, Run.executor == executor, Run.stop_requested_at.is_not(None)
    )
    return [Message(row.id, task_id(row.id, row.queued_at)) for row in session.execute(query.limit(AT_ONCE))]


def start(session: Session, run_ids: Sequence[int], worker: Worker, now: datetime) -> ledger.Claimed:
    """Make those of these runs ``running`` here that are sent and still queued.

    A run that is too late or whose task this worker does not have gets its outcome; the others were started elsewhere,
    were cancelled, were never sent, or are of executors that this worker does not serve. The start is a heartbeat too:
    a worker of which nobody knows starts nothing.
    """
    heartbeat.seen(session, worker)
    claimed = ledger.Claimed()
    columns = (*(_RUN.c[name] for name in runs.CLAIM_COLUMNS), _RUN.c.executor)
    mine = _RUN.c.executor.in_(list(worker.detail["executors"]))
    query = select(*columns).where(_RUN.c.id.in_(run_ids), _RUN.c.state == RunState.QUEUED.value, mine, _sent_row())
    rows = session.connection().execute(query.order_by(_RUN.c.id)).all()
    good = [row for row in rows if _may_start(session, row, worker, now, claimed)]
    ids = [row.id for row in good]
    if ids:
        values = {"state": RunState.RUNNING.value, "started_at": now, "updated_at": now, "worker": worker.id}
        moved = session.connection().execute(
            update(_RUN).where(_RUN.c.id.in_(ids), _RUN.c.state == RunState.QUEUED.value).values(**values)
        )
        if moved.rowcount != len(ids):  # another worker has the same message, or somebody cancelled it
            ours = select(Run.id).where(Run.id.in_(ids), Run.state == RunState.RUNNING, Run.worker == worker.id)
            kept = set(session.scalars(ours))
            good = [row for row in good if row.id in kept]
    claimed.rows = [ledger.claim_row(row, row.executor, now) for row in good]
    claimed.more = False
    settled = [row.id for row in good] + [ended.run_id for ended in claimed.ended]
    if settled:
        session.execute(delete(Sending).where(Sending.run_id.in_(settled)))
    return claimed


def _sent_row() -> Any:
    return exists().where(Sending.run_id == _RUN.c.id)


def _may_start(session: Session, row: Any, worker: Worker, now: datetime, claimed: ledger.Claimed) -> bool:
    if row.start_by_at is not None and now > row.start_by_at:
        late = span_words((now - (row.due_at or row.queued_at)).total_seconds())
        reason = f"It waited for a free worker until it was {late} late, longer than its job allows."
        ledger.end_queued(session, row, RunState.MISSED, now, claimed, reason=reason)
        return False
    if registry.find(row.task) is None:
        error = f"The worker {worker.id} has no task {row.task!r}: its CARILLON_TASK_MODULES are not the server's."
        ledger.end_queued(session, row, RunState.FAILED, now, claimed, error=error)
        return False
    return True


def before(now: datetime) -> datetime:
    """What was sent before this moment should have been started."""
    return now - timedelta(seconds=RESEND_S)


def note_revoked(session: Session, run_id: int, now: datetime) -> None:
    """Somebody revoked a running run at Celery itself; who, Celery does not tell."""
    session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == RunState.RUNNING, Run.stop_requested_at.is_(None))
        .values(stop_requested_at=now, stop_requested_by="celery", updated_at=now)
        .execution_options(synchronize_session=False)
    )
