"""The filters of the run history and of the audit: local times as people type them become instants, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from webapp.store.filters import AuditFilter, RunFilter

TIMES = ("since", "until")


def read_run_filter(args: MultiDict[str, str], zone: ZoneInfo) -> RunFilter:
    """The filter of an address. A time without an offset is the viewer's local time. Raises Invalid by parameter."""
    read = MultiDict(args)
    for name in TIMES:
        read[name] = _aware(args.get(name, ""), zone)
    return RunFilter.parse(read)


def read_audit_filter(args: MultiDict[str, str], zone: ZoneInfo) -> AuditFilter:
    """The same for the audit."""
    read = MultiDict(args)
    for name in TIMES:
        read[name] = _aware(args.get(name, ""), zone)
    return AuditFilter.parse(read)


def shown_args(wanted: RunFilter | AuditFilter, zone: ZoneInfo) -> dict[str, Any]:
    """``since`` and ``until`` for ``datetime-local`` fields, in the viewer's zone."""
    return {name: _local(getattr(wanted, name), zone) for name in TIMES}


def _aware(text: str, zone: ZoneInfo) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    return text if moment.tzinfo else moment.replace(tzinfo=zone).isoformat()


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes") if at else ""
