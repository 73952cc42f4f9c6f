"""Once, at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from apscheduler.triggers.date import DateTrigger as ApsDateTrigger

from webapp.domain import words
from webapp.domain.reading import Reader
from webapp.domain.recurrence import Limits, Schedule

SETTINGS = ("run_date", "timezone", "fold")


@dataclass(frozen=True)
class DateGrid:
    """A single epoch second."""

    at: int

    def next(self, after: int) -> int | None:
        return self.at if self.at > after else None

    def last(self, at: int) -> int | None:
        return self.at if self.at <= at else None

    def count(self, after: int, until: int) -> int:
        return int(after < self.at <= until)

    def bits(self, first: int, length: int) -> int:
        return 1 << (self.at - first) if first <= self.at < first + length else 0

    @property
    def shortest(self) -> None:
        return None


class DateTrigger(Schedule, ApsDateTrigger):  # type: ignore[misc]
    """APScheduler's DateTrigger with a moment that exists exactly once and a zone of its own."""

    kind = "date"

    def __init__(
        self, run_date: datetime | date | str, timezone: str | tzinfo | None = None, *, job_id: str = ""
    ) -> None:
        self._read(Reader({"run_date": run_date, "timezone": timezone}), job_id)

    def _read(self, reader: Reader, job_id: str) -> None:
        reader.only(SETTINGS, self.kind)
        zone = reader.zone()
        fold = reader.integer("fold", 0, 1) if reader.has("fold") else None
        at = reader.moment("run_date", zone, fold=fold, bare_dates=False)
        if at is None and not reader.has("run_date"):
            reader.refuse("run_date", "Say when the job runs.")
        elif at is not None and reader.past(at):
            reader.refuse("run_date", "This moment has passed.")
        reader.finish()
        assert at is not None
        self._settle(zone, DateGrid(at), Limits(), job_id)
        self.run_date = zone.local(at)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Its one moment until it has been used, also when it has passed: a late one-off run is still owed."""
        return self.run_date if previous_fire_time is None else None

    def spec(self) -> dict[str, object]:
        return {"kind": self.kind, "run_date": self.run_date.isoformat(), "timezone": self.timezone}

    def words(self) -> str:
        return words.date(self)

    def __str__(self) -> str:
        return f"date[{self.run_date.isoformat(sep=' ')}]"
