"""Several schedules as one: any of them, or all at once, except others, and not within calendars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from webapp.domain import calendars, words
from webapp.domain.calendars import Calendar
from webapp.domain.cron import CronTrigger
from webapp.domain.date import DateTrigger
from webapp.domain.errors import Invalid
from webapp.domain.interval import IntervalTrigger
from webapp.domain.reading import Reader
from webapp.domain.recurrence import Limits, Schedule
from webapp.domain.together import CombinedGrid
from webapp.domain.zones import Zone, seconds

MOST_PARTS = 10

SETTINGS = ("any", "all", "except", "calendars", "jitter", "spread", "timezone")
BASIC: dict[str, type[Schedule]] = {"interval": IntervalTrigger, "cron": CronTrigger, "date": DateTrigger}


class CombinedTrigger(Schedule):
    """``any`` or ``all`` of some basic schedules, ``except`` others, not within ``calendars``.

    These are given whole, as specs or as values; a shared one as a value, which whoever keeps it provides.
    """

    kind = "combined"

    def __init__(
        self,
        *,
        any: Sequence[Mapping[str, object]] = (),
        all: Sequence[Mapping[str, object]] = (),
        timezone: str = "UTC",
        calendars: Sequence[Mapping[str, object]] = (),
        job_id: str = "",
        **others: object,
    ) -> None:
        spec = {"any": any, "all": all, "timezone": timezone, "calendars": calendars, **others}
        self._read(Reader(spec), job_id)

    def _read(self, reader: Reader, job_id: str) -> None:
        reader.only(SETTINGS, self.kind)
        zone = reader.zone()
        self.mode = "all" if reader.has("all") else "any"
        if reader.has("all") and reader.has("any"):
            reader.refuse("all", "Give either any or all.")
        self.parts = _read_parts(reader, self.mode, zone)
        self.excepts = _read_parts(reader, "except", zone)
        self.calendars = _read_calendars(reader, zone)
        if not self.parts and not reader.errors:
            reader.refuse("any", "Give at least one schedule.")
        reader.finish()
        grid = CombinedGrid(self.parts, self.mode == "all", self.excepts, self.calendars, zone)
        jitter, spread = reader.delays(lambda: grid.shortest)
        reader.finish()
        self._settle(zone, grid, Limits(None, None, jitter, spread), job_id)
        self._must_fire(reader, self.mode)

    def dropped_between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The times ``after < t <= until`` that exceptions and calendars take away, oldest first, before delays."""
        assert isinstance(self.grid, CombinedGrid)
        found: list[datetime] = []
        for begin, lost in self.grid.dropped(seconds(after) + 1, seconds(until)):
            while lost and len(found) < limit:
                found.append(self.zone.local(begin + (lost & -lost).bit_length() - 1))
                lost &= lost - 1
            if len(found) >= limit:
                break
        return found

    def spec(self) -> dict[str, object]:
        spec: dict[str, object] = {"kind": self.kind, self.mode: [part.spec() for part in self.parts]}
        if self.excepts:
            spec["except"] = [part.spec() for part in self.excepts]
        if self.calendars:
            spec["calendars"] = [calendar.name if calendar.shared else calendar.spec() for calendar in self.calendars]
        spec["jitter"] = self.jitter
        if self.spread:
            spec["spread"] = self.spread
        spec["timezone"] = self.timezone
        return spec

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        return same and self.calendars == other.calendars if isinstance(other, CombinedTrigger) else same

    __hash__ = Schedule.__hash__

    def __getstate__(self) -> dict[str, object]:
        """Shared calendars are held whole: where this is read again, nobody may be there to look them up."""
        names = [calendar.name for calendar in self.calendars if calendar.shared]
        if not names:
            return super().__getstate__()
        whole = {**self.spec(), "calendars": [calendar.spec() for calendar in self.calendars]}
        return {**super().__getstate__(), "spec": whole, "shared": names}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        spec, names = state.get("spec"), state.get("shared")
        if isinstance(spec, Mapping) and isinstance(names, list) and names:
            held = [calendars.read(each) for each in spec["calendars"]]
            held = [replace(calendar, shared=calendar.name in names) for calendar in held]
            state = {**state, "spec": {**spec, "calendars": held}}
        super().__setstate__(state)

    def words(self) -> str:
        return words.combined(self)

    def __str__(self) -> str:
        return f"{self.mode}[{', '.join(str(part) for part in self.parts)}]"


def _list(reader: Reader, name: str) -> Sequence[object]:
    if not reader.has(name):
        return ()
    value = reader.spec[name]
    if not isinstance(value, Sequence) or isinstance(value, str):
        reader.refuse(name, "Give a list.")
        return ()
    if len(value) > MOST_PARTS:
        reader.refuse(name, f"Give at most {MOST_PARTS}.")
        return ()
    return value


def _read_parts(reader: Reader, name: str, zone: Zone) -> tuple[Schedule, ...]:
    """The basic schedules under ``name``; what is wrong with number ``n`` is reported as ``name.n.setting``."""
    found = []
    for number, spec in enumerate(_list(reader, name)):
        at = f"{name}.{number}"
        kind = spec.get("kind") if isinstance(spec, Mapping) else None
        if not isinstance(spec, Mapping) or not isinstance(kind, str) or kind not in BASIC:
            reader.refuse(f"{at}.kind", f"Use one of {', '.join(BASIC)}.")
            continue
        try:
            part = BASIC[kind].read(Reader(spec, reader.now, zone.name, judged=False))
        except Invalid as error:
            _adopt(reader, at, error)
            continue
        if part.jitter or part.spread:
            reader.refuse(f"{at}.jitter", "Set jitter and spread for the whole schedule, not for its parts.")
        found.append(part)
    return tuple(found)


def _read_calendars(reader: Reader, zone: Zone) -> tuple[Calendar, ...]:
    found = []
    for number, spec in enumerate(_list(reader, "calendars")):
        if isinstance(spec, Calendar):
            found.append(spec)
            continue
        try:
            found.append(calendars.read(spec, zone.name))
        except Invalid as error:
            _adopt(reader, f"calendars.{number}", error)
    return tuple(found)


def _adopt(reader: Reader, at: str, error: Invalid) -> None:
    for field, messages in error.fields.items():
        _refuse_all(reader, f"{at}.{field}" if field else at, messages)


def _refuse_all(reader: Reader, name: str, messages: Iterable[str]) -> None:
    for message in messages:
        reader.refuse(name, message)
