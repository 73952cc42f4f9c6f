"""What becomes of runs that nobody can finish any more: their process died, the server stopped, their executor went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.domain.states import JobState, RunState, RunTrigger
from webapp.services.due import quarantine
from webapp.services.follow_up import follow, next_attempt
from webapp.store import jobs
from webapp.store.models import Run

AT_ONCE = 500


def lose_orphans(session: Session, alive: Sequence[str], now: datetime) -> int:
    """Running runs whose worker is not alive any more become ``lost``; how many there were."""
    found = session.scalars(
        select(Run.id).where(Run.state == RunState.RUNNING, Run.worker.not_in(alive)).limit(AT_ONCE)
    )
    orphans = _locked(session, found.all(), RunState.RUNNING)
    for run in orphans:
        _lose(session, run, f"The process that ran it ({run.worker}) ended without a word.", now)
    return len(orphans)


def lose_own(session: Session, run_ids: Sequence[int], reason: str, now: datetime) -> None:
    """Running runs that this process gives up because it stops."""
    for run in _locked(session, run_ids, RunState.RUNNING):
        _lose(session, run, reason, now)


def fail_without_executor(session: Session, executors: Sequence[str], now: datetime) -> None:
    """Queued runs whose executor is not configured any more fail, and their jobs are quarantined."""
    found = session.scalars(
        select(Run.id).where(Run.state == RunState.QUEUED, Run.executor.not_in(executors)).limit(AT_ONCE)
    )
    for run in _locked(session, found.all(), RunState.QUEUED):
        run.state, run.finished_at, run.updated_at = RunState.FAILED, now, now
        run.error = f"There is no executor {run.executor!r} here."
        quarantine(session, run.job_id, run.error, now, executors=executors)
    session.flush()


def _locked(session: Session, run_ids: Sequence[int], state: RunState) -> Sequence[Run]:
    """Those of these runs that are still in ``state``, and that nobody else can end before the transaction does.

    Looking for them beforehand takes no lock: on MariaDB it would wait for runs that were looked at and do not fit.
    """
    if not run_ids:
        return []
    query = select(Run).where(Run.id.in_(run_ids), Run.state == state).order_by(Run.id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _lose(session: Session, run: Run, reason: str, now: datetime) -> None:
    """Record that nobody knows how a running run ended; queue it again if its job says that this is safe."""
    run.state, run.finished_at, run.updated_at, run.reason = RunState.LOST, now, now, reason[:500]
    session.flush()
    job = jobs.find(session, run.job_id, lock=True)
    if job is not None and job.rerun_if_lost and job.state != JobState.QUARANTINED:
        again = f"Run {run.id} was lost; its job says that it is safe to run again."
        next_attempt(session, job, run, RunTrigger.RETRY, again, now)
    elif run.follow_up:
        follow(session, run, (), now)
