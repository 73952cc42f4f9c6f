"""Why a row of the ledger ended as it did: what its own reason leaves out, found in what happened around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from webapp.domain.rules import span_words
from webapp.domain.states import NEVER_STARTED, RunState, RunTrigger
from webapp.services import downtime
from webapp.services.reasons import Clock, Link, Reason, Verdict
from webapp.store import runs
from webapp.store.models import EngineEvent, Run

_NAMED_MAX = 3
_EVENTS_MAX = 3
_TOLD_MAX = 500


def verdict(row: Run) -> Verdict:
    """Whether the run was started, waits, or never came to it."""
    state = RunState(row.state)
    if state is RunState.QUEUED:
        return Verdict.WAITING
    if state is RunState.RUNNING:
        return Verdict.RUNNING
    return Verdict.NOT_RUN if row.started_at is None else Verdict.RAN


def of(session: Session, row: Run, due_at: datetime, now: datetime, clock: Clock) -> list[Reason]:
    """Why the due time ``due_at`` has the outcome of ``row``, which may answer for others as well."""
    found = [*_outcome(session, row, due_at, now, clock), *_folded(row, due_at, clock)]
    if row.trigger == RunTrigger.CATCH_UP:
        text = f"It was caught up by {row.requested_by} at {clock.said(row.queued_at)}."
        found.append(Reason("caught_up", text, row.queued_at, _link(row)))
    return [*found, *_attempts(session, row)]


def _outcome(session: Session, row: Run, due_at: datetime, now: datetime, clock: Clock) -> Iterator[Reason]:
    state = RunState(row.state)
    match state:
        case RunState.MISSED:
            yield from _missed(session, row, due_at, clock)
        case RunState.SKIPPED:
            yield _plain("skipped", row, "The overlap rule skipped it.")
            yield from _still_running(session, row)
        case RunState.HELD:
            yield _plain("held", row, "Everything was paused.")
        case RunState.QUEUED:
            yield from _queued(session, row, now, clock)
        case RunState.LOST:
            yield _plain("lost", row, "Nobody knows how it ended.")
        case RunState.CANCELLED:
            yield _plain("cancelled", row, f"It was cancelled by {row.stop_requested_by or 'somebody'}.")
        case _:
            yield _ran(row, state, clock)


def _plain(code: str, row: Run, otherwise: str) -> Reason:
    return Reason(code, row.reason or otherwise, row.finished_at, _link(row))


def _link(row: Run) -> Link:
    return Link("run", row.id)


def _ran(row: Run, state: RunState, clock: Clock) -> Reason:
    said = [f"Run {row.id} {'is running' if state is RunState.RUNNING else state.label}"]
    if row.started_at is not None:
        said.append(f"started at {clock.said(row.started_at)}")
        if row.due_at is not None and row.attempt == 1:
            said.append(f"{span_words((row.started_at - row.due_at).total_seconds())} after it was due")
        if row.finished_at is not None:
            said.append(f"took {span_words((row.finished_at - row.started_at).total_seconds())}")
    else:
        said.append("never started")
    text = f"{', '.join(said)}."
    why = row.error or row.reason
    if state is not RunState.SUCCEEDED and why:
        text = f"{text} {why}"
    return Reason(str(state), text[:_TOLD_MAX], row.started_at or row.finished_at, _link(row))


def _missed(session: Session, row: Run, due_at: datetime, clock: Clock) -> Iterator[Reason]:
    """Too late: it waited for a worker, or nobody came to decide it in time."""
    waited = row.finished_at is not None and row.finished_at > row.queued_at
    yield _plain("pool_full" if waited else "missed", row, "It came too late.")
    if not waited:
        yield from unserved(session, due_at, row.queued_at, clock)


def unserved(session: Session, first: datetime, last: datetime, clock: Clock) -> Iterator[Reason]:
    """Why nobody came to due times between these moments: no scheduler, one that was stopped, a clock that was set."""
    scheduler = Link("scheduler")
    gap = downtime.gap(session, first, last)
    if gap is not None:
        since = "" if gap.since is None else f" from {clock.said(gap.since)}"
        until = " until now" if gap.until is None else f" until {clock.said(gap.until)}"
        yield Reason("down", f"No scheduler was running{since}{until}.", gap.since, scheduler)
    stop = downtime.stop(session, first, last)
    if stop is not None:
        until = "and has not been started since" if stop.until is None else f"and started at {clock.said(stop.until)}"
        text = f"The scheduler was stopped by {stop.by} at {clock.said(stop.since)} {until}."
        yield Reason("stopped", text, stop.since, scheduler)
    events = select(EngineEvent).where(EngineEvent.kind == "clock", EngineEvent.at > first, EngineEvent.at <= last)
    for event in session.scalars(events.order_by(EngineEvent.id).limit(_EVENTS_MAX)):
        yield Reason("clock", event.message, event.at, scheduler)


def _still_running(session: Session, row: Run) -> Iterator[Reason]:
    """The runs of the job that had not ended when this one was decided."""
    query = select(Run).where(
        Run.job_id == row.job_id,
        Run.id < row.id,
        Run.state.not_in(NEVER_STARTED),
        Run.queued_at <= row.queued_at,
        or_(Run.finished_at.is_(None), Run.finished_at > row.queued_at),
    )
    for other in session.scalars(query.order_by(Run.queued_at.desc(), Run.id.desc()).limit(_NAMED_MAX)):
        doing = "was running" if other.started_at and other.started_at <= row.queued_at else "was waiting to start"
        yield Reason("still_running", f"Run {other.id} {doing}.", other.started_at or other.queued_at, _link(other))


def _queued(session: Session, row: Run, now: datetime, clock: Clock) -> Iterator[Reason]:
    if row.available_at > now:
        text = f"Run {row.id} starts at {clock.said(row.available_at)} at the earliest. {row.reason or ''}".strip()
        yield Reason("queued", text, row.available_at, _link(row))
        return
    yield Reason("queued", f"Run {row.id} waits for a free worker.", row.queued_at, _link(row))
    if row.instances_max is not None:
        for other in runs.active(session):
            if other.job_id == row.job_id:
                yield Reason("still_running", f"Run {other.id} must end first.", other.started_at, _link(other))
    yield from unserved(session, row.queued_at, now, clock)


def _folded(row: Run, due_at: datetime, clock: Clock) -> Iterator[Reason]:
    if row.due_count < 2 or row.first_due_at is None or row.due_at is None:
        return
    which = "It was folded into" if due_at != row.due_at else "It stands for others as well:"
    text = (
        f"{which} run {row.id}, which answers for {row.due_count:,} due times "
        f"from {clock.said(row.first_due_at)} to {clock.said(row.due_at)}."
    )
    yield Reason("folded", text, row.due_at, _link(row))


def _attempts(session: Session, row: Run) -> Iterator[Reason]:
    """The attempts before this one, the newest first."""
    earlier: Sequence[Run] = () if row.due_at is None else runs.of_due_time(session, row.job_id, row.due_at)
    for other in reversed([each for each in earlier if each.attempt < row.attempt]):
        why = other.error or other.reason
        text = f"Attempt {other.attempt}, run {other.id}: {RunState(other.state).label}. {why or ''}".strip()
        yield Reason("attempt", text[:_TOLD_MAX], other.finished_at, _link(other))
