"""How APScheduler and Flask-APScheduler write a schedule, made into the specs that this room reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Any

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from webapp.domain import combined, cron, interval
from webapp.domain import date as once
from webapp.domain.errors import Invalid
from webapp.domain.recurrence import Schedule
from webapp.domain.zones import zone_name

SETTINGS = frozenset({*interval.SETTINGS, *cron.SETTINGS, *once.SETTINGS, *combined.SETTINGS})
_KIND_NAMES = ("type", "kind", "trigger")


def split(job: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schedule's spec, and the rest, of a job written as a dict.

    ``trigger`` is a kind with its settings beside it (``"interval", "seconds": 10``), a dict of them all with the kind
    as ``type``, or a trigger object. The spec is JSON, and not judged yet. Raises Invalid at ``trigger``.
    """
    trigger = job.get("trigger")
    beside = {name: value for name, value in job.items() if name in SETTINGS}
    rest = {name: value for name, value in job.items() if name not in SETTINGS and name != "trigger"}
    if isinstance(trigger, BaseTrigger):
        spec = spec_of(trigger)
    elif isinstance(trigger, str) and trigger:
        spec = {"kind": trigger, **beside}
        beside = {}
    elif isinstance(trigger, Mapping):
        spec = _nested(trigger)
    else:
        raise Invalid({"trigger": "Say when: interval, cron or date, with its settings."})
    if beside:
        names = ", ".join(sorted(beside))
        raise Invalid({"trigger": f"{names}: given beside a trigger that has settings of its own."})
    return {name: _plain(value) for name, value in spec.items()}, rest


def _nested(trigger: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [trigger[name] for name in _KIND_NAMES if name in trigger]
    if len(kinds) != 1:
        raise Invalid({"trigger": "Say once, as type, which kind of schedule it is: interval, cron or date."})
    return {"kind": kinds[0], **{name: value for name, value in trigger.items() if name not in _KIND_NAMES}}


def spec_of(trigger: Any) -> dict[str, Any]:
    """Any of APScheduler's three triggers, or one of ours, as a spec. Raises Invalid for others."""
    if isinstance(trigger, Schedule):
        return dict(trigger.spec())
    if isinstance(trigger, DateTrigger):
        return {"kind": "date", "run_date": trigger.run_date.isoformat(), "timezone": _zone(trigger.run_date.tzinfo)}
    if isinstance(trigger, IntervalTrigger):
        spec: dict[str, Any] = {"kind": "interval", "seconds": int(trigger.interval_length)}
    elif isinstance(trigger, CronTrigger):
        spec = {"kind": "cron", **{field.name: str(field) for field in trigger.fields if not field.is_default}}
    else:
        raise Invalid({"trigger": f"{type(trigger).__name__} cannot be stored: use date, interval or cron."})
    spec["timezone"] = _zone(trigger.timezone)
    bounds = {name: getattr(trigger, name) for name in ("start_date", "end_date")}
    spec |= {name: moment.isoformat() for name, moment in bounds.items() if moment}
    return spec | ({"jitter": trigger.jitter} if trigger.jitter else {})


def _zone(zone: Any) -> str:
    return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)


def _plain(value: Any) -> Any:
    """What code writes as an object, as JSON."""
    if isinstance(value, datetime | date):
        zone = getattr(value, "tzinfo", None)
        if hasattr(zone, "localize") and str(zone) != "UTC":
            raise Invalid(
                {"trigger": "A time carries a pytz zone, whose offset is often wrong. Use zoneinfo.ZoneInfo."}
            )
        return value.isoformat()
    if isinstance(value, tzinfo):
        return zone_name(value)
    return list(value) if isinstance(value, tuple) else value
