"""What the first page tells: next due times, running runs, failures, the balance of the last day, lateness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.domain.states import ENDED_BADLY
from webapp.extensions import db
from webapp.services import balance as balances
from webapp.services.balance import Balance
from webapp.store import jobs, run_pages, runs
from webapp.store.filters import RunFilter
from webapp.store.models import Job, Run

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Overview:
    """The dashboard. Delays are seconds from due time to start, None when nothing started."""

    next_due: Sequence[Job]
    running: Sequence[Run]
    failures: Sequence[Run]
    latest: Sequence[Run]
    balance: Balance
    delay_p50_s: float | None
    delay_p95_s: float | None


def overview(now: datetime) -> Overview:
    """What the dashboard shows beside the scheduler's status, as of ``now``."""
    session = db.session()
    since = now - WINDOW
    delays = sorted(runs.start_delays(session, since))
    failed = RunFilter(state=tuple(ENDED_BADLY), since=since)
    return Overview(
        next_due=jobs.upcoming(session, 8),
        running=runs.active(session, 20),
        failures=run_pages.page(session, failed, before=None, after=None, limit=8).rows,
        latest=run_pages.page(session, RunFilter(), before=None, after=None, limit=60).rows,
        balance=balances.recent(now, WINDOW),
        delay_p50_s=_quantile(delays, 0.5),
        delay_p95_s=_quantile(delays, 0.95),
    )


def balance(since: datetime, until: datetime, job_id: str | None = None) -> Balance:
    """The due times in (since, until] compared with their outcomes."""
    return balances.read(since, until, job_id)


def _quantile(values: list[float], share: float) -> float | None:
    return values[min(len(values) - 1, int(len(values) * share))] if values else None
