"""The door to this room's schedules: what a user typed, or what was stored, becomes a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from webapp.domain.combined import BASIC, CombinedTrigger
from webapp.domain.errors import Invalid
from webapp.domain.reading import Reader
from webapp.domain.recurrence import Schedule, Span

__all__ = ["KINDS", "Schedule", "Span", "load", "parse"]

KINDS = ("interval", "cron", "date", "combined")
TYPES: dict[str, type[Schedule]] = {**BASIC, "combined": CombinedTrigger}


def parse(spec: Mapping[str, object], *, now: datetime, job_id: str = "", default_timezone: str = "UTC") -> Schedule:
    """The schedule that was typed into a form or sent to the API.

    Raises Invalid, keyed by the spec's own names, for what cannot be read and for what is of no use after ``now``.
    """
    return _type_of(spec).read(Reader(spec, now, default_timezone), job_id)


def load(spec: Mapping[str, object], *, job_id: str = "") -> Schedule:
    """The schedule of a stored spec, however old. Raises Invalid when the spec is rubbish."""
    return _type_of(spec).read(Reader(spec), job_id)


def _type_of(spec: Mapping[str, object]) -> type[Schedule]:
    kind = spec.get("kind") if isinstance(spec, Mapping) else None
    if not isinstance(kind, str) or kind not in TYPES:
        raise Invalid({"kind": f"Use one of {', '.join(KINDS)}."})
    return TYPES[kind]
