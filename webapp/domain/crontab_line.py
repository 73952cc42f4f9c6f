"""Crontab strings as Vixie cron reads them: five fields (or six, seconds first), or a name such as ``@daily``."""

from __future__ import annotations

import re
from dataclasses import replace

from webapp.domain.civil import ALL_DAYS, LAST, Days, DaySet
from webapp.domain.daytimes import DayTimes
from webapp.domain.grammar import MONTHS, CronParts, Refused, Unit, items, ordered, values

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

SECOND = Unit("Second", 0, 59)
MINUTE = Unit("Minute", 0, 59)
HOUR = Unit("Hour", 0, 23)
DAY = Unit("Day of month", 1, 31)
MONTH = Unit("Month", 1, 12, MONTHS, 1, wraps=12)
WEEKDAY = Unit("Day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"), 0, open_steps=False, wraps=7)

_NTH = re.compile(r"([0-7]|[a-z]{3})#([0-9]+)")
_LAST = re.compile(r"([0-7]|[a-z]{3})l")


def normal(expression: str) -> str:
    """The stored form: one space between fields, none around; nicknames in lower case."""
    text = " ".join(re.split(r"[ \t]+", expression.strip(" \t")))
    return text.lower() if text.startswith("@") else text


def split(expression: str) -> list[str]:
    """The six fields of an expression, seconds first. Raises Refused."""
    if len(expression) > 1000:
        raise Refused("This is longer than a crontab expression can be.")
    text = expression.strip(" \t")
    if "\n" in text or "\r" in text:
        raise Refused("Give one line only.")
    if text.startswith("@"):
        return ["0", *_nickname(text).split()]
    found = re.split(r"[ \t]+", text) if text else []
    if found and "=" in found[0]:
        raise Refused(f"“{found[0][:40]}” is a setting, not a time. The time zone has a field of its own.")
    if len(found) == 5:
        return ["0", *found]
    if len(found) == 6 and not _could_be_weekday(found[5]):
        raise Refused(
            f"The sixth field, “{found[5][:40]}”, is no weekday. Six fields are read with seconds first; "
            "give five fields, without a year, user or command."
        )
    if len(found) == 6:
        return found
    raise Refused(
        "A crontab expression has 5 fields (minute, hour, day of month, month, day of week), "
        f"or 6 with seconds first; this has {len(found)}."
    )


def field_texts(expression: str) -> dict[str, str]:
    """Each field's text by its APScheduler name, in crontab's own notation. Raises Refused."""
    return dict(zip(("second", "minute", "hour", "day", "month", "day_of_week"), split(expression), strict=True))


def _could_be_weekday(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-zA-Z*][0-9a-zA-Z*,/#\-]*", text)) and not re.search(r"[0-9]{3}|[a-zA-Z]{5}", text)


def _nickname(text: str) -> str:
    name = text.lower()
    if name in NICKNAMES:
        return NICKNAMES[name]
    if name == "@reboot":
        raise Refused("@reboot is not a time. Carillon has no schedule for its own start.")
    if name.startswith("@every"):
        raise Refused("@every is not cron. Use an interval schedule.")
    raise Refused(f"“{text[:40]}” is not known. Use {', '.join(NICKNAMES)}.")


def parts(expression: str) -> CronParts:
    """What an expression means. Raises Refused with the field and the reason."""
    second, minute, hour, day, month, weekday = split(expression)
    days = Days(
        days=_read_days(day),
        weekdays=_read_weekdays(weekday),
        months=frozenset(_read(month, MONTH)),
        either=not day.startswith("*") and not weekday.startswith("*"),
    )
    times = DayTimes(ordered(_read(hour, HOUR)), ordered(_read(minute, MINUTE)), ordered(_read(second, SECOND)))
    return CronParts(days, times, follows_clock=hour.startswith("*"))


def _read(text: str, unit: Unit) -> set[int]:
    return {number for item in items(text, unit) for number in values(item, unit)}


def _read_days(text: str) -> DaySet:
    if text == "*":
        return ALL_DAYS
    found = DaySet()
    for item in items(text, DAY):
        if item == "l":
            found = replace(found, last_day=True)
        elif item.endswith(("w", "l")) or item.startswith("l"):
            raise Refused(f"Day of month: “{item[:40]}” is not supported. L alone is the last day of the month.")
        else:
            found = replace(found, numbers=found.numbers | set(values(item, DAY)))
    return found


def _read_weekdays(text: str) -> DaySet:
    numbers: set[int] = set()
    positions: set[tuple[int, int]] = set()
    for item in items(text, WEEKDAY):
        nth, last = _NTH.fullmatch(item), _LAST.fullmatch(item)
        if nth is not None:
            which = int(nth[2])
            if not 1 <= which <= 5:
                raise Refused(f"Day of week: “{item}”: a month has a 1st to 5th of each weekday.")
            positions.add((which, _monday_first(values(nth[1], WEEKDAY)[0])))
        elif last is not None:
            positions.add((LAST, _monday_first(values(last[1], WEEKDAY)[0])))
        elif item == "l" or "#" in item:
            raise Refused(f"Day of week: “{item[:40]}” is not understood. Write 5L or fri#2.")
        else:
            numbers.update(_monday_first(n) for n in values(item, WEEKDAY))
    return DaySet(frozenset(numbers), frozenset(positions))


def _monday_first(cron_weekday: int) -> int:
    """0 and 7 are Sunday to cron; here 0 is Monday."""
    return (cron_weekday - 1) % 7
