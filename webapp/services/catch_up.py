"""Catching up: chosen past due times of a job are run after all, and their outcomes replace the ones they had."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import Role, RunState, RunTrigger
from webapp.extensions import db
from webapp.services import audit, new_runs
from webapp.services.actors import Actor
from webapp.services.due import settle_job
from webapp.services.past import STEP, Piece, due_times, pieces
from webapp.services.signals import runs_queued
from webapp.store import history, jobs
from webapp.store.database import retried, writing
from webapp.store.models import Job, Run
from webapp.tasks import registry

MOST = 500
"""So many due times may be listed or run at once."""
_SCAN_MAX = 20_000
_TOLD_MAX = 20


@dataclass(frozen=True)
class CatchUp:
    """A past time of the job's schedule and what became of it.

    ``state`` and ``run_id`` are None when it was not due: the job was paused, or not there. ``folded``: its outcome is
    that of a row which answers for several due times.
    """

    due_at: datetime
    state: RunState | None
    run_id: int | None
    folded: bool = False

    @property
    def is_open(self) -> bool:
        """Whether there is something to catch up: it neither succeeded nor is still going on."""
        return self.state is None or (self.state.is_final and self.state is not RunState.SUCCEEDED)


def candidates(
    job_id: str, since: datetime, until: datetime, *, now: datetime, limit: int = MOST, open_only: bool = False
) -> list[CatchUp]:
    """The times in (since, until] that the schedule then in force names, oldest first, none after ``now``.

    ``open_only`` leaves out those that succeeded or are still going on; the search for the others ends after 20,000
    times. Before the job was made, and where it was deleted, the present schedule counts. Raises NotFound.
    """
    session = db.session()
    job = jobs.find(session, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    limit = max(0, min(limit, MOST))
    times = due_times(pieces(session, job_id, job, since, min(until, now)), _SCAN_MAX if open_only else limit)
    found: list[CatchUp] = []
    for chunk in _chunks(times, MOST):
        outcomes = _outcomes(session, job_id, chunk)
        found += (each for each in outcomes if each.is_open or not open_only)
        if len(found) >= limit:
            break
    return found[:limit]


@retried
def run(job_id: str, moments: Collection[datetime], *, actor: Actor, now: datetime, again: bool = False) -> list[Run]:
    """Queue runs for past due times, oldest first, of the job as it is now; as many go on together as it allows.

    Each is the next attempt at its due time. Where the due time has no row of its own (it was folded into another, or
    the job was not served then) it is a run beside the balance, which counts for no due time.
    ``again`` allows times whose run has succeeded. All or nothing: raises NotFound, Forbidden, Conflict (its task is
    not available), and Invalid at ``moments`` for times in the future, off the schedule, or still going on.
    """
    actor.require(Role.OPERATOR)
    wanted = _checked(moments)
    with writing() as session:
        job = jobs.find(session, job_id, lock=True)
        if job is None:
            raise NotFound(f"There is no job {job_id!r}.")
        task = registry.find(job.task)
        if task is None or not task.enabled:
            raise Conflict(f"The task {job.task} is not available here, so the job cannot run.")
        settle_job(session, job, now)
        _refuse(session, job, wanted, now, again)
        made = _queue(session, job, wanted, actor, now)
        told = {"runs": [each.id for each in made], "due_at": [moment.isoformat() for moment in wanted]}
        audit.record("job.caught_up", "job", job_id, actor=actor, now=now, after=told)
    runs_queued.send()
    return made


def _checked(moments: Collection[datetime]) -> list[datetime]:
    if any(moment.tzinfo is None for moment in moments):
        raise Invalid({"moments": "Each time needs an offset from UTC."})
    if any(not 2000 <= moment.year <= 2100 for moment in moments):
        raise Invalid({"moments": "The year must lie between 2000 and 2100."})
    wanted = sorted({moment.astimezone(UTC) for moment in moments})
    if not wanted:
        raise Invalid({"moments": "Choose at least one due time."})
    if len(wanted) > MOST:
        raise Invalid({"moments": f"At most {MOST} due times at once; these are {len(wanted)}."})
    return wanted


def _refuse(session: Session, job: Job, wanted: Sequence[datetime], now: datetime, again: bool) -> None:
    """Raise Invalid, with a line for each time that cannot be run."""
    parts = pieces(session, job.id, job, wanted[0] - STEP, wanted[-1])
    problems: list[str] = []
    for each in _outcomes(session, job.id, wanted):
        problem = _problem(each, parts, now, again)
        if problem:
            problems.append(f"{each.due_at:%Y-%m-%d %H:%M:%S} UTC {problem}")
    if len(problems) > _TOLD_MAX:
        problems[_TOLD_MAX:] = [f"And {len(problems) - _TOLD_MAX} more."]
    if problems:
        raise Invalid({"moments": problems})


def _problem(each: CatchUp, parts: Iterable[Piece], now: datetime, again: bool) -> str | None:
    if each.due_at > now:
        return "lies in the future."
    if not any(piece.has(each.due_at) for piece in parts):
        return "is not a time of the schedule that was in force then."
    if each.state is not None and not each.state.is_final:
        return f"is still going on: run {each.run_id} is {each.state.label}."
    if each.state is RunState.SUCCEEDED and not again:
        return f"has succeeded already: run {each.run_id}."
    return None


def _outcomes(session: Session, job_id: str, times: Sequence[datetime]) -> list[CatchUp]:
    """What became of these times, which are in order."""
    own = history.last_attempts(session, job_id, times)
    found: list[CatchUp] = []
    ahead: Run | None = None  # the row that ends at or after the time in hand
    looked = False
    for moment in times:
        row = own.get(moment)
        if row is None and (not looked or (ahead is not None and ahead.due_at is not None and ahead.due_at < moment)):
            ahead, looked = history.next_row(session, job_id, moment), True
        if row is None and ahead is not None and history.covers(ahead, moment):
            row = ahead
        state = None if row is None else RunState(row.state)
        found.append(CatchUp(moment, state, None if row is None else row.id, row is not None and row.due_count > 1))
    return found


def _queue(session: Session, job: Job, wanted: Sequence[datetime], actor: Actor, now: datetime) -> list[Run]:
    """New attempts at these due times, linked to the ones before."""
    before = history.last_attempts(session, job.id, wanted)
    made = [Run(**_values(job, moment, before.get(moment), actor, now)) for moment in wanted]
    session.add_all(made)
    session.flush()
    for queued in made:
        earlier = before.get(queued.due_at) if queued.due_at is not None else None
        if earlier is not None:
            earlier.next_id, earlier.updated_at = queued.id, now
    session.flush()
    return made


def _values(job: Job, moment: datetime, before: Run | None, actor: Actor, now: datetime) -> dict[str, Any]:
    return new_runs.for_job(
        job,
        RunTrigger.CATCH_UP,
        now,
        due_at=moment,
        first_due_at=moment if before is None else before.first_due_at,
        due_count=0 if before is None else before.due_count,
        attempt=1 if before is None else before.attempt + 1,
        previous_id=None if before is None else before.id,
        instances_max=job.max_instances,
        requested_by=actor.name,
        reason=_reason(before, actor),
    )


def _reason(before: Run | None, actor: Actor) -> str:
    if before is None:
        return f"Caught up by {actor.name}; it had no run of its own."
    return f"Caught up by {actor.name}; run {before.id} was {RunState(before.state).label}."


def _chunks(times: Iterable[datetime], size: int) -> Iterable[list[datetime]]:
    chunk: list[datetime] = []
    for moment in times:
        chunk.append(moment)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
