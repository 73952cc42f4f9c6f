"""The due pass: in one transaction the due times up to now become ledger rows, and the jobs advance."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from webapp.domain.rules import MISSED_ROWS_MAX, Decision, Due, Rules, decide, latest_in_grace
from webapp.domain.schedules import Schedule
from webapp.domain.states import ACTIVE, JobState, Overlap, RunState, RunTrigger
from webapp.services import control, new_runs
from webapp.services.periods import boundary, close_and_open
from webapp.services.schedule_cache import schedule_of
from webapp.store import jobs, lease, runs
from webapp.store.database import retried, writing
from webapp.store.models import Job, Run

log = logging.getLogger(__name__)

JOBS_MAX = 500
"""Jobs that one pass takes, so that its transaction stays short; the rest follow at once in the next."""
TIMES_MAX = 500
"""Due times of one job that one pass writes out one by one."""
_STEP = timedelta(microseconds=1)


class LeaseLost(Exception):
    """Another process leads now; the pass has changed nothing."""


@dataclass
class Settled:
    """What a pass did, and when the next one is due."""

    jobs: int = 0
    queued: int = 0
    outcomes: int = 0
    more: bool = False
    next_due_at: datetime | None = None
    broken: list[str] = field(default_factory=list)


@retried
def due_pass(
    held: lease.Held, now: datetime, executors: Collection[str] = ("default",), waiting: Collection[str] = ()
) -> Settled:
    """Give every due time up to ``now`` its outcome, for at most JOBS_MAX jobs. Raises LeaseLost.

    A due time of a job whose executor is none of ``executors`` fails, and the job is quarantined. Jobs of the job
    stores ``waiting`` wait until those answer again.
    """
    with writing() as session:
        if not lease.confirm(session, held):
            raise LeaseLost
        switch = control.read(session)
        if switch.mode is control.Mode.STOPPED:
            return Settled()
        resume_due(session, now)
        settled = settle(session, jobs.due(session, now, JOBS_MAX, waiting), now, switch.held_reason, executors)
        settled.next_due_at = jobs.next_wake_at(session, waiting)
        settled.more = settled.next_due_at is not None and settled.next_due_at <= now
    return settled


def resume_due(session: Session, now: datetime) -> None:
    """Resume the jobs whose pause ends by itself; their due times count from that moment, also when we come late."""
    for job in jobs.to_resume(session, now, JOBS_MAX):
        _end_pause(session, job, now)
    session.flush()


def _end_pause(session: Session, job: Job, now: datetime) -> None:
    moment = job.resume_at or now
    job.state, job.state_reason, job.resume_at = JobState.ACTIVE, None, None
    try:
        job.next_due_at = schedule_of(job).next_after(boundary(session, job.id, moment))
    except Exception as error:
        session.flush()
        quarantine(session, job.id, f"Its schedule cannot be computed: {error}", now)
        return
    if job.next_due_at is None:
        job.state = JobState.FINISHED
    close_and_open(session, job, "resumed", by="carillon", now=moment, reason="Its pause had an end.")
    job.updated_at = now


def settle_job(session: Session, job: Job, now: datetime, executors: Collection[str] | None = None) -> None:
    """Give this job's due times up to ``now`` their outcome, before its definition or state changes.

    A pause that has ended by then is ended first, since its due times count from there.
    """
    if job.state == JobState.PAUSED and job.resume_at is not None and job.resume_at <= now:
        _end_pause(session, job, now)
    if job.state != JobState.ACTIVE:
        return
    session.flush()
    while job.next_due_at is not None and job.next_due_at <= now and job.state == JobState.ACTIVE:
        settle(session, [job], now, control.read(session).held_reason, executors)
        session.refresh(job)


def settle(
    session: Session, rows: Sequence[Any], now: datetime, held: str | None, executors: Collection[str] | None = None
) -> Settled:
    """Write the outcomes of the due times of ``rows`` and advance the jobs.

    The due time of a job that cannot be served fails, and the job is quarantined.
    """
    settled = Settled(jobs=len(rows))
    if not rows:
        return settled
    active = runs.active_counts(session, [row.id for row in rows])
    inserts: list[dict[str, Any]] = []
    advances: list[dict[str, Any]] = []
    replaced: list[str] = []
    broken: dict[str, str] = {}
    settled_until: dict[str, datetime] = {}
    for row in rows:
        try:
            decisions, next_due_at = judge(row, now, active.get(row.id, 0), held)
        except Exception as error:
            log.exception("job %s cannot be scheduled; it is quarantined", row.id)
            broken[row.id] = f"Its schedule cannot be computed: {error}"
            decisions, next_due_at = [Decision(RunState.QUEUED, row.next_due_at, row.next_due_at)], None
        if executors is not None and row.executor not in executors:
            broken[row.id] = f"There is no executor {row.executor!r} here."
        settled_until[row.id] = decisions[-1].due_at
        inserts += [run_row(row, decision, now, broken.get(row.id)) for decision in decisions]
        if any(decision.replaces for decision in decisions):
            replaced.append(row.id)
        advances.append({"job": row.id, "next": next_due_at, "state": _state_after(next_due_at)})
    if replaced:
        _stop_replaced(session, replaced, now)
    settled.outcomes = len(inserts)
    settled.queued = sum(row["state"] == RunState.QUEUED for row in inserts)
    if inserts:
        runs.insert_new(session, Run.__table__, inserts)
    if advances:
        session.connection().execute(_ADVANCE, advances)
    for job_id, reason in broken.items():
        quarantine(session, job_id, reason, now, since=settled_until[job_id])
    settled.broken = list(broken)
    return settled


_ADVANCE = (
    update(Job.__table__)  # type: ignore[arg-type]
    .where(Job.__table__.c.id == bindparam("job"))
    .values(next_due_at=bindparam("next"), state=bindparam("state"))
)


def _state_after(next_due_at: datetime | None) -> str:
    return (JobState.FINISHED if next_due_at is None else JobState.ACTIVE).value


def judge(row: Any, now: datetime, active: int, held: str | None) -> tuple[list[Decision], datetime | None]:
    """The outcomes of one job's due times up to ``now``, and its next due time after the ones that were judged."""
    schedule = schedule_of(row)
    rules = Rules(row.coalesce, row.misfire_grace_s, Overlap(row.overlap), row.max_instances)
    first = row.next_due_at
    following = schedule.next_after(first)
    cutoff = latest_in_grace(rules, now)
    if following is None or following > now:  # the usual case: one due time waits
        late = cutoff is not None and first < cutoff
        one = Due.single(first)
        outcomes = decide(one if late else None, None if late else one, rules, now=now, active=active, held=held)
        return outcomes, following
    late_due = None if cutoff is None or cutoff <= first else _due(schedule, first, cutoff - _STEP, rules)
    start = first if late_due is None else max(first, cutoff or first)
    good_due = _due(schedule, start, now, rules)
    last = now
    if good_due is not None and not rules.coalesce and held is None and good_due.count > len(good_due.times):
        last = good_due.times[-1]  # too many for one pass: the rest is judged by the next
        good_due = Due(good_due.first, last, len(good_due.times), good_due.times)
    decisions = decide(late_due, good_due, rules, now=now, active=active, held=held)
    return decisions, schedule.next_after(last)


def _due(schedule: Schedule, first: datetime, last: datetime, rules: Rules) -> Due | None:
    """The due times t with first <= t <= last; named one by one where the rules need them and they are few enough."""
    span = schedule.span(first - _STEP, last)
    if span.first is None or span.last is None:
        return None
    if rules.coalesce:
        return Due(span.first, span.last, span.count)
    limit = TIMES_MAX if span.count > MISSED_ROWS_MAX else span.count
    return Due(span.first, span.last, span.count, tuple(schedule.between(first - _STEP, last, limit)))


def run_row(row: Any, decision: Decision, now: datetime, broken: str | None) -> dict[str, Any]:
    """The ledger row of a decision; one that would be queued fails with the reason ``broken``, if there is one."""
    state = RunState.FAILED if broken and decision.state is RunState.QUEUED else decision.state
    queued = state is RunState.QUEUED
    grace = row.misfire_grace_s
    return new_runs.for_job(
        row,
        RunTrigger.SCHEDULE,
        now,
        state=state.value,
        reason=decision.reason,
        error=broken if state is RunState.FAILED else None,
        due_at=decision.due_at,
        first_due_at=decision.first_due_at,
        due_count=decision.due_count,
        start_by_at=decision.due_at + timedelta(seconds=grace) if queued and grace is not None else None,
        instances_max=row.max_instances if decision.waits else None,
        finished_at=None if queued else now,
    )


def _stop_replaced(session: Session, job_ids: list[str], now: datetime) -> None:
    session.execute(
        update(Run)
        .where(Run.job_id.in_(job_ids), Run.state.in_(ACTIVE), Run.stop_requested_at.is_(None))
        .values(stop_requested_at=now, stop_requested_by="its overlap rule (replace)", updated_at=now)
        .execution_options(synchronize_session=False)
    )


def quarantine(
    session: Session,
    job_id: str,
    reason: str,
    now: datetime,
    *,
    since: datetime | None = None,
    executors: Collection[str] | None = None,
) -> None:
    """Take a job out of the schedule without losing it, and say why on its page.

    Its due times up to ``now`` get their outcome first; those up to ``since`` have it already, and none later counts.
    """
    job = jobs.find(session, job_id, lock=True)
    if job is None:
        return
    if since is None:
        settle_job(session, job, now, executors)
    if job.state == JobState.QUARANTINED:
        return
    job.state, job.state_reason, job.next_due_at = JobState.QUARANTINED, reason[:500], None
    close_and_open(session, job, "quarantined", by="carillon", now=since or now, reason=reason[:500])
    job.updated_at = now
    session.flush()
