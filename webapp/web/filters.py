"""Template filters: moments in the viewer's zone, numbers, marked text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from webapp.services.job_lists import JobPage
from webapp.web import viewer
from webapp.web.presenters import browsers, jobs, times


def moment(at: datetime, form: str = "clock") -> str:
    """A moment in the viewer's zone; ``form`` names how much of it is written."""
    now, zone = viewer.now(), viewer.zone()
    match form:
        case "relative":
            return times.relative(at, now)
        case "elapsed":
            return times.span(max(0, int((now - at).total_seconds())))
        case "full":
            return times.full(at, zone)
        case "time":
            return f"{at.astimezone(zone):%H:%M:%S}"
        case "millis":
            return times.millis(at.astimezone(zone))
        case "station":
            local, today = at.astimezone(zone), now.astimezone(zone).date()
            date = "" if local.date() == today else f"{times.day(local, year=local.year != today.year)}, "
            return f"{date}{times.millis(local)}"
    return times.clock(at, zone, now)


def exact(at: datetime) -> str:
    return times.exact(at, viewer.zone())


def in_zone(at: datetime, zone: ZoneInfo) -> str:
    """ "Tue 14 Apr 14:32 CEST", with the year when it is not this one."""
    local = at.astimezone(zone)
    year = local.year != viewer.now().astimezone(zone).year
    return f"{times.day(local, year=year)} {times.short(local)} {times.label(at, zone)}"


def time_beside(at: datetime, zone: ZoneInfo, first: ZoneInfo) -> str:
    """The time in a second zone, with the day only where it is another one than in the first."""
    local = at.astimezone(zone)
    day = "" if local.date() == at.astimezone(first).date() else f"{times.day(local)} "
    return f"{day}{times.short(local)}"


def marked(text: str, needle: str) -> Markup:
    """``text`` with every ``needle`` in ``<mark>``, whatever its case."""
    if not needle:
        return escape(text)
    parts = re.split(f"({re.escape(needle)})", text, flags=re.IGNORECASE)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


def number(value: int) -> str:
    """Thousands apart, by a space that does not break."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def shown_range(page: JobPage) -> str:
    """ "1 to 50 of 312 jobs"."""
    if page.total == len(page.rows) and not page.offset:
        return f"{page.total} job{'s' if page.total != 1 else ''}"
    of = f"{'more than ' if page.is_more else ''}{number(page.total)}"
    return f"{number(page.offset + 1)} to {number(page.offset + len(page.rows))} of {of} jobs"


FILTERS: dict[str, Callable[..., Any]] = {
    "as_text": jobs.as_text,
    "browser_name": browsers.browser_name,
    "clock_in": lambda at, zone: f"{at.astimezone(zone):%H:%M:%S}",
    "day_ago": lambda at: times.iso(at - timedelta(days=1)),
    "duration": times.duration,
    "exact": exact,
    "in_zone": in_zone,
    "iso": times.iso,
    "marked": marked,
    "moment": moment,
    "number": number,
    "span": times.span,
    "time_beside": time_beside,
    "zone_label": times.label,
}
