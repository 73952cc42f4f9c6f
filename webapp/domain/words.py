"""A schedule in plain English, made from what it does and not from how it was typed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from webapp.domain.moments import WEEKDAY_NAMES, spoken_date
from webapp.domain.phrases import join, plural

if TYPE_CHECKING:
    from webapp.domain.calendars import Calendar
    from webapp.domain.combined import CombinedTrigger
    from webapp.domain.date import DateTrigger
    from webapp.domain.interval import IntervalTrigger
    from webapp.domain.recurrence import Schedule


def describe(schedule: Schedule) -> str:
    """What the schedule does, in one sentence without a full stop."""
    return schedule.words()


def sentence(body: str, schedule: Schedule) -> str:
    """A description with what all kinds share: bounds, delays and zone."""
    parts = [body[:1].upper() + body[1:]]
    if schedule.start_date is not None and schedule.kind != "interval":
        parts.append(f"from {moment(schedule.start_date)}")
    if schedule.end_date is not None:
        parts.append(f"until {moment(schedule.end_date)}")
    if schedule.jitter:
        parts.append(f"each time up to {plural(schedule.jitter, 'second')} later at random")
    if schedule.spread:
        parts.append(f"always later by the same share of {plural(schedule.spread, 'second')}")
    return f"{', '.join(parts)} ({schedule.timezone})"


def interval(trigger: IntervalTrigger) -> str:
    assert trigger.start_date is not None
    length = join([plural(n, unit[:-1]) for unit, n in trigger.units.items() if n])
    one = length.removeprefix("1 ")
    return sentence(f"every {one if ' ' not in one else length}, counted from {moment(trigger.start_date)}", trigger)


def date(trigger: DateTrigger) -> str:
    return sentence(f"once, on {moment(trigger.run_date)}", trigger)


def combined(trigger: CombinedTrigger) -> str:
    texts = [_part(part, trigger) for part in trigger.parts]
    if len(texts) == 1:
        body = texts[0]
    elif trigger.mode == "all":
        body = "when all of these agree: " + "; ".join(texts)
    else:
        body = "; or ".join(texts)
    if trigger.excepts:
        body += "; except: " + "; ".join(_part(part, trigger) for part in trigger.excepts)
    if trigger.calendars:
        body += "; not within " + join([calendar(one) for one in trigger.calendars])
    return sentence(body, trigger)


def _part(part: Schedule, whole: Schedule) -> str:
    """A part's own words, its zone only where it differs."""
    text = part.words()
    return (text[:1].lower() + text[1:]).removesuffix(f" ({whole.timezone})")


def calendar(value: Calendar) -> str:
    """A calendar's name and what it holds, in numbers."""
    holds = [
        plural(len(value.days), "day") if value.days else "",
        plural(len(value.yearly), "yearly day") if value.yearly else "",
        join([WEEKDAY_NAMES[n] + "s" for n in sorted(value.weekdays)]),
        plural(len(value.hours), "daily window") if value.hours else "",
        plural(len(value.windows), "window") if value.windows else "",
    ]
    return f"“{value.name}” ({join([text for text in holds if text]) or 'nothing'})"


def moment(value: datetime) -> str:
    """``1 March 2026 09:00``; with the offset where the clock shows this time twice."""
    text = f"{spoken_date(value)} {value.strftime('%H:%M:%S' if value.second else '%H:%M')}"
    if value.replace(fold=0).utcoffset() != value.replace(fold=1).utcoffset():
        text += f" ({'second' if value.fold else 'first'} of two)"
    return text
