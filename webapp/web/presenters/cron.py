"""The two ways of writing cron, a crontab line and eight fields, each from the other where both can say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.domain.conversion import to_crontab, to_fields
from webapp.domain.cron import CronTrigger
from webapp.domain.errors import Invalid


def fields_of(line: str) -> dict[str, str]:
    """The fields that mean what a crontab line means; empty when no fields can, or while the line means nothing."""
    try:
        return to_fields(CronTrigger(crontab=line)) or {}
    except Invalid:
        return {}


def crontab_of(texts: Mapping[str, Any]) -> str:
    """The crontab line that means what these fields mean; empty when none can, or while they mean nothing."""
    try:
        return to_crontab(CronTrigger(**texts)) or ""
    except Invalid:
        return ""
