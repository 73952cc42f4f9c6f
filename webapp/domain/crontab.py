"""Crontab strings for those who have only a string: parse one, or ask when it is due."""

from __future__ import annotations

from datetime import datetime

from webapp.domain.cron import CronTrigger
from webapp.domain.zones import END


def parse(expression: str, timezone: str = "UTC") -> CronTrigger:
    """The trigger of a crontab string in an IANA zone. Raises Invalid with the field and the reason."""
    return CronTrigger.from_crontab(expression, timezone)


def next_fire_times(expression: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """The next ``count`` due times strictly later than ``after`` (aware), in the zone; fewer when it ends.

    Raises Invalid for an expression or zone that cannot be used.
    """
    trigger = parse(expression, timezone)
    return trigger.between(after, END, count)
