"""What may be asked of the ledger: pages of runs, a run's log and attempts, stop, run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from webapp.domain.errors import Conflict, NotFound
from webapp.domain.states import Role, RunState, RunTrigger
from webapp.extensions import db
from webapp.services import audit, list_cursors, new_runs
from webapp.services.actors import Actor
from webapp.services.signals import runs_queued
from webapp.store import jobs as store_jobs
from webapp.store import run_pages
from webapp.store import runs as store
from webapp.store.database import retried, writing
from webapp.store.filters import RunFilter
from webapp.store.models import Run
from webapp.tasks import registry


@dataclass(frozen=True)
class RunPage:
    """Some runs, newest first. ``older`` and ``newer`` are cursors for ``page``; None: there are none that way.

    ``looked_to``: so far runs were looked at before the page was full; its cursor in that direction goes on from there.
    """

    rows: list[Run]
    older: str | None
    newer: str | None
    looked_to: datetime | None = None

    @property
    def next(self) -> str | None:
        return self.older


@dataclass(frozen=True)
class LogLine:
    """One line of a run's log; ``n`` counts from 0."""

    n: int
    at: datetime
    level: str
    text: str


@dataclass(frozen=True)
class LogSlice:
    """Lines of a log; ``next_line`` is where to go on, ``complete`` that no more will come after ``total``."""

    lines: list[LogLine]
    next_line: int
    total: int
    complete: bool


class RunBar(NamedTuple):
    """One run in a strip: its state and how long it took, in seconds (None while it has not ended)."""

    id: int
    state: RunState
    duration_s: float | None
    due_at: datetime | None
    at: datetime
    due_count: int


def get(run_id: int) -> Run:
    """Raises NotFound."""
    run = db.session.get(Run, run_id) if 0 < run_id < 2**63 else None
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def page(filter: RunFilter, *, cursor: str | None = None, limit: int = 50) -> RunPage:
    """A page of the history; ``cursor`` comes from another page, None is the newest. Raises Invalid for a bad one."""
    before, after = list_cursors.read_run(cursor)
    found = run_pages.page(db.session(), filter, before=before, after=after, limit=limit + 1)
    full, edge = len(found.rows) > limit, found.looked_to
    if after is not None and not full and edge is None and len(found.rows) < limit:
        return page(filter, limit=limit)  # the newest page is always a full one
    rows = found.rows[-limit:] if after is not None else found.rows[:limit]
    oldest = list_cursors.place_of(rows[-1]) if rows else after
    newest = list_cursors.place_of(rows[0]) if rows else before
    if after is not None:
        older, newer = oldest, newest if full else edge
    else:
        older, newer = oldest if full else edge, newest if before is not None else None
    return RunPage(
        rows,
        list_cursors.write_run(older, "b") if older else None,
        list_cursors.write_run(newer, "a") if newer else None,
        edge.queued_at if edge else None,
    )


def results(rows: Sequence[Run]) -> dict[int, str | None]:
    """The results (JSON text) of the runs of a page, which ``page`` leaves out, by run id."""
    query = select(Run.id, Run.result).where(Run.id.in_([run.id for run in rows]))
    return dict(db.session.execute(query).all())


def rev(job_id: str | None = None) -> str:
    """A text that differs whenever any run (of this job) was added or changed since."""
    return store.rev(db.session(), job_id)


def running(limit: int = 100) -> Sequence[Run]:
    """Runs that are going on, the longest first."""
    return store.active(db.session(), limit)


def attempts(run: Run) -> list[Run]:
    """All attempts at the same due time or request, first to last, this one among them."""
    session = db.session()
    if run.due_at is not None:
        return list(store.of_due_time(session, run.job_id, run.due_at))
    chain = [run]
    while len(chain) < 100 and chain[0].previous_id and (earlier := session.get(Run, chain[0].previous_id)):
        chain.insert(0, earlier)
    while len(chain) < 100 and chain[-1].next_id and (later := session.get(Run, chain[-1].next_id)):
        chain.append(later)
    return chain


def log(run_id: int, *, from_line: int = 0, limit: int = 1000) -> LogSlice:
    """Lines ``from_line`` .. ``from_line + limit - 1``; a negative ``from_line`` counts from the end. NotFound."""
    run = get(run_id)
    db.session.refresh(run)
    final = RunState(run.state).is_final
    if from_line < 0:
        from_line = max(0, run.log_lines + from_line)
    lines: list[LogLine] = []
    for piece in store.log(db.session(), run_id, from_line, limit):
        for n, text in enumerate(piece.text.split("\n"), piece.first_line):
            if from_line <= n < from_line + limit:
                lines.append(_line(n, text))
    next_line = lines[-1].n + 1 if lines else from_line
    return LogSlice(lines, next_line, run.log_lines, final and next_line >= run.log_lines)


def _line(n: int, text: str) -> LogLine:
    at, level, message = text.split("\t", 2)
    return LogLine(n, datetime.fromisoformat(at), level, message)


def strips(job_ids: Sequence[str], n: int = 30) -> dict[str, list[RunBar]]:
    """The newest ``n`` runs of each job, oldest first."""
    bars: dict[str, list[RunBar]] = {job_id: [] for job_id in job_ids}
    for row in store.recent(db.session(), job_ids, n):
        took = (row.finished_at - row.started_at).total_seconds() if row.started_at and row.finished_at else None
        at = row.finished_at or row.started_at or row.queued_at
        bars[row.job_id].append(RunBar(row.id, RunState(row.state), took, row.due_at, at, row.due_count))
    return {job_id: newest_first[::-1] for job_id, newest_first in bars.items()}


def usual_duration_s(job_id: str) -> float | None:
    """Median seconds of the newest successful runs of a job; None while there are none."""
    newest = strips([job_id], 50)[job_id]
    took = sorted(bar.duration_s for bar in newest if bar.duration_s is not None and bar.state is RunState.SUCCEEDED)
    return took[len(took) // 2] if took else None


@retried
def stop(run_id: int, *, actor: Actor, now: datetime) -> Run:
    """Ask a run to stop: one that waits is cancelled at once, one that runs is told. NotFound; Conflict if it ended."""
    actor.require(Role.OPERATOR)
    with writing() as session:
        run = _locked(run_id)
        if RunState(run.state).is_final:
            raise Conflict(f"Run {run_id} has ended already: {RunState(run.state).label}.")
        run.stop_requested_at = run.stop_requested_at or now
        run.stop_requested_by = run.stop_requested_by or actor.name
        run.updated_at = now
        if run.state == RunState.QUEUED:
            run.state, run.finished_at = RunState.CANCELLED, now
            run.reason = f"Cancelled by {actor.name} before it started."
        session.flush()
        audit.record("run.stopped", "run", run_id, actor=actor, now=now)
    runs_queued.send()
    return run


@retried
def rerun(run_id: int, *, actor: Actor, now: datetime) -> Run:
    """Queue the same task with the same arguments once more, as a manual run. NotFound; Conflict while it goes on."""
    actor.require(Role.OPERATOR)
    with writing() as session:
        old = _locked(run_id)
        if not RunState(old.state).is_final:
            raise Conflict(f"Run {run_id} has not ended yet.")
        task = registry.find(old.task)
        if task is None or not task.enabled:
            raise Conflict(f"The task {old.task} is not available here any more.")
        job = store_jobs.find(session, old.job_id)
        active = store.active_counts(session, [old.job_id]).get(old.job_id, 0)
        most = job.max_instances if job else 1
        if active >= most:
            raise Conflict(f"{active} of this job's runs had not ended yet; {most} may go on together.")
        run = Run(
            **new_runs.like(
                old,
                RunTrigger.MANUAL,
                now,
                reason=f"Run {old.id} again.",
                requested_by=actor.name,
                follow_up=job is not None and new_runs.wants_follow_up(job),
            )
        )
        session.add(run)
        session.flush()
        audit.record("run.rerun", "run", run_id, actor=actor, now=now, after={"run": run.id})
    runs_queued.send()
    return run


def _locked(run_id: int) -> Run:
    found = 0 < run_id < 2**63
    run = db.session.get(Run, run_id, with_for_update=True, populate_existing=True) if found else None
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def count(filter: RunFilter, most: int = 10_000) -> int:
    """How many runs the filter matches, counted up to ``most``."""
    inner = filter.apply(select(Run.id)).limit(most).subquery()
    return db.session.scalar(select(func.count()).select_from(inner)) or 0
