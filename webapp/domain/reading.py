"""Reads the values of a spec one by one and collects what is wrong with each, so that a form can show all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, tzinfo

from webapp.domain import moments
from webapp.domain.errors import Invalid
from webapp.domain.zones import DAY_S, Zone, seconds, zone, zone_name

_DIGITS = re.compile(r"[+-]?[0-9]{1,12}")


class Reader:
    """One spec being read. With ``now`` it was just typed, without it was stored.

    ``judged`` false: it was typed as a part of something else, so it need not be of use on its own.
    Messages are collected by field; ``finish`` raises them all as Invalid.
    """

    def __init__(
        self,
        spec: Mapping[str, object],
        now: datetime | None = None,
        default_timezone: str = "UTC",
        *,
        judged: bool = True,
    ) -> None:
        self.spec = spec
        self.now = now
        self.judged = judged and now is not None
        self.default_timezone = default_timezone
        self.errors: dict[str, list[str]] = {}

    def has(self, name: str) -> bool:
        """True when there is a value: not absent, not None, not blank."""
        value = self.spec.get(name)
        return value is not None and not (isinstance(value, str) and not value.strip())

    def refuse(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)

    def finish(self) -> None:
        if self.errors:
            raise Invalid(self.errors)

    def only(self, known: Iterable[str], kind: str) -> None:
        """Refuse values that a schedule of this kind does not have. Blank ones are what a form leaves behind."""
        names = frozenset(known)
        for name in self.spec:
            if not isinstance(name, str) or (name not in names and name != "kind" and self.has(name)):
                self.refuse(str(name)[:60], f"A schedule of kind {kind} has no such setting.")

    def integer(self, name: str, low: int, high: int, default: int = 0) -> int:
        """A whole number within bounds; ``default`` when it is left out or refused."""
        if not self.has(name):
            return default
        value = self.spec[name]
        if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
            value = int(value.strip())
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(name, "Use a whole number.")
            return default
        if not low <= value <= high:
            self.refuse(name, f"Use a number from {low} to {high}.")
            return default
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of these words; the first when it is left out or refused."""
        value = self.spec.get(name) if self.has(name) else allowed[0]
        if value in allowed and isinstance(value, str):
            return value
        self.refuse(name, f"Use {' or '.join(allowed)}.")
        return allowed[0]

    def zone(self, name: str = "timezone") -> Zone:
        """The spec's zone. Nothing else can be read without one, so a wrong one is raised at once."""
        value = self.spec.get(name) if self.has(name) else self._implied_zone()
        if not isinstance(value, str | tzinfo):
            raise Invalid({name: "Use an IANA name such as Europe/Berlin or UTC."})
        return zone(zone_name(value))

    def _implied_zone(self) -> str | tzinfo:
        """As APScheduler does: code that gives an aware datetime and no zone means that datetime's zone."""
        for name in ("start_date", "end_date", "run_date"):
            value = self.spec.get(name)
            if isinstance(value, datetime) and getattr(value.tzinfo, "key", None):
                return str(getattr(value.tzinfo, "key", ""))
        return self.default_timezone

    def moment(self, name: str, zone: Zone, *, fold: int | None = None, bare_dates: bool = True) -> int | None:
        """A moment as epoch seconds; None when it is left out or refused."""
        if not self.has(name):
            return None
        try:
            return seconds(moments.read(self.spec[name], zone, fold=fold, bare_dates=bare_dates))
        except moments.Repeated as error:
            self.refuse("fold" if "fold" in self.spec or name == "run_date" else name, str(error))
        except moments.Unreadable as error:
            self.refuse(name, str(error))
        return None

    def bounds(self, zone: Zone) -> tuple[int | None, int | None]:
        """``start_date`` and ``end_date``, refused when the end is not after the start or, just typed, is past."""
        start, end = self.moment("start_date", zone), self.moment("end_date", zone)
        if start is not None and end is not None and end <= start:
            self.refuse("end_date", "The end must be later than the start.")
        elif end is not None and self.past(end):
            self.refuse("end_date", "The end has passed already.")
        return start, end

    def past(self, instant: int) -> bool:
        """Whether this has passed for something that must still be of use."""
        return self.judged and self.now is not None and instant <= seconds(self.now)

    def delays(self, shortest: Callable[[], int | None]) -> tuple[int, int]:
        """``jitter`` and ``spread`` in seconds, each below the ``shortest`` distance between two grid times."""
        jitter, spread = self.integer("jitter", 0, 10**9), self.integer("spread", 0, 10**9)
        if jitter and spread:
            self.refuse("spread", "Use either jitter or spread, not both.")
        elif jitter or spread:
            most = (shortest() or 365 * DAY_S) - 1
            if max(jitter, spread) > most:
                said = f"Use at most {most} s: it must stay below the shortest time between two runs."
                self.refuse("jitter" if jitter else "spread", said)
        return jitter, spread
