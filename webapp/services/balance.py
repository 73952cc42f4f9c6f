"""The balance of a window: each due time has one outcome or waits for the due pass, or the sum says where it is wrong.

What was due is computed from the periods in which the jobs were served, without the ledger; what became of it is summed
over the ledger, without the schedules. Only a row that reaches over the window's edge needs both: its schedule says
how many of its due times lie inside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Connection

from webapp import clock
from webapp.domain.schedules import Schedule
from webapp.domain.states import RunState
from webapp.services.schedule_cache import schedule_of_period
from webapp.store import history
from webapp.store.database import snapshot

PERIODS_MAX = 2_000
"""So many periods are compared; with more, the ledger's sum stands alone."""
LONG_S = 0.1
_STEP = timedelta(microseconds=1)


@dataclass(frozen=True)
class Difference:
    """A job that does not add up: ``found`` counts its outcomes and the due times that wait for the due pass.

    ``expected`` is None where its schedule cannot be computed any more.
    """

    job_id: str
    expected: int | None
    found: int


@dataclass(frozen=True)
class Balance:
    """Due times in (since, until] by outcome. ``compared`` False: ``due`` is the ledger's own sum, unchecked."""

    since: datetime
    until: datetime
    due: int
    by_state: dict[RunState, int]
    waiting: int = 0
    mismatches: tuple[Difference, ...] = ()
    compared: bool = True

    @property
    def adds_up(self) -> bool:
        """Whether every job's due times have as many outcomes; two errors of opposite sign do not hide each other."""
        return not self.mismatches and self.due == sum(self.by_state.values()) + self.waiting

    @property
    def settled(self) -> int:
        """Due times whose outcome is final."""
        return sum(number for state, number in self.by_state.items() if state.is_final)


@dataclass(frozen=True)
class _Period:
    """A time in which a job was served by one schedule; None: it cannot be read any more."""

    from_at: datetime
    until_at: datetime | None
    schedule: Schedule | None

    def count(self, after: datetime, until: datetime) -> int:
        """Its due times in (after, until]."""
        low = max(after, self.from_at)
        high = until if self.until_at is None else min(until, self.until_at)
        return 0 if self.schedule is None or high <= low else self.schedule.span(low, high).count


def read(since: datetime, until: datetime, job_id: str | None = None) -> Balance:
    """Strike the balance of (since, until], of one job or of all; ``until`` should not lie in the future."""
    with snapshot() as connection:
        if history.count_served_periods(connection, since, until, job_id, PERIODS_MAX + 1) > PERIODS_MAX:
            return _uncompared(connection, since, until, job_id)
        periods = _periods(history.served_periods(connection, since, until, job_id))
        outcomes = _outcomes(connection, since, until, job_id, periods)
        waiting = _waiting(connection, since, until, job_id, periods)
    found = {job: sum(states.values()) for job, states in outcomes.items()}
    for job, number in waiting.items():
        found[job] = found.get(job, 0) + number
    expected = {job: _expected(served, since, until) for job, served in periods.items()}
    jobs = sorted(set(found) | set(expected))
    wrong = [Difference(job, expected.get(job, 0), found.get(job, 0)) for job in jobs]
    return Balance(
        since,
        until,
        due=sum(number if number is not None else found.get(job, 0) for job, number in expected.items()),
        by_state=_by_state(outcomes.values()),
        waiting=sum(waiting.values()),
        mismatches=tuple(each for each in wrong if each.expected != each.found),
    )


@dataclass
class _Kept:
    """A balance of all jobs, and until when (on the monotonic clock) it may be shown again."""

    balance: Balance
    good_until: float


def recent(now: datetime, window: timedelta) -> Balance:
    """The balance of all jobs in the last ``window``, for pages that are asked for again and again.

    Where striking it takes long, the last one is given until ten times as long has passed; its ``until`` says so.
    """
    kept: dict[timedelta, _Kept] = current_app.extensions.setdefault("carillon_balance", {})
    begun = clock.monotonic()
    last = kept.get(window)
    if last is not None and begun < last.good_until:
        return last.balance
    found = read(now - window, now)
    took_s = clock.monotonic() - begun
    kept[window] = _Kept(found, begun + 11 * took_s if took_s > LONG_S else begun)
    return found


def _uncompared(connection: Connection, since: datetime, until: datetime, job_id: str | None) -> Balance:
    by_state = _by_state([history.sums(connection, since, until, job_id)])
    return Balance(since, until, sum(by_state.values()), by_state, compared=False)


def _by_state(parts: Iterable[Mapping[str, int]]) -> dict[RunState, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return {state: total[state] for state in RunState if state in total}


def _periods(rows: Sequence[Any]) -> dict[str, list[_Period]]:
    """The served periods of each job."""
    found: dict[str, list[_Period]] = defaultdict(list)
    for row in rows:
        try:
            schedule = schedule_of_period(row)
        except Exception:  # stored rubbish may fail in any way; the balance says so instead of failing as well
            schedule = None
        found[row.job_id].append(_Period(row.from_at, row.until_at, schedule))
    return found


def _expected(served: Sequence[_Period], since: datetime, until: datetime) -> int | None:
    if any(period.schedule is None for period in served):
        return None
    return sum(period.count(since, until) for period in served)


def _outcomes(
    connection: Connection,
    since: datetime,
    until: datetime,
    job_id: str | None,
    periods: Mapping[str, Sequence[_Period]],
) -> dict[str, Counter[str]]:
    """Due times in (since, until] by job and by their outcome, from the ledger."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    whole, some_cut = history.outcomes(connection, since, until, job_id)
    for each in whole:
        found[each.job_id][each.state] += each.number
    cut = list(history.begun_before(connection, since, until, job_id)) if some_cut else []
    if history.any_due_after(connection, until):
        reaching = (job for job, served in periods.items() if _reaches_over(served, until))
        cut += filter(None, (history.ending_after(connection, until, job) for job in reaching))
    for row in cut:
        low, high = max(since, row.first_due_at - _STEP), min(until, row.due_at)
        found[row.job_id][row.state] += sum(period.count(low, high) for period in periods.get(row.job_id, ()))
    return found


def _reaches_over(served: Sequence[_Period], until: datetime) -> bool:
    return any(period.until_at is None or period.until_at > until for period in served)


def _waiting(
    connection: Connection,
    since: datetime,
    until: datetime,
    job_id: str | None,
    periods: Mapping[str, Sequence[_Period]],
) -> dict[str, int]:
    """Due times in (since, until] that no due pass has taken yet, by job."""
    found: dict[str, int] = {}
    for row in history.waiting_jobs(connection, until, job_id):
        low = max(since, row.next_due_at - _STEP)
        number = sum(period.count(low, until) for period in periods.get(row.id, ()))
        if number:
            found[row.id] = number
    return found
