"""A cron schedule in plain English. Two schedules that differ in what they do never read the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webapp.domain import phrases, words
from webapp.domain.civil import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, LAST, Days, DaySet
from webapp.domain.daytimes import DayTimes
from webapp.domain.moments import MONTH_NAMES, WEEKDAY_NAMES
from webapp.domain.phrases import join, ordinal, plural, progression

if TYPE_CHECKING:
    from webapp.domain.cron import CronTrigger

_MOST_STAMPS = 6
_TWO_DIGITS = [f"{n:02}" for n in range(60)]
_PLAIN = [str(n) for n in range(61)]
_ORDINALS = [ordinal(n) for n in range(54)]
_MONTHS = ["", *MONTH_NAMES]


def describe(trigger: CronTrigger) -> str:
    parts = trigger.parts
    body = times(parts.times, parts.follows_clock) + days(parts.days, every_day=not parts.follows_clock)
    if trigger.gap == "end" and not parts.follows_clock:
        body += ", times that a clock change skips at the end of the gap"
    return words.sentence(body, trigger)


def times(value: DayTimes, follows_clock: bool) -> str:
    """``at 02:30 and 14:30``, ``every 15 minutes``, ``every hour from 09:00 to 17:00`` and the like."""
    if len(value.seconds) == 1 and len(value.minutes) == 1:
        return _hourly(value, follows_clock)
    if len(value.seconds) == 1 and not follows_clock and value.total <= _MOST_STAMPS:
        return _stamps(value)
    minutes = _minutes(value.minutes)
    if len(value.seconds) > 1:
        every_minute = len(value.minutes) == 60
        inner = _seconds(value.seconds)
        minutes = inner if every_minute else f"{inner} of {minutes.removeprefix('at ')}"
    said = minutes + _hours(value.hours, follows_clock, minutes)
    if len(value.seconds) == 1 and value.seconds[0]:
        said += f", {plural(value.seconds[0], 'second')} past the minute"
    return said


def _hourly(value: DayTimes, follows_clock: bool) -> str:
    """One time in each of some hours."""
    minute, second = value.minutes[0], value.seconds[0]
    if not follows_clock:
        if value.total <= 2:
            return _stamps(value)
        step = progression(value.hours)
        if step is None or (step > 1 and value.total <= _MOST_STAMPS):
            return _stamps(value)
        every = "hour" if step == 1 else f"{step} hours"
        return f"every {every} from {_stamp(value, value.hours[0])} to {_stamp(value, value.hours[-1])}"
    mark = f" at minute {minute}" if minute else ""
    mark += f"{' and' if mark else ' at'} second {second}" if second else ""
    if len(value.hours) == 24:
        return f"every hour{mark}"
    step = 24 // len(value.hours)
    if len(value.hours) > 1 and value.hours == tuple(range(0, 24, step)):
        return f"every {step} hours from {_stamp(value, 0)} as the clock shows it"
    return f"{mark.strip() or 'on the hour'}{_hours(value.hours, follows_clock)}"


def _stamps(value: DayTimes) -> str:
    return "at " + join([phrases.clock_text(value.nth(n)) for n in range(value.total)])


def _stamp(value: DayTimes, hour: int) -> str:
    return phrases.clock_text(hour * 3600 + value.minutes[0] * 60 + value.seconds[0])


def _every(numbers: tuple[int, ...], unit: str) -> str | None:
    """``every 15 minutes`` when these values of 0-59 are a regular step, else None."""
    if len(numbers) == 60:
        return f"every {unit}"
    if len(numbers) > 1 and numbers == tuple(range(0, 60, 60 // len(numbers))):
        return f"every {60 // len(numbers)} {unit}s"
    step = progression(numbers)
    if step is None or step == 1:
        return None
    return f"every {step} {unit}s from {unit} {numbers[0]} to {numbers[-1]}"


def _minutes(numbers: tuple[int, ...]) -> str:
    return _every(numbers, "minute") or f"at {_noun('minute', numbers)} {phrases.ranges(numbers, _PLAIN)}"


def _seconds(numbers: tuple[int, ...]) -> str:
    return _every(numbers, "second") or f"at {_noun('second', numbers)} {phrases.ranges(numbers, _PLAIN)}"


def _noun(unit: str, numbers: tuple[int, ...]) -> str:
    return unit if len(numbers) == 1 else f"{unit}s"


def _hours(numbers: tuple[int, ...], follows_clock: bool, minutes: str = "") -> str:
    said = f"the {_noun('hour', numbers)} {phrases.ranges(numbers, _TWO_DIGITS)}"
    if not follows_clock:
        return f" in {said}"
    if len(numbers) == 24:
        return " of every hour" if " minute " in minutes or "at minutes " in minutes else ""
    step = 24 // len(numbers)
    if len(numbers) > 1 and step > 1 and numbers == tuple(range(0, 24, step)):
        return f" of every {ordinal(step)} hour"
    return f" of {said} as the clock shows them"


def days(value: Days, every_day: bool = False) -> str:
    """Such as `` on the 1st of January``; nothing for every day, unless ``every_day`` asks to have that said."""
    dates = "" if value.days == ALL_DAYS else _dates(value.days)
    weekdays = "" if value.weekdays == ALL_WEEKDAYS else _weekdays(value.weekdays)
    months = "" if value.months == ALL_MONTHS else phrases.ranges(sorted(value.months), _MONTHS)
    within = f" in {months}" if months else ""
    of_month = f" of {months}" if months else " of the month"
    if value.either and dates and weekdays:
        said = f" on {dates}{of_month} and also on every {weekdays}{within}"
    elif value.either or not (dates or weekdays):
        said = (" every day" if every_day else "") + within
    elif not weekdays:
        said = f" on {dates}{of_month}"
    elif not dates:
        said = _weekly(value.weekdays, weekdays) + within
    else:
        said = f" on {dates}{of_month} if that is {weekdays}"
    if value.weeks is not None:
        said += f" in ISO {_noun('week', tuple(value.weeks))} {phrases.ranges(sorted(value.weeks), _PLAIN)}"
    if value.years is not None:
        said += f" in {_years(sorted(value.years))}"
    return said


def _dates(chosen: DaySet) -> str:
    numbers = sorted(chosen.numbers)
    step = progression(numbers)
    if step is not None and step > 1 and len(numbers) > 3:
        said = [f"every {ordinal(step)} day from the {ordinal(numbers[0])} to the {ordinal(numbers[-1])}"]
    else:
        said = [f"the {text}" for text in phrases.range_list(numbers, _ORDINALS)]
    said.extend(_positions(chosen))
    if chosen.last_day:
        said.append("the last day")
    return join(said)


def _weekdays(chosen: DaySet) -> str:
    said = phrases.range_list(sorted(chosen.numbers), WEEKDAY_NAMES)
    return join([*said, *(f"{text} of the month" for text in _positions(chosen))])


def _weekly(chosen: DaySet, said: str) -> str:
    if chosen.positions:
        return f" on {said}"
    return f", {said}" if " to " in said else f" every {said}"


def _positions(chosen: DaySet) -> list[str]:
    ordered = sorted(chosen.positions, key=lambda key: (key[0] == LAST, key))
    return [f"the {'last' if n == LAST else ordinal(n)} {WEEKDAY_NAMES[day]}" for n, day in ordered]


def _years(numbers: list[int]) -> str:
    step = progression(numbers)
    if step is not None and step > 1:
        return f"every {ordinal(step)} year from {numbers[0]} to {numbers[-1]}"
    return join([str(a) if a == b else f"{a} to {b}" for a, b in phrases.runs(numbers)])
