"""When the scheduler was down, for the pages that mark it in their histories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.extensions import db
from webapp.services import downtime
from webapp.services.downtime import Gap

STRIPS_REACH = timedelta(days=30)
"""How far back strips mark down time."""


@dataclass(frozen=True)
class Band:
    """A gap as a row of the history."""

    since: datetime
    until: datetime

    @property
    def length_s(self) -> int:
        return int((self.until - self.since).total_seconds())


def lately(now: datetime) -> list[Gap]:
    """The gaps that strips may show."""
    return downtime.gaps(db.session(), now - STRIPS_REACH, now)


def bands(first: datetime, last: datetime) -> list[Band]:
    """The gaps that have ended, from ``first`` to ``last``, newest first."""
    found = downtime.gaps(db.session(), first, last)
    return [Band(gap.since, gap.until) for gap in reversed(found) if gap.since and gap.until]
