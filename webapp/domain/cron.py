"""The one cron trigger: for crontab strings, for APScheduler's eight fields, in forms, API and code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo

from apscheduler.triggers.cron import CronTrigger as ApsCronTrigger

from webapp.domain import crontab_line, cronwords, fields
from webapp.domain.grammar import CronParts, Refused
from webapp.domain.reading import Reader
from webapp.domain.recurrence import Limits, Schedule
from webapp.domain.wall import Pattern, WallGrid

GAPS = ("skip", "end")
"""What becomes of local times that a clock change removes: skipped, or run when the gap ends."""

SETTINGS = ("crontab", *fields.NAMES, "start_date", "end_date", "jitter", "spread", "timezone", "gap")

Part = int | str | None


class Field:
    """One field as APScheduler's tools look at it: ``name``, ``is_default`` and its text."""

    def __init__(self, name: str, text: str, is_default: bool) -> None:
        self.name, self.text, self.is_default = name, text, is_default

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.text!r})"


class CronTrigger(Schedule, ApsCronTrigger):  # type: ignore[misc]
    """APScheduler's CronTrigger that keeps every promise at clock changes and refuses what it cannot keep.

    Fields keep APScheduler's meaning (weekday 0 = Monday, all must agree, those below the smallest given one are at
    their minimum). ``from_crontab`` reads a string as cron does. Raises Invalid, which is a ValueError.
    """

    kind = "cron"

    def __init__(
        self,
        year: Part = None,
        month: Part = None,
        day: Part = None,
        week: Part = None,
        day_of_week: Part = None,
        hour: Part = None,
        minute: Part = None,
        second: Part = None,
        start_date: datetime | date | str | None = None,
        end_date: datetime | date | str | None = None,
        timezone: str | tzinfo | None = None,
        jitter: int | None = None,
        *,
        gap: str = "skip",
        spread: int | None = None,
        crontab: str | None = None,
        job_id: str = "",
    ) -> None:
        spec = {name: value for name, value in locals().items() if name in SETTINGS}
        self._read(Reader(spec), job_id)

    @classmethod
    def from_crontab(cls, expr: str, timezone: str | tzinfo | None = None) -> CronTrigger:
        """A trigger from a crontab string, with the meaning it has for cron (0 and 7 are Sunday)."""
        return cls(crontab=expr, timezone=timezone)

    def _read(self, reader: Reader, job_id: str) -> None:
        reader.only(SETTINGS, self.kind)
        zone = reader.zone()
        self.gap = reader.choice("gap", GAPS)
        self.crontab: str | None = None
        self.texts: dict[str, str] = {}
        parts = self._read_crontab(reader) if reader.has("crontab") else self._read_fields(reader)
        if parts is not None and not parts.days.possible():
            reader.refuse(self._main_setting(), "This never fires: no year has such a day.")
        start, end = reader.bounds(zone)
        jitter, spread = reader.delays(lambda: _shortest(parts))
        reader.finish()
        assert parts is not None
        self.parts = parts
        grid = WallGrid(Pattern(parts.days, parts.times), zone, parts.follows_clock, self.gap == "end")
        self._settle(zone, grid, Limits(start, end, jitter, spread), job_id)
        self.fields = self._fields()
        self._must_fire(reader, self._main_setting())

    def _read_crontab(self, reader: Reader) -> CronParts | None:
        for name in fields.NAMES:
            if reader.has(name):
                reader.refuse(name, "Give either a crontab expression or fields, not both.")
        text = reader.spec["crontab"]
        if not isinstance(text, str):
            reader.refuse("crontab", "Use text such as 0 2 * * *.")
            return None
        try:
            parts = crontab_line.parts(text)
        except Refused as error:
            reader.refuse("crontab", str(error))
            return None
        self.crontab = crontab_line.normal(text)
        return parts

    def _read_fields(self, reader: Reader) -> CronParts | None:
        given = [name for name in fields.NAMES if reader.has(name)]
        if not given:
            reader.refuse("crontab", "Say when: give a crontab expression or at least one field.")
        for name in given:
            try:
                self.texts[name] = fields.normal(name, reader.spec[name])
            except Refused as error:
                reader.refuse(name, str(error))
        return fields.parts(self.texts) if self.texts and len(self.texts) == len(given) else None

    def _main_setting(self) -> str:
        """The setting that a message about the whole expression belongs to."""
        if self.crontab is not None:
            return "crontab"
        return next(name for name in ("day", "day_of_week", "week", *fields.NAMES) if name in self.texts)

    def _fields(self) -> list[Field]:
        if self.crontab is not None:
            return []
        return [Field(name, text, name not in self.texts) for name, text in fields.texts(self.texts).items()]

    @property
    def names_seconds(self) -> bool:
        """Whether the expression says at which second; else its grain is a minute."""
        return "second" in self.texts or (self.crontab is not None and self.crontab.count(" ") == 5)

    def field_texts(self) -> dict[str, str]:
        """The text of each field by its APScheduler name; those of a crontab string keep cron's numbering."""
        if self.crontab is not None:
            return crontab_line.field_texts(self.crontab)
        return fields.texts(self.texts)

    def spec(self) -> dict[str, object]:
        spec: dict[str, object] = {"kind": self.kind}
        if self.crontab is not None:
            spec["crontab"] = self.crontab
        else:
            spec.update(self.texts)
        spec["start_date"] = None if self.start_date is None else self.start_date.isoformat()
        spec["end_date"] = None if self.end_date is None else self.end_date.isoformat()
        spec["jitter"] = self.jitter
        if self.spread:
            spec["spread"] = self.spread
        spec["timezone"] = self.timezone
        spec["gap"] = self.gap
        return spec

    def words(self) -> str:
        return cronwords.describe(self)

    def __str__(self) -> str:
        texts: Mapping[str, str] = self.texts if self.crontab is None else {"crontab": self.crontab}
        return "cron[{}]".format(", ".join(f"{name}='{text}'" for name, text in texts.items()))


def _shortest(parts: CronParts | None) -> int | None:
    """The smallest distance between two due times in seconds; None when that is not known."""
    return Pattern(parts.days, parts.times).shortest() if parts is not None and parts.days.possible() else None
