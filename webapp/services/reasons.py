"""What an explanation is made of: a verdict, and reasons that point to what they speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from webapp.domain.moments import clock, spoken_date


class Verdict(StrEnum):
    """What became of a moment in a job's life."""

    RAN = "ran"
    RUNNING = "running"
    WAITING = "waiting"
    NOT_RUN = "not run"
    NOT_DUE = "not due"
    AHEAD = "ahead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Link:
    """What a reason points to: a run's id, the number of one of the job's revisions, or the scheduler itself."""

    kind: Literal["run", "revision", "scheduler"]
    id: int | None = None


@dataclass(frozen=True)
class Reason:
    """One reason: ``code`` is stable, for programs; ``text`` is for people; ``at`` is the moment that it speaks of."""

    code: str
    text: str
    at: datetime | None = None
    link: Link | None = None


class Clock:
    """Says moments in one zone: ``02:30:15 on 8 March 2026 (America/New_York)``."""

    def __init__(self, zone: str) -> None:
        try:
            self._tz, self._name = ZoneInfo(zone), zone
        except (KeyError, ValueError, OSError):  # a zone that this machine's tz database does not have
            self._tz, self._name = ZoneInfo("UTC"), "UTC"

    def said(self, moment: datetime) -> str:
        local = moment.astimezone(self._tz)
        return f"{clock(local)} on {spoken_date(local)} ({self._name})"
