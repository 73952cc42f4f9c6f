"""Bounded reads of what is known to stand in the job stores beside the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from webapp.domain.states import JobState
from webapp.store.models import Job, JobCopy


def find(session: Session, jobstore: str, job_id: str) -> JobCopy | None:
    return session.get(JobCopy, (jobstore, job_id), populate_existing=True)


def ids(session: Session, jobstore: str) -> set[str]:
    """The jobs that are known to stand in a job store."""
    return set(session.scalars(select(JobCopy.job_id).where(JobCopy.jobstore == jobstore)))


def problems(session: Session, jobstore: str, limit: int) -> Sequence[JobCopy]:
    """What of a job store could not be taken, with the reason."""
    query = select(JobCopy).where(JobCopy.jobstore == jobstore, JobCopy.problem.is_not(None))
    return session.scalars(query.order_by(JobCopy.job_id).limit(limit)).all()


def behind(session: Session, jobstore: str, limit: int) -> Sequence[str]:
    """Ids of jobs of a job store that stand there otherwise than in the catalogue, or not at all.

    What could not be taken from there is left as it is until somebody edits it here.
    """
    same = and_(JobCopy.jobstore == jobstore, JobCopy.job_id == Job.id)
    other_time = or_(
        JobCopy.next_run_at != Job.next_due_at,
        and_(JobCopy.next_run_at.is_(None), Job.next_due_at.is_not(None)),
        and_(JobCopy.next_run_at.is_not(None), Job.next_due_at.is_(None)),
    )
    changed = or_(JobCopy.revision != Job.revision, and_(JobCopy.problem.is_(None), other_time))
    query = select(Job.id).outerjoin(JobCopy, same).where(Job.jobstore == jobstore)
    return session.scalars(query.where(or_(JobCopy.job_id.is_(None), changed)).order_by(Job.id).limit(limit)).all()


def left_over(session: Session, jobstore: str, limit: int) -> Sequence[str]:
    """Ids that stand in a job store although their job was deleted or moved away here."""
    there = exists().where(Job.id == JobCopy.job_id, Job.jobstore == jobstore)
    query = select(JobCopy.job_id).where(JobCopy.jobstore == jobstore, JobCopy.revision != 0, ~there)
    return session.scalars(query.order_by(JobCopy.job_id).limit(limit)).all()


def homeless(session: Session, known: Collection[str]) -> Sequence[str]:
    """Ids of jobs in force whose job store is none of these."""
    query = select(Job.id).where(Job.jobstore.not_in(known), Job.state == JobState.ACTIVE)
    return session.scalars(query.order_by(Job.id)).all()


def count_jobs(session: Session) -> dict[str, int]:
    """How many jobs each job store has."""
    return dict(session.execute(select(Job.jobstore, func.count()).group_by(Job.jobstore)).all())
