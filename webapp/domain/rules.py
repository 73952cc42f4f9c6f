"""What becomes of a due time: the misfire, coalesce and overlap rules as pure functions (DESIGN section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.domain.states import Overlap, RunState

MISSED_ROWS_MAX = 100
"""Up to so many missed due times of one pass get a row each; more than that share one row."""


@dataclass(frozen=True)
class Rules:
    """A job's rules for due times. ``grace_s`` None: never too late."""

    coalesce: bool
    grace_s: int | None
    overlap: Overlap
    max_instances: int


@dataclass(frozen=True)
class Due:
    """Due times that wait for an outcome, oldest first. ``times`` names each of them, or none where they are folded."""

    first: datetime
    last: datetime
    count: int
    times: tuple[datetime, ...] = ()

    @classmethod
    def single(cls, moment: datetime) -> Due:
        return cls(moment, moment, 1, (moment,))


@dataclass(frozen=True)
class Decision:
    """One ledger row to write: ``due_count`` due times from ``first_due_at`` to ``due_at`` end in ``state``."""

    state: RunState
    due_at: datetime
    first_due_at: datetime
    due_count: int = 1
    reason: str | None = None
    waits: bool = False  # queued although the job is at its limit: to be started when a run has ended
    replaces: bool = False  # the runs that are going on are to be stopped


def latest_in_grace(rules: Rules, now: datetime) -> datetime | None:
    """The oldest due time that may still be started; None: however old."""
    return None if rules.grace_s is None else now - timedelta(seconds=rules.grace_s)


def decide(
    late: Due | None, good: Due | None, rules: Rules, *, now: datetime, active: int, held: str | None
) -> list[Decision]:
    """The outcome of each due time; together the decisions account for every one of ``late`` and ``good``.

    ``late`` ones are past their grace. ``active`` runs of this job are queued or running. ``held`` is the reason
    of a pause of everything, if there is one.
    """
    every = _joined(late, good)
    if held is not None:
        return [Decision(RunState.HELD, every.last, every.first, every.count, held)]
    if good is None:
        return _missed(every, rules, now)
    if rules.coalesce:
        return [_start(every, rules, active)]
    decisions = _missed(late, rules, now) if late else []
    for moment in good.times:
        decision = _start(Due.single(moment), rules, active)
        decisions.append(decision)
        active += decision.state is RunState.QUEUED
    return decisions


def _joined(late: Due | None, good: Due | None) -> Due:
    if late is None or good is None:
        one = late or good
        if one is None:
            raise ValueError("there is nothing to decide")
        return one
    return Due(late.first, good.last, late.count + good.count)


def _start(due: Due, rules: Rules, active: int) -> Decision:
    if active < rules.max_instances:
        return Decision(RunState.QUEUED, due.last, due.first, due.count)
    if rules.overlap is Overlap.REPLACE:
        return Decision(RunState.QUEUED, due.last, due.first, due.count, waits=True, replaces=True)
    if rules.overlap is Overlap.QUEUE and active == rules.max_instances:
        return Decision(RunState.QUEUED, due.last, due.first, due.count, waits=True)
    if rules.overlap is Overlap.QUEUE:
        reason = "A run was waiting already for the earlier one to end."
    elif rules.max_instances == 1:
        reason = "The earlier run had not ended yet."
    else:
        reason = f"{active} runs had not ended yet; {rules.max_instances} may go on together."
    return Decision(RunState.SKIPPED, due.last, due.first, due.count, reason)


def _missed(due: Due, rules: Rules, now: datetime) -> list[Decision]:
    if rules.coalesce or due.count > MISSED_ROWS_MAX or not due.times:
        return [Decision(RunState.MISSED, due.last, due.first, due.count, too_late(due.last, rules.grace_s, now))]
    return [Decision(RunState.MISSED, at, at, 1, too_late(at, rules.grace_s, now)) for at in due.times]


def too_late(due_at: datetime, grace_s: int | None, now: datetime) -> str:
    """Why a due time was missed, with both lengths of time."""
    late = span_words((now - due_at).total_seconds())
    return f"{late} late; the job may start up to {span_words(grace_s or 0)} late."


def span_words(seconds: float) -> str:
    """A length of time in its two largest units: "1 h 5 min"."""
    whole = int(seconds)
    if whole < 1:
        return f"{seconds:.1f} s"
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        amount, whole = divmod(whole, size)
        if amount or parts:
            parts.append(f"{amount} {unit}" if amount else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)
