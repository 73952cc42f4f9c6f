"""The same cron schedule as a crontab string and as eight fields, for forms that show both. Exact or not at all."""

from __future__ import annotations

from webapp.domain import crontab_line, fields, phrases
from webapp.domain.civil import ALL_DAYS, ALL_WEEKDAYS, LAST, DaySet
from webapp.domain.cron import CronTrigger
from webapp.domain.fields import POSITIONS
from webapp.domain.grammar import WEEKDAYS, CronParts, Refused

_NAMES_OF_POSITIONS = {n: name for name, n in POSITIONS.items()}


def to_fields(trigger: CronTrigger) -> dict[str, str] | None:
    """The schedule as APScheduler's fields; None when they cannot say it (a day of month *or* a weekday)."""
    if trigger.crontab is None:
        return dict(trigger.texts)
    texts = trigger.field_texts()
    days = trigger.parts.days
    if days.weekdays.positions and days.days != ALL_DAYS:
        return None
    if days.weekdays.positions:
        texts["day"], texts["day_of_week"] = _positions(days.weekdays), "*"
        if days.weekdays.numbers:
            return None
    else:
        texts["day"] = texts["day"].lower().replace("l", "last")
        texts["day_of_week"] = _names(days.weekdays)
    if texts["second"] == "0":
        del texts["second"]
    smallest = next(iter(texts))
    needed = {name: text for name, text in texts.items() if text != "*" or name == smallest}
    return _if_same(needed, trigger.parts)


def to_crontab(trigger: CronTrigger) -> str | None:
    """The schedule as a crontab string, six fields when it names seconds; None when cron cannot say it."""
    if trigger.crontab is not None:
        return trigger.crontab
    texts = trigger.field_texts()
    days = trigger.parts.days
    if days.weeks is not None or days.years is not None:
        return None
    weekday = texts["day_of_week"]
    if days.days.positions:
        if days.days.numbers or days.days.last_day or days.weekdays != ALL_WEEKDAYS:
            return None
        weekday = ",".join(
            f"{(day + 1) % 7}L" if n == LAST else f"{WEEKDAYS[day]}#{n}" for n, day in sorted(days.days.positions)
        )
        texts["day"] = "*"
    day = texts["day"].replace("last", "L")
    line = [texts["minute"], texts["hour"], day, texts["month"], weekday]
    if texts["second"] != "0":
        line.insert(0, texts["second"])
    expression = " ".join(line)
    try:
        parts = crontab_line.parts(expression)
    except Refused:
        return None
    return expression if parts.same_as(trigger.parts) else None


def _if_same(texts: dict[str, str], wanted: CronParts) -> dict[str, str] | None:
    try:
        normal = {name: fields.normal(name, text) for name, text in texts.items()}
    except Refused:
        return None
    return normal if fields.parts(normal).same_as(wanted) else None


def _positions(chosen: DaySet) -> str:
    return ",".join(f"{_NAMES_OF_POSITIONS[n]} {WEEKDAYS[day]}" for n, day in sorted(chosen.positions))


def _names(chosen: DaySet) -> str:
    if chosen == ALL_WEEKDAYS:
        return "*"
    return ",".join(phrases.range_list(sorted(chosen.numbers), WEEKDAYS, "-"))
