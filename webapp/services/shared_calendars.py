"""Shared calendars inside schedules: a job's schedule names them, and the job keeps a *pin* for each, which says with
what content its due times are computed. Contents are kept for ever, so the due times of any past period can be
computed again; a pin holds the content's digest, so nothing that was built from one content passes for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

from webapp.domain import calendars, schedules
from webapp.domain.calendars import Calendar
from webapp.domain.errors import Invalid
from webapp.domain.schedules import Schedule
from webapp.extensions import db
from webapp.store import calendars as store

Pins = Mapping[str, str]
"""Name of a calendar -> the digest of its content."""

_SIZE = 500
_built: dict[str, Calendar] = {}
_lock = Lock()


@dataclass(frozen=True)
class Shared:
    """The shared calendars that a schedule names and that there are: values for the schedule, pins for its job."""

    values: Mapping[str, Calendar] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)


def names_in(spec: object) -> list[str]:
    """The shared calendars that a spec, however wrong, names."""
    entries = spec.get("calendars") if isinstance(spec, Mapping) else None
    return list(dict.fromkeys(each for each in entries if isinstance(each, str))) if isinstance(entries, list) else []


def present(spec: object, *, hold: bool = False) -> Shared:
    """The calendars that a spec names, as they are now; with ``hold`` none changes before the transaction ends."""
    names = names_in(spec)
    if not names:
        return Shared()
    found = store.named(db.session(), names, hold=hold)
    return Shared(
        {row.name: value(row.digest, row.content) for row in found},
        {row.name: row.digest for row in found},
    )


def pinned(spec: object, pins: Pins | None, *, must_exist: bool) -> Shared:
    """The calendars that a stored spec names, with the contents that its pins say. One that is gone is left out, also,
    with ``must_exist``, one whose content is still there but whose calendar is not.
    """
    wanted = {name: pins[name] for name in names_in(spec) if name in pins} if pins else {}
    if not wanted:
        return Shared()
    if must_exist:
        existing = store.existing(db.session(), wanted)
        wanted = {name: digest for name, digest in wanted.items() if name in existing}
    known = {digest: built for digest in wanted.values() if (built := _built.get(digest)) is not None}
    missing = set(wanted.values()) - set(known)
    if missing:
        read = store.contents(db.session(), missing)
        known |= {digest: value(digest, content) for digest, content in read.items()}
    values = {name: known[digest] for name, digest in wanted.items() if digest in known}
    return Shared(values, {name: wanted[name] for name in values})


def parse(
    spec: Mapping[str, Any],
    *,
    now: datetime,
    job_id: str = "",
    default_timezone: str = "UTC",
    shared: Shared | None = None,
) -> Schedule:
    """The schedule that was typed or sent, with its shared calendars as they are now. Raises Invalid."""
    whole = _resolved(spec, present(spec) if shared is None else shared)
    return schedules.parse(whole, now=now, job_id=job_id, default_timezone=default_timezone)


def load(spec: Mapping[str, Any], *, job_id: str = "", shared: Shared | None = None) -> Schedule:
    """The schedule of a spec that was accepted before, likewise. Raises Invalid."""
    return schedules.load(_resolved(spec, present(spec) if shared is None else shared), job_id=job_id)


def load_with(spec: Mapping[str, Any], changed: Mapping[str, Calendar], *, job_id: str = "") -> Schedule:
    """The same if these calendars held something else. Raises Invalid."""
    shared = present(spec)
    return load(spec, job_id=job_id, shared=Shared({**shared.values, **changed}))


def _resolved(spec: Mapping[str, Any], shared: Shared) -> Mapping[str, Any]:
    if not names_in(spec):
        return spec
    problems = {
        f"calendars.{place}": f"There is no calendar “{name}”."
        for place, name in enumerate(spec["calendars"])
        if isinstance(name, str) and name not in shared.values
    }
    if problems:
        raise Invalid(problems)
    held = [shared.values[each] if isinstance(each, str) else each for each in spec["calendars"]]
    return {**spec, "calendars": held}


def value(digest: str, content: Mapping[str, Any]) -> Calendar:
    """The calendar of a content, built once for all the schedules that hold it. Raises Invalid for stored rubbish."""
    found = _built.get(digest)
    if found is None:
        found = replace(calendars.read(content), shared=True)
        with _lock:
            if len(_built) >= _SIZE:
                _built.clear()
            _built[digest] = found
    return found
