"""The catalogue and the job stores beside it: what stands there is taken in, what has changed here is known to be owed.

The catalogue and the ledger decide; a job store is told afterwards, by ``engine.mirror``. So what is acted on stands in
one transaction, and a crash between the two writes leaves a copy that is behind, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from webapp.domain.errors import CarillonError
from webapp.domain.states import JobState as State
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import due, jobs, plain_jobs
from webapp.services.actors import Actor
from webapp.services.periods import close_and_open
from webapp.services.signals import catalogue_changed
from webapp.store import copies, history
from webapp.store import jobs as store_jobs
from webapp.store.database import retried, writing
from webapp.store.job_states import JobState
from webapp.store.models import EngineEvent, Job, JobCopy

_AHEAD = timedelta(days=1)
_GONE, _REFUSED = "gone", "refused"


@dataclass(frozen=True)
class Written:
    """A job as it was written into a job store."""

    job_id: str
    revision: int
    next_run_at: datetime | None
    fingerprint: str


def fingerprint(state: JobState) -> str:
    """What tells two contents of a job apart; its next run is not a part of it."""
    return sha256(json.dumps(state.raw(), sort_keys=True).encode()).hexdigest()


def behind(jobstore: str, limit: int) -> Sequence[Job]:
    """Jobs that must be written into their job store."""
    session = db.session()
    found = [store_jobs.find(session, job_id) for job_id in copies.behind(session, jobstore, limit)]
    return [job for job in found if job is not None]


def left_over(jobstore: str, limit: int) -> Sequence[str]:
    """Jobs that must be removed from a job store."""
    return copies.left_over(db.session(), jobstore, limit)


def known_ids(jobstore: str) -> set[str]:
    return copies.ids(db.session(), jobstore)


def problems(jobstore: str, limit: int = 20) -> Sequence[JobCopy]:
    return copies.problems(db.session(), jobstore, limit)


# -- what was done there ---------------------------------------------------------------------------------------------


@retried
def note_written(jobstore: str, written: Sequence[Written], now: datetime) -> None:
    with writing() as session:
        for each in written:
            row = _row(jobstore, each.job_id)
            row.revision, row.next_run_at, row.fingerprint = each.revision, each.next_run_at, each.fingerprint
            row.problem, row.updated_at = None, now
            session.add(row)


@retried
def note_refused(jobstore: str, job: Job, reason: str, now: datetime) -> None:
    """The store does not take this job: an id that it cannot tell from another, say. It is not offered again so."""
    with writing() as session:
        row = _row(jobstore, job.id)
        row.revision, row.next_run_at, row.fingerprint = job.revision, None, _REFUSED
        row.problem, row.updated_at = f"The store does not take it: {reason}"[:500], now
        session.flush()


@retried
def forget(jobstore: str, job_ids: Sequence[str]) -> None:
    """These do not stand there any more."""
    with writing() as session:
        for job_id in job_ids:
            row = copies.find(session, jobstore, job_id)
            if row is not None:
                session.delete(row)


# -- what was found there --------------------------------------------------------------------------------------------


def take(jobstore: str, state: JobState, now: datetime) -> None:
    """A job as it was found in its store: add it, change it, or know that it is behind. Bad content is quarantined."""
    session = db.session()
    session.rollback()
    job, known = store_jobs.find(session, state.id), copies.find(session, jobstore, state.id)
    if job is None:
        if known is None or known.revision == 0:  # else it was deleted here, and has to go there
            _take_new(jobstore, state, now)
        return
    if job.jobstore != jobstore:
        if known is None:
            text = f"There is a job with this id in the job store {job.jobstore}."
            _remember(jobstore, state.id, None, state, now, text)
        return
    content = fingerprint(state)
    if known is None:
        _remember(jobstore, state.id, job, state, now, None, revision=-1)  # it is written anew
    elif known.fingerprint != content:
        _take_changed(jobstore, state, job, known, now)
    elif state.next_run_time != known.next_run_at:
        _take_moved(jobstore, state, job, now)


def _take_new(jobstore: str, state: JobState, now: datetime) -> None:
    actor = _actor(jobstore)
    raw = {**state.raw(), "jobstore": jobstore}
    try:
        wanted = plain_jobs.wanted(raw, state.next_run_time, now, owed=True)
        job = plain_jobs.add(wanted, actor=actor, now=now)
    except CarillonError as error:
        _take_broken(jobstore, state.id, str(error), now, state)
        return
    _remember(jobstore, state.id, job, state, now, None)


def _take_changed(jobstore: str, state: JobState, job: Job, known: JobCopy, now: datetime) -> None:
    """Somebody else has edited it there. An edit here that it does not have yet wins."""
    if known.revision != job.revision:
        _note(f"The job {job.id} was edited in the job store {jobstore} and here; what was saved here stands.", now)
        _remember(jobstore, job.id, job, state, now, None, revision=-1)
        return
    try:
        job = plain_jobs.change(job.id, state.raw(), state.next_run_time, actor=_actor(jobstore), now=now)
    except CarillonError as error:
        _take_broken(jobstore, job.id, str(error), now, state)
        return
    _remember(jobstore, job.id, job, state, now, None)


def _take_moved(jobstore: str, state: JobState, job: Job, now: datetime) -> None:
    """Only its next run differs from what we know: paused, resumed or moved there, or written by a leader of old."""
    settled = history.latest_due_at(db.session(), job.id, now + _AHEAD)
    is_stale = state.next_run_time is not None and settled is not None and state.next_run_time <= settled
    if not is_stale and state.next_run_time != job.next_due_at:
        try:
            job = plain_jobs.change(job.id, {}, state.next_run_time, actor=_actor(jobstore), now=now)
        except CarillonError as error:
            _note(f"The job {job.id} cannot be moved as the job store {jobstore} says: {error}", now)
    _remember(jobstore, job.id, job, state, now, None)


def take_unreadable(jobstore: str, job_id: str, reason: str, now: datetime) -> None:
    """A state that cannot be read is left there as it is; the job stands in the catalogue, quarantined."""
    db.session.rollback()
    _take_broken(jobstore, job_id, reason, now, None)


@retried
def _take_broken(jobstore: str, job_id: str, reason: str, now: datetime, state: JobState | None) -> None:
    said = f"It cannot be taken from the job store {jobstore}: {reason}"
    with writing() as session:
        job = store_jobs.find(session, job_id, lock=True)
        if job is None:
            job = _placeholder(jobstore, job_id, said, now, state)
            close_and_open(session, job, "quarantined", by=_actor(jobstore).name, now=now, reason=said[:500])
            session.add(job)
        elif job.jobstore == jobstore:
            due.quarantine(session, job_id, said, now)
    _remember(jobstore, job_id, job if job.jobstore == jobstore else None, state, now, reason)
    catalogue_changed.send()


def _placeholder(jobstore: str, job_id: str, reason: str, now: datetime, state: JobState | None) -> Job:
    """What can be shown of a job that cannot be taken."""
    return Job(
        id=job_id,
        name=(state.name if state else job_id)[:200],
        task=(state.func if state else "")[:191],
        func=(state.func if state else "")[:400],
        args=[],
        kwargs={},
        trigger={},
        timezone="UTC",
        jobstore=jobstore,
        executor="default",
        coalesce=True,
        max_instances=1,
        state=State.QUARANTINED,
        state_reason=reason[:500],
        created_at=now,
        created_by=_actor(jobstore).name,
    )


def vanished(jobstore: str, job_id: str, now: datetime, *, is_memory: bool) -> None:
    """A job that stood there does so no more. Memory is gone with its process; elsewhere nobody knows why.

    So a job is deleted only where it stood in memory; any other is quarantined, and Resume writes it there again.
    """
    session = db.session()
    session.rollback()
    job, known = store_jobs.find(session, job_id), copies.find(session, jobstore, job_id)
    if known is None or known.fingerprint in (_GONE, _REFUSED):
        return
    if job is None or job.jobstore != jobstore or known.revision != job.revision:
        forget(jobstore, [job_id])
    elif is_memory:
        jobs.delete(job_id, actor=_actor(jobstore), now=now)
        forget(jobstore, [job_id])
    else:
        reason = (
            f"It is not in the job store {jobstore} any more: removed there, or lost. Resume writes it there again."
        )
        _quarantine_gone(jobstore, job_id, reason, now)
        catalogue_changed.send()


@retried
def _quarantine_gone(jobstore: str, job_id: str, reason: str, now: datetime) -> None:
    with writing() as session:
        due.quarantine(session, job_id, reason, now)
        job, row = store_jobs.find(session, job_id), _row(jobstore, job_id)
        assert job is not None
        row.revision, row.next_run_at, row.fingerprint = job.revision, None, _GONE
        row.problem, row.updated_at = reason, now


@retried
def quarantine_homeless(jobstores: Collection[str], now: datetime) -> None:
    """Jobs whose job store is not configured any more are kept and not run."""
    for job_id in copies.homeless(db.session(), jobstores):
        with writing() as session:
            job = store_jobs.find(session, job_id, lock=True)
            if job is not None and job.jobstore not in jobstores:
                due.quarantine(session, job_id, f"There is no job store {job.jobstore!r} here.", now)
        catalogue_changed.send()


def _row(jobstore: str, job_id: str) -> JobCopy:
    """The row in the caller's transaction, new if there is none."""
    session = db.session()
    row = copies.find(session, jobstore, job_id)
    if row is None:
        row = JobCopy(jobstore=jobstore, job_id=job_id)
        session.add(row)
    return row


@retried
def _remember(
    jobstore: str,
    job_id: str,
    job: Job | None,
    state: JobState | None,
    now: datetime,
    problem: str | None,
    revision: int | None = None,
) -> None:
    """Note what was found there, and which revision of the job it is."""
    with writing() as session:
        row = _row(jobstore, job_id)
        row.revision = revision if revision is not None else job.revision if job is not None else 0
        row.next_run_at = state.next_run_time if state is not None else None
        row.fingerprint = fingerprint(state) if state is not None and problem is None else ""
        row.problem, row.updated_at = None if problem is None else problem[:500], now
        session.flush()


@retried
def _note(message: str, now: datetime) -> None:
    with writing() as session:
        session.add(EngineEvent(at=now, kind="job_store", message=message[:500]))


def _actor(jobstore: str) -> Actor:
    return Actor(f"job store {jobstore}", Role.ADMIN, "engine")


def summary() -> dict[str, Any]:
    """How many jobs each job store has."""
    return copies.count_jobs(db.session())
