"""The form of a shared calendar, and the form that fills one from an iCalendar file.

Days and windows are lines of text, each with what it is called behind it. The form judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf.file import FileField
from wtforms import HiddenField, RadioField, SelectMultipleField, StringField, TextAreaField

from webapp.domain.grammar import WEEKDAYS
from webapp.domain.moments import WEEKDAY_NAMES
from webapp.web.forms.base import Form, options

QUIET = {"autocomplete": "off", "spellcheck": "false"}
LINES = {**QUIET, "class": "mono"}
ROWS_MAX = 16
_HOURS = re.compile(r"(\S+?)\s*(?:-|–|to)\s*(\S+)\s*(.*)", re.ASCII)


class CalendarForm(Form):
    """Field names are those of a calendar's raw form, so that messages find their field."""

    revision = HiddenField()
    name = StringField("Name", description="Schedules name it by this.", render_kw={"autocomplete": "off"})
    days = TextAreaField(
        "Days",
        description="One a line: 2026-12-25, or first/last: 2026-12-24/2026-12-31; then what it is called.",
        render_kw={**LINES, "rows": "5", "placeholder": "2026-06-04 Corpus Christi"},
    )
    yearly = TextAreaField(
        "Each year",
        description="One a line: month and day, then what it is called.",
        render_kw={**LINES, "rows": "3", "placeholder": "12-25 Christmas Day"},
    )
    weekdays = SelectMultipleField(
        "Each week",
        choices=options(*zip(WEEKDAYS, WEEKDAY_NAMES, strict=True)),
        validate_choice=False,
    )
    hours = TextAreaField(
        "Hours of the day",
        description="One a line: 22:00-06:00, and the weekdays on which it begins if not all: 22:00-06:00 fri sat.",
        render_kw={**LINES, "rows": "2", "placeholder": "22:00-06:00"},
    )
    windows = TextAreaField(
        "Windows",
        description="One a line, from/to: 2026-07-01T10:00/2026-07-01T12:00; then what it is called.",
        render_kw={**LINES, "rows": "3", "placeholder": "2026-07-01T22:00/2026-07-02T04:00 Data centre move"},
    )
    timezone = StringField(
        "Time zone",
        description="Empty: days and hours are those of each schedule's own zone.",
        render_kw={**QUIET, "list": "zones"},
    )

    def show(self, raw: Mapping[str, Any], place: str) -> None:
        """Fill the fields from a raw calendar; ``place`` is the zone in which windows are written if it has none."""
        labels = raw.get("labels", {})
        zone = ZoneInfo(raw.get("timezone") or place)
        texts = {
            "name": raw.get("name", ""),
            "days": "\n".join(_day_lines(raw.get("days", []), labels)),
            "yearly": "\n".join(_labelled(entry, labels.get(entry)) for entry in raw.get("yearly", [])),
            "weekdays": list(raw.get("weekdays", [])),
            "hours": "\n".join(_hours_line(each) for each in raw.get("hours", [])),
            "windows": "\n".join(_window_line(each, labels, zone) for each in raw.get("windows", [])),
            "timezone": raw.get("timezone") or "",
        }
        for name, value in texts.items():
            self[name].process(None, value)

    def fit(self) -> None:
        """Give each list as many rows as it has lines, and one to write on."""
        for field in (self.days, self.yearly, self.hours, self.windows):
            rows = min(max(len(_lines(field.data)) + 1, int(field.render_kw["rows"])), ROWS_MAX)
            field.render_kw = {**field.render_kw, "rows": str(rows)}

    def raw(self) -> dict[str, Any]:
        """What was typed as a raw calendar."""
        days, day_labels = _read_labelled(self.days.data)
        yearly, yearly_labels = _read_labelled(self.yearly.data)
        windows, window_labels = _read_labelled(self.windows.data)
        spans = [_span(entry) for entry in windows]
        labels = {day: text for entry, text in day_labels.items() for day in _days_in(entry)}
        labels |= yearly_labels | {_span(entry)["start"]: text for entry, text in window_labels.items()}
        return {
            "name": self.name.data or "",
            "days": days,
            "yearly": yearly,
            "weekdays": self.weekdays.data or [],
            "hours": [_read_hours(line) for line in _lines(self.hours.data)],
            "windows": spans,
            "timezone": (self.timezone.data or "").strip() or None,
            "labels": labels,
        }


class ImportForm(Form):
    """A file, and what becomes of what the calendar holds already."""

    name = StringField("Name", description="Empty: as the file calls itself.", render_kw={"autocomplete": "off"})
    ics = FileField(
        "iCalendar file",
        description="Ends in .ics; calendar programs and sites with public holidays give it.",
        render_kw={"accept": ".ics,text/calendar"},
    )
    mode = RadioField(
        "What it holds already",
        choices=options(("replace", "is replaced"), ("add", "stays, and this is added")),
        default="replace",
        validate_choice=False,
    )
    timezone = StringField(
        "Time zone",
        description="Of days and hours. Empty: those of each schedule's own zone.",
        render_kw={**QUIET, "list": "zones"},
    )

    @property
    def data_sent(self) -> bytes:
        """The file's bytes; empty when none was chosen."""
        return self.ics.data.read() if self.ics.data else b""


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _labelled(entry: str, label: str | None) -> str:
    return f"{entry} {label}" if label else entry


def _read_labelled(text: str | None) -> tuple[list[str], dict[str, str]]:
    """The entries of some lines, and what they are called."""
    pairs = [line.split(None, 1) for line in _lines(text)]
    return [pair[0] for pair in pairs], {pair[0]: pair[1] for pair in pairs if len(pair) > 1}


def _day_lines(days: Sequence[str], labels: Mapping[str, str]) -> Iterator[str]:
    """Days in a row that are called the same as one line."""
    dates = [date.fromisoformat(day) for day in days]
    keyed = enumerate((day, labels.get(day.isoformat(), "")) for day in dates)
    for (_, label), group in groupby(keyed, key=lambda item: (item[1][0].toordinal() - item[0], item[1][1])):
        run = [day for _, (day, _) in group]
        entry = run[0].isoformat() if len(run) == 1 else f"{run[0].isoformat()}/{run[-1].isoformat()}"
        yield _labelled(entry, label)


def _days_in(entry: str) -> list[str]:
    """The days of an entry, for their labels; only the entry itself while it is not a sensible range."""
    first, _, last = entry.partition("/")
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        return [entry]
    return [(begin + timedelta(days=n)).isoformat() for n in range(min((end - begin).days + 1, 5000))]


def _hours_line(each: Mapping[str, Any]) -> str:
    return " ".join([f"{each['from']}-{each['to']}", *each.get("weekdays", [])])


def _read_hours(line: str) -> dict[str, Any]:
    match = _HOURS.fullmatch(line)
    if match is None:
        return {"from": line, "to": ""}
    weekdays = [
        word.lower()[:3] if word.lower() in _LONG_NAMES else word.lower()
        for word in re.split(r"[\s,]+", match[3])
        if word
    ]
    return {"from": match[1], "to": match[2], **({"weekdays": weekdays} if weekdays else {})}


_LONG_NAMES = frozenset(name.lower() for name in WEEKDAY_NAMES)


def _window_line(each: Mapping[str, str], labels: Mapping[str, str], zone: ZoneInfo) -> str:
    start, end = (_local(datetime.fromisoformat(each[name]), zone) for name in ("start", "end"))
    return _labelled(f"{start}/{end}", labels.get(each["start"]))


def _local(moment: datetime, zone: ZoneInfo) -> str:
    """Local time; with its offset where the clock shows it twice, so that it is read as it is meant."""
    local = moment.astimezone(UTC).astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    shown = local if twice else local.replace(tzinfo=None)
    return shown.isoformat(timespec="seconds" if shown.second else "minutes")


def _span(entry: str) -> dict[str, str]:
    start, _, end = entry.partition("/")
    return {"start": start, "end": end}
