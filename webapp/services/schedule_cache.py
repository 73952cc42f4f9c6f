"""Schedules of stored jobs, built once: a due pass must not rebuild a trigger for every due time."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from threading import Lock
from typing import Any

from webapp.domain.schedules import Schedule
from webapp.services import shared_calendars
from webapp.services.shared_calendars import Pins

_SIZE = 20_000
_cache: dict[Hashable, tuple[tuple[Mapping[str, Any], Pins | None], Schedule]] = {}
_lock = Lock()


def schedule_of(job: Any) -> Schedule:
    """The schedule of a job (a ``Job`` or a row with its columns), shared calendars as its pins say.

    Raises Invalid for stored rubbish, and when a calendar that it names is not there any more.
    """
    return _kept(job.id, job.id, job.trigger, job.calendar_pins, must_exist=True)


def schedule_of_period(period: Any) -> Schedule:
    """The schedule in force in a period (a ``JobRevision`` or a row with its columns). Raises Invalid likewise.

    A calendar that was deleted since still counts: its contents are kept.
    """
    definition = period.definition
    key = (period.job_id, period.revision)
    return _kept(key, period.job_id, definition["trigger"], definition.get("calendar_pins"), must_exist=False)


def _kept(key: Hashable, job_id: str, spec: Mapping[str, Any], pins: Pins | None, *, must_exist: bool) -> Schedule:
    found = _cache.get(key)
    if found is not None and found[0] == (spec, pins):
        return found[1]
    shared = shared_calendars.pinned(spec, pins, must_exist=must_exist)
    schedule = shared_calendars.load(spec, job_id=job_id, shared=shared)
    with _lock:
        if len(_cache) >= _SIZE:
            _cache.clear()
        _cache[key] = ((spec, pins), schedule)
    return schedule
