"""Why did it not run? The ordered reasons for what became of a job at some moment, also of one that was deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from webapp.domain import absence
from webapp.domain.errors import NotFound
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import control, row_reasons
from webapp.services.past import STEP, Piece, due_times, pieces, schedule_in
from webapp.services.reasons import Clock, Link, Reason, Verdict
from webapp.store import history, jobs
from webapp.store.models import Job, JobRevision, Run

_TIMES_MAX = 200
_RUNS_MAX = 3


@dataclass(frozen=True)
class Explanation:
    """Why a job ran at a moment or did not, the decisive reasons first.

    ``due_at`` is the time of its schedule nearest to the moment, within a minute; None: there is none. ``run_id`` and
    ``state`` are those of the row that holds its outcome.
    """

    job_id: str
    moment: datetime
    verdict: Verdict
    reasons: list[Reason]
    due_at: datetime | None = None
    run_id: int | None = None
    state: RunState | None = None


@dataclass(frozen=True)
class _Case:
    """What is being explained."""

    session: Session
    job_id: str
    job: Job | None
    now: datetime
    clock: Clock


def explain(job_id: str, moment: datetime, *, now: datetime) -> Explanation:
    """The reasons for what happened, or did not, at this (aware) moment. Raises NotFound for an id that never was."""
    moment = moment.astimezone(UTC)
    session = db.session()
    job = jobs.find(session, job_id)
    parts = pieces(session, job_id, job, moment - absence.NEAR - STEP, moment + absence.NEAR)
    if job is None and jobs.latest_revision(session, job_id) == 0:
        raise NotFound(f"There is no job {job_id!r}, and there never was.")
    case = _Case(session, job_id, job, now, Clock(_zone(job, parts)))
    due_at = _nearest(parts, moment, now if moment <= now else None)
    if due_at is None:
        piece = next(piece for piece in parts if piece.after < moment <= piece.until)
        return Explanation(job_id, moment, Verdict.NOT_DUE, [*_unserved(case, piece), *_not_due(case, piece, moment)])
    return _of_due_time(case, next(piece for piece in parts if piece.has(due_at)), moment, due_at)


def _of_due_time(case: _Case, piece: Piece, moment: datetime, due_at: datetime) -> Explanation:
    row = history.last_attempts(case.session, case.job_id, [due_at]).get(due_at)
    if row is None:
        row = history.next_row(case.session, case.job_id, due_at)
        row = row if row is not None and history.covers(row, due_at) else None
    if row is not None:
        verdict, found = row_reasons.verdict(row), row_reasons.of(case.session, row, due_at, case.now, case.clock)
        if row.due_count == 0:
            found += _unserved(case, piece)
    elif due_at > case.now:
        verdict, found = Verdict.AHEAD, list(_ahead(case, piece, due_at))
    elif not _is_served(piece):
        verdict, found = Verdict.NOT_DUE, list(_unserved(case, piece))
    elif case.job is not None and case.job.next_due_at is not None and case.job.next_due_at <= due_at:
        verdict, found = Verdict.WAITING, list(_waiting(case, due_at))
    else:
        text = "It was due, but the ledger has no row for it: the balance of that time does not add up."
        verdict, found = Verdict.UNKNOWN, [Reason("unrecorded", text, due_at)]
    found += _revision(case, piece, row)
    return _explanation(case, moment, verdict, found, due_at, row)


def _explanation(
    case: _Case, moment: datetime, verdict: Verdict, found: list[Reason], due_at: datetime, row: Run | None
) -> Explanation:
    state = None if row is None else RunState(row.state)
    return Explanation(case.job_id, moment, verdict, found, due_at, None if row is None else row.id, state)


def _zone(job: Job | None, parts: Sequence[Piece]) -> str:
    zones = (piece.schedule.timezone for piece in parts if piece.schedule is not None)
    return next(zones, job.timezone if job is not None else "UTC")


def _is_served(piece: Piece) -> bool:
    return piece.period is not None and piece.period.serving


# -- not served: the job was not there, paused, quarantined or finished ------------------------------------------


def _unserved(case: _Case, piece: Piece) -> Iterator[Reason]:
    """Why the job was not served in this piece of time; nothing when it was."""
    if piece.period is None:
        yield from _not_there(case, piece)
    elif not piece.period.serving:
        yield from _out_of_schedule(case, piece.period)


def _not_there(case: _Case, piece: Piece) -> Iterator[Reason]:
    before = history.deletion(case.session, case.job_id, piece.after)
    after = history.next_period(case.session, case.job_id, piece.until)
    if before is not None:
        text = f"The job was deleted by {before.saved_by} at {case.clock.said(before.from_at)}."
        yield Reason("deleted", text, before.from_at, _link(before))
    if after is not None:
        made = "made only" if before is None else "made again"
        text = f"The job was {made} at {case.clock.said(after.from_at)}, by {after.saved_by}."
        yield Reason("not_created", text, after.from_at, _link(after))


def _out_of_schedule(case: _Case, period: JobRevision) -> Iterator[Reason]:
    rest = history.rest(case.session, case.job_id, period.revision)
    causes = [each for each in rest if each.change in ("paused", "quarantined", "created")]
    if not causes:
        yield Reason("finished", "The job had finished: no due time of its schedule was left.", None, _link(period))
        return
    cause = causes[0]
    for earlier in causes[1:]:  # a pause that was only given another end
        cause = earlier if earlier.change == cause.change else cause
    since = f"since {case.clock.said(cause.from_at)}{_end_of_rest(case, period)}"
    code = "quarantined" if cause.change == "quarantined" else "paused"
    by = {"quarantined": "quarantined", "created": f"made paused by {cause.saved_by}"}
    what = by.get(cause.change, f"paused by {cause.saved_by}")
    yield Reason(code, f"The job was {what} {since}. {cause.reason or ''}".strip(), cause.from_at, _link(cause))


def _end_of_rest(case: _Case, period: JobRevision) -> str:
    """``, until anna resumed it at ...``, or whether it still lasts."""
    end = history.end_of_rest(case.session, case.job_id, period.revision)
    if end is not None and end.change == "resumed" and end.reason:
        return f", until the end that its pause had, {case.clock.said(end.from_at)}"
    if end is not None:
        return f", until {end.saved_by} {end.change} it at {case.clock.said(end.from_at)}"
    if case.job is not None and case.job.resume_at is not None:
        return f", until {case.clock.said(case.job.resume_at)}"
    return ", and still is"


# -- no due time ---------------------------------------------------------------------------------------------------


def _not_due(case: _Case, piece: Piece, moment: datetime) -> Iterator[Reason]:
    if moment > case.now:
        yield Reason("ahead", "This moment lies ahead.", moment)
    if piece.schedule is None:
        if piece.period is not None:
            text = "The schedule that was in force cannot be read any more."
            yield Reason("unreadable", text, None, _link(piece.period))
        return
    yield from _other_schedules(case, piece, moment)
    for each in absence.find(piece.schedule, moment):
        yield Reason(each.code, each.text, each.at)
    yield from _revision(case, piece, None)
    for run in history.requested(case.session, case.job_id, moment - absence.NEAR, moment + absence.NEAR, _RUNS_MAX):
        text = f"Run {run.id} began beside the schedule at {case.clock.said(run.queued_at)} ({run.trigger})."
        yield Reason("beside", text, run.queued_at, Link("run", run.id))


def _other_schedules(case: _Case, piece: Piece, moment: datetime) -> Iterator[Reason]:
    """Edits that gave the job such a due time later, or took it away before: the nearest of either kind."""
    if piece.period is None:
        return
    others = history.revisions_around(case.session, case.job_id, piece.period.revision)
    later = (each for each in others if each.revision > piece.period.revision)
    earlier = (each for each in reversed(others) if each.revision < piece.period.revision)
    for other, at in filter(None, (_first_due(later, moment), _first_due(earlier, moment))):
        due = f"is due at {case.clock.said(at)}, but it is in force only since {case.clock.said(other.from_at)}"
        if other.revision < piece.period.revision:
            until = other.until_at or other.from_at
            due = f"was due at {case.clock.said(at)}, but it was in force only until {case.clock.said(until)}"
        text = f"The schedule was edited: revision {other.revision} (by {other.saved_by}) {due}."
        yield Reason("edited", text, other.from_at, _link(other))


def _first_due(others: Iterable[JobRevision], moment: datetime) -> tuple[JobRevision, datetime] | None:
    """The first of these with a due time near the moment, and that time."""
    for other in others:
        piece = Piece(moment - absence.NEAR, moment + absence.NEAR, other, schedule_in(other))
        at = _nearest([piece], moment)
        if at is not None:
            return other, at
    return None


def _nearest(parts: Sequence[Piece], moment: datetime, now: datetime | None = None) -> datetime | None:
    """The due time nearest to the moment; with ``now`` one that has come is meant rather than one that lies ahead."""
    times = list(due_times(parts, _TIMES_MAX))
    come = [at for at in times if now is not None and at <= now]
    return min(come or times, key=lambda at: abs(at - moment), default=None)


# -- a due time without a row ----------------------------------------------------------------------------------


def _ahead(case: _Case, piece: Piece, due_at: datetime) -> Iterator[Reason]:
    yield Reason("ahead", "This due time lies ahead.", due_at)
    yield from _unserved(case, piece)
    switch = control.read(case.session)
    if switch.held_reason is not None:
        yield Reason("held", f"{switch.held_reason} It will be held if that lasts.", switch.since, Link("scheduler"))
    if switch.mode is control.Mode.STOPPED:
        text = f"The scheduler was stopped by {switch.by}; it must be started before."
        yield Reason("stopped", text, switch.since, Link("scheduler"))


def _waiting(case: _Case, due_at: datetime) -> Iterator[Reason]:
    yield Reason("waiting", "It is due, and the scheduler has not taken it yet.", due_at)
    yield from row_reasons.unserved(case.session, due_at, case.now, case.clock)


# -- what was in force -----------------------------------------------------------------------------------------


def _revision(case: _Case, piece: Piece, row: Run | None) -> Iterator[Reason]:
    period = piece.period
    if period is not None:
        text = (
            f"Revision {period.revision} was in force since {case.clock.said(period.from_at)} "
            f"({period.change} by {period.saved_by})."
        )
        yield Reason("revision", text, period.from_at, _link(period))
    if row is not None and (period is None or row.job_revision != period.revision):
        text = f"Run {row.id} used revision {row.job_revision}."
        yield Reason("revision_used", text, row.queued_at, Link("revision", row.job_revision))


def _link(period: JobRevision) -> Link:
    return Link("revision", period.revision)
