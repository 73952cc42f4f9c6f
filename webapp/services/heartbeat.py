"""The leader's standing: take, keep and give up the lease; tell that this process is alive; note what befell it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from webapp.extensions import db
from webapp.services import liveness, recovery, status
from webapp.store import lease
from webapp.store.database import end_silent_writers, read_database_now, retried, writing
from webapp.store.models import EngineEvent, Worker

FORGET_WORKER_S = 3_600
_IN_TOUCH = "in_touch_since"


def may_take(worker_id: str) -> bool:
    """Whether the lease can be had: a read, so that a standby disturbs nobody while it waits."""
    session = db.session()
    row = lease.read(session)
    return lease.is_free(session, row, worker_id) or (row is not None and row.holder in _dead(session))


@retried
def take(worker: Worker, now: datetime) -> lease.Held | None:
    """Try to become the leader. The new leader first finds the runs of dead processes and records them as lost.

    Here as in ``keep`` the lease is locked before anything else, so that two processes cannot wait for each other.
    """
    end_silent_writers()
    with writing() as session:
        held = lease.acquire(session, worker.id, _dead(session))
        seen(session, worker)
        if held is not None:
            _clear_up(session, worker, now)
            executors = list(worker.detail.get("executors", ())) or ["default"]
            recovery.fail_without_executor(session, executors, now)
            session.add(
                EngineEvent(at=now, kind="leader", message=f"{worker.id} leads (epoch {held.epoch}).", worker=worker.id)
            )
        return held


@retried
def keep(worker: Worker, held: lease.Held, now: datetime) -> bool:
    """Renew the lease and the heartbeat; False when another process leads."""
    end_silent_writers()
    with writing() as session:
        renewed = lease.renew(session, held)
        seen(session, worker)
        if renewed:
            _clear_up(session, worker, now)
        return renewed


@retried
def release(held: lease.Held) -> None:
    """Let another process lead at once."""
    with writing() as session:
        lease.release(session, held)


@retried
def alive(worker: Worker) -> None:
    """Tell that this process lives, without leading."""
    with writing() as session:
        seen(session, worker)


@retried
def leave(worker_id: str, held: lease.Held | None) -> None:
    """Go in order: release the lease if it is still held, take this process off the list."""
    with writing() as session:
        if held is not None:
            lease.release(session, held)
        session.execute(delete(Worker).where(Worker.id == worker_id))


@retried
def note(kind: str, message: str, worker_id: str, now: datetime) -> None:
    """Write down something that happened to the scheduler."""
    with writing() as session:
        session.add(EngineEvent(at=now, kind=kind, message=message[:500], worker=worker_id))


def _clear_up(session: Session, worker: Worker, now: datetime) -> None:
    """Take processes that are gone off the list, and record as lost what they left running.

    One that is only silent counts as gone when ``worker`` itself was in touch with the database all that time: after an
    outage of the database everybody was silent.
    """
    dead = _dead(session)
    rows = session.scalars(select(Worker).execution_options(populate_existing=True)).all()
    me = next(row for row in rows if row.id == worker.id)
    known = {row.id: (me.seen_at - row.seen_at).total_seconds() for row in rows if row.id not in dead}
    gone = list(dead)
    alive = list(known)
    if (me.seen_at - _in_touch_since(me)).total_seconds() >= status.WORKER_GONE_S:
        gone += [name for name, silence_s in known.items() if silence_s >= FORGET_WORKER_S]
        alive = [name for name, silence_s in known.items() if silence_s < status.WORKER_GONE_S]
    if gone:
        session.execute(delete(Worker).where(Worker.id.in_(gone)))
    recovery.lose_orphans(session, alive, now)


def _dead(session: Session) -> list[str]:
    """Processes on the list that have certainly ended."""
    rows = session.execute(select(Worker.id, Worker.detail)).all()
    return [row.id for row in rows if liveness.is_dead(row.detail.get("identity", {}))]


def seen(session: Session, worker: Worker) -> None:
    """Write the heartbeat in the caller's transaction, and since when it has come without a gap."""
    now = read_database_now(session)
    row = session.get(Worker, worker.id, populate_existing=True)
    since = now
    if row is None:
        row = Worker(id=worker.id, host=worker.host, pid=worker.pid, started_at=now)
        session.add(row)
    elif (now - row.seen_at).total_seconds() < status.WORKER_GONE_S / 2:
        since = _in_touch_since(row)
    row.seen_at, row.detail = now, {**worker.detail, _IN_TOUCH: since.isoformat()}
    session.flush()


def _in_touch_since(row: Worker) -> datetime:
    return datetime.fromisoformat(row.detail[_IN_TOUCH]) if _IN_TOUCH in row.detail else row.seen_at
