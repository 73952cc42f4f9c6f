"""What happens when a run has ended: another attempt, the jobs chained to it, a pause after too many failures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.domain.retries import Retry, delay_s
from webapp.domain.rules import Due, Rules, decide, span_words
from webapp.domain.states import JobState, Overlap, RunState, RunTrigger
from webapp.services import control, new_runs
from webapp.services.due import settle_job
from webapp.services.periods import close_and_open
from webapp.store import jobs, runs
from webapp.store.models import Job, Run

FAILURES = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.LOST})
_TRIED = (RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT, RunState.LOST)


def follow(session: Session, run: Run, error_names: Sequence[str], now: datetime) -> datetime | None:
    """Do what the job of a run that has just ended wants; when the next attempt may start, if there will be one.

    ``error_names`` are the names of the error's class and of all classes above it.
    """
    job = jobs.find(session, run.job_id, lock=True)
    if job is None:
        return None
    state = RunState(run.state)
    if state in (RunState.FAILED, RunState.TIMED_OUT):
        attempt = _retry(session, job, run, error_names, now)
        if attempt is not None:
            return attempt.available_at
    if state in FAILURES:
        _pause_after_failures(session, job, now)
    for link in job.chains:
        if _matches(link["on"], state):
            _start_chained(session, link["job_id"], run, now)
    return None


def _retry(session: Session, job: Job, run: Run, error_names: Sequence[str], now: datetime) -> Run | None:
    retry = Retry.of(job.retry)
    names = [*error_names, "timed_out"] if run.state == RunState.TIMED_OUT else error_names
    if retry is None or run.next_id is not None or not retry.wants(run.attempt, names):
        return None
    wait_s = delay_s(retry, run.attempt, run.id)
    reason = f"Attempt {run.attempt + 1} of {retry.max_attempts}, {span_words(wait_s)} after run {run.id} failed."
    return next_attempt(session, job, run, RunTrigger.RETRY, reason, now, wait_s)


def next_attempt(
    session: Session, job: Job, run: Run, trigger: RunTrigger, reason: str, now: datetime, wait_s: float = 0.0
) -> Run:
    """Queue another attempt at what ``run`` was for, linked to it; it takes no worker before ``wait_s`` are over."""
    attempt = Run(
        **new_runs.like(
            run,
            trigger,
            now,
            attempt=run.attempt + 1,
            previous_id=run.id,
            due_at=run.due_at,
            first_due_at=run.first_due_at,
            due_count=run.due_count,
            available_at=now + timedelta(seconds=wait_s),
            instances_max=job.max_instances,
            follow_up=new_runs.wants_follow_up(job),
            requested_by=run.requested_by,
            reason=reason,
        )
    )
    session.add(attempt)
    session.flush()
    run.next_id, run.updated_at = attempt.id, now
    session.flush()
    return attempt


def _pause_after_failures(session: Session, job: Job, now: datetime) -> None:
    if job.auto_pause_after is None or job.state != JobState.ACTIVE:
        return
    query = (
        select(Run.state)
        .where(Run.job_id == job.id, Run.next_id.is_(None), Run.state.in_(_TRIED))
        .order_by(Run.queued_at.desc(), Run.id.desc())
        .limit(job.auto_pause_after)
    )
    latest = session.scalars(query).all()
    if len(latest) < job.auto_pause_after or RunState.SUCCEEDED in latest:
        return
    settle_job(session, job, now)
    if job.state != JobState.ACTIVE:
        return
    job.state, job.next_due_at = JobState.PAUSED, None
    job.state_reason = f"It paused itself after {job.auto_pause_after} failures in a row."
    close_and_open(session, job, "paused", by="carillon", now=now, reason=job.state_reason)
    session.flush()


def _matches(condition: str, state: RunState) -> bool:
    if condition == "always":
        return True
    return state is RunState.SUCCEEDED if condition == "success" else state in FAILURES


def _start_chained(session: Session, job_id: str, cause: Run, now: datetime) -> None:
    """Record a run of the chained job: queued, or with the reason why it cannot start now."""
    job = jobs.find(session, job_id, lock=True)
    if job is None:
        return
    state, reason, waits = _judge_chained(session, job, cause, now)
    final = state is not RunState.QUEUED
    session.add(
        Run(
            **new_runs.for_job(
                job,
                RunTrigger.CHAIN,
                now,
                state=state.value,
                reason=reason,
                cause_id=cause.id,
                finished_at=now if final else None,
                instances_max=job.max_instances if waits else None,
            )
        )
    )
    session.flush()


def _judge_chained(session: Session, job: Job, cause: Run, now: datetime) -> tuple[RunState, str, bool]:
    because = f"Run {cause.id} of {cause.job_name} ended as {RunState(cause.state).label}."
    if job.state in (JobState.PAUSED, JobState.QUARANTINED):
        return RunState.SKIPPED, f"{because} But this job is {job.state}.", False
    rules = Rules(job.coalesce, None, Overlap(job.overlap), job.max_instances)
    active = runs.active_counts(session, [job.id]).get(job.id, 0)
    held = control.read(session).held_reason
    (decision,) = decide(None, Due.single(now), rules, now=now, active=active, held=held)
    return decision.state, f"{because} {decision.reason or ''}".strip(), decision.waits
