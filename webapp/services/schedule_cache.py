"""Schedules of stored jobs, built once: a due pass must not rebuild a trigger for every due time."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from threading import Lock
from typing import Any

from webapp.domain import schedules
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
    schedule = _of_all_jobs(spec)
    if schedule is None:
        shared = shared_calendars.pinned(spec, pins, must_exist=must_exist)
        schedule = shared_calendars.load(spec, job_id=job_id, shared=shared)
    _keep(key, spec, pins, schedule)
    return schedule


_OWN = ("jitter", "spread", "calendars")
"""A schedule with one of these depends on its job's id or pins."""


def _of_all_jobs(spec: Mapping[str, Any]) -> Schedule | None:
    """The schedule of this spec for whatever job, if there is one: a thousand jobs at ``0 * * * *`` share it."""
    try:
        key = frozenset(spec.items())
        if spec.get("kind") not in schedules.KINDS or any(spec.get(name) for name in _OWN):
            return None
    except (AttributeError, TypeError):  # it has parts of its own, or is rubbish
        return None
    found = _cache.get(key)
    if found is not None:
        return found[1]
    schedule = schedules.load(spec)
    _keep(key, spec, None, schedule)
    return schedule


def _keep(key: Hashable, spec: Mapping[str, Any], pins: Pins | None, schedule: Schedule) -> None:
    with _lock:
        if len(_cache) >= _SIZE:
            _cache.clear()
        _cache[key] = ((spec, pins), schedule)
