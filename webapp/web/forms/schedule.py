"""The part of the job form that says when: interval, cron, date, or several of these; and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from wtforms import Form as PlainForm
from wtforms import RadioField, SelectMultipleField, StringField, TextAreaField

from webapp.domain.errors import Invalid
from webapp.web.forms import combined
from webapp.web.forms.base import options
from webapp.web.presenters import cron

QUIET = {"autocomplete": "off", "spellcheck": "false"}
PART = {**QUIET, "class": "mono"}
AMOUNT = {**QUIET, "inputmode": "numeric", "placeholder": "0"}
LOCAL = {"type": "datetime-local", "step": "1"}

UNITS = ("weeks", "days", "hours", "minutes", "seconds")
CRON = ("year", "month", "week", "day", "day_of_week", "hour", "minute", "second")
BOUNDS = ("start_date", "end_date")
DELAYS = ("jitter", "spread")
OF_KIND = {
    "interval": (*UNITS, *BOUNDS, *DELAYS, "timezone"),
    "cron": ("written", "crontab", *CRON, *BOUNDS, *DELAYS, "timezone", "gap"),
    "date": ("run_date", "fold", "timezone"),
    "combined": ("mode", "parts", "excepts", *DELAYS, "timezone"),
}
LINES = {**PART, "rows": "3", "class": "mono"}


class TriggerForm(PlainForm):  # type: ignore[misc]
    """Names are those of a schedule's spec; ``written`` says which of the two ways of writing cron counts."""

    kind = RadioField(
        "Runs",
        choices=options(
            ("interval", "Every so often"),
            ("cron", "By the calendar"),
            ("date", "Once"),
            ("combined", "Several"),
        ),
        default="interval",
        validate_choice=False,
    )
    weeks = StringField("Weeks", render_kw=AMOUNT)
    days = StringField("Days", render_kw=AMOUNT)
    hours = StringField("Hours", render_kw=AMOUNT)
    minutes = StringField("Minutes", render_kw=AMOUNT)
    seconds = StringField("Seconds", render_kw=AMOUNT)

    written = RadioField(
        "Written as",
        choices=options(("crontab", "a crontab line"), ("fields", "eight fields")),
        default="crontab",
        validate_choice=False,
    )
    crontab = StringField(
        "Crontab line",
        description="Minute, hour, day of month, month, day of week; 0 and 7 are Sunday. Also @daily, L, fri#2.",
        render_kw={**PART, "list": "crontabs", "placeholder": "0 2 * * *"},
    )
    year = StringField("Year", render_kw={**PART, "placeholder": "*"})
    month = StringField("Month", render_kw={**PART, "placeholder": "*", "list": "cron-month"})
    week = StringField("ISO week", render_kw={**PART, "placeholder": "*"})
    day = StringField("Day of month", render_kw={**PART, "placeholder": "*", "list": "cron-day"})
    day_of_week = StringField("Weekday", render_kw={**PART, "placeholder": "*", "list": "cron-weekday"})
    hour = StringField("Hour", render_kw={**PART, "placeholder": "*", "list": "cron-hour"})
    minute = StringField("Minute", render_kw={**PART, "placeholder": "*", "list": "cron-minute"})
    second = StringField("Second", render_kw={**PART, "placeholder": "0"})
    gap = RadioField(
        "When the clocks go forward over a due time",
        choices=options(("skip", "skip it that day"), ("end", "run it when the gap ends")),
        default="skip",
        validate_choice=False,
    )

    run_date = StringField("Date and time", render_kw=LOCAL)
    fold = RadioField(
        "If the clock shows this time twice",
        choices=options(("0", "the first"), ("1", "the second")),
        default="",
        validate_choice=False,
    )

    mode = RadioField(
        "Due when",
        choices=options(("any", "any of these is due"), ("all", "all of them are due at once")),
        default="any",
        validate_choice=False,
    )
    parts = TextAreaField(
        "Schedules",
        description="One a line: a crontab line; “every 90 min”, also with “from 2026-06-01T12:00”; or a moment, "
        "2026-12-24T18:00.",
        render_kw={**LINES, "placeholder": "0 9 * * 1-5\nevery 2 hours"},
    )
    excepts = TextAreaField(
        "Except when these are due",
        description="The same. A crontab line takes its whole minutes away: * 12 * * * is the hour from 12:00.",
        render_kw={**LINES, "rows": "2"},
    )
    calendars = SelectMultipleField("Not on", validate_choice=False)

    timezone = StringField(
        "Time zone",
        description="An IANA name. Every time of this job is read in it.",
        render_kw={**QUIET, "list": "zones"},
    )
    start_date = StringField("Not before", render_kw=LOCAL)
    end_date = StringField("Not after", render_kw=LOCAL)
    jitter = StringField(
        "Random delay, up to",
        description="Seconds. Each due time moves by 0 to this, so that many jobs do not start at once.",
        render_kw={**AMOUNT, "class": "short"},
    )
    spread = StringField(
        "Fixed delay, up to",
        description="Seconds. One delay for this job, always the same, made from its id.",
        render_kw={**AMOUNT, "class": "short"},
    )

    known: Mapping[str, Any] = {}
    """The spec that the form was first filled with: lines and boxes may stand for its parts."""

    def show(self, spec: Mapping[str, Any]) -> None:
        """Fill the fields from a spec."""
        for name, value in texts_of(spec).items():
            self[name].process(None, value)

    def offer(self, names: Sequence[str], known: Mapping[str, Any]) -> None:
        """Offer these shared calendars, and those that the spec ``known`` holds or names."""
        self.known = known
        held = combined.unfolded(known)[1]
        own = [(value, str(each.get("name"))) for value, each in zip(combined.ticked(held), held, strict=True)
               if isinstance(each, Mapping)]  # fmt: skip
        gone = [(name, f"{name} (deleted)") for name in self.calendars.data or () if not _is_offered(name, names, own)]
        self.calendars.choices = options(*((name, name) for name in names), *own, *gone)

    def spec(self, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What was typed as a schedule's spec. Fields left as ``stored`` shows them mean exactly ``stored``."""
        if stored is not None and (self.kind.data not in OF_KIND or self._is_untouched(stored)):
            return dict(stored)
        typed = self._several() if self.kind.data == "combined" else self._single()
        held = combined.unfolded(self.known)[1]
        return combined.folded(typed, combined.calendars_of(self.calendars.data or [], held))

    def told(self, error: Invalid) -> Invalid:
        """The messages about what ``spec`` gave under the names of these fields."""
        numbers = {"any": self._lines("parts"), "all": self._lines("parts"), "except": self._lines("excepts")}
        return combined.told(error, self.spec(), numbers if self.kind.data == "combined" else {})

    def _single(self) -> dict[str, Any]:
        kind = self.kind.data
        spec: dict[str, Any] = {"kind": kind}
        for name in OF_KIND.get(kind, ()):
            text = (self[name].data or "").strip()
            if text and name != "written" and self._counts(name):
                spec[name] = text
        if kind == "date" and "fold" in spec:
            spec["fold"] = int(spec["fold"]) if spec["fold"] in ("0", "1") else spec["fold"]
        if kind == "cron" and not any(name in spec for name in ("crontab", *CRON)):
            spec["crontab"] = ""
        return spec

    def _several(self) -> dict[str, Any]:
        zone = (self.timezone.data or "").strip()
        mode = "all" if self.mode.data == "all" else "any"
        spec: dict[str, Any] = {"kind": "combined", mode: self._parts("parts", zone)[0]}
        excepts = self._parts("excepts", zone)[0]
        if excepts:
            spec["except"] = excepts
        return spec | {name: text for name in (*DELAYS, "timezone") if (text := (self[name].data or "").strip())}

    def _parts(self, name: str, zone: str) -> tuple[list[dict[str, Any]], list[int]]:
        known = self.known if self.known.get("kind") == "combined" else {}
        stored = known.get("except", []) if name == "excepts" else known.get("any") or known.get("all") or []
        return combined.parts_of(self[name].data or "", stored, zone)

    def _lines(self, name: str) -> list[int]:
        return self._parts(name, (self.timezone.data or "").strip())[1]

    def align(self, *, switched: bool) -> None:
        """Fill the way of writing cron that is now chosen from the other one, if it is empty or was just chosen; begin
        several schedules with the single one that stood there.
        """
        if self.kind.data == "combined" and not self.parts.data:
            self._fill({"parts": self._first_line()})
        if self.kind.data != "cron":
            return
        if self.written.data == "fields":
            if switched or not any(self[name].data for name in CRON):
                self._fill(cron.fields_of(self.crontab.data or ""))
        elif switched or not self.crontab.data:
            line = cron.crontab_of({name: self[name].data for name in CRON if self[name].data})
            self._fill({"crontab": line} if line else {})

    def _first_line(self) -> str:
        """The single schedule that was shown before, as a line."""
        texts = {name: self[name].data for name in (*UNITS, "crontab", *CRON, "run_date") if self[name].data}
        kind = "interval" if texts.keys() & set(UNITS) else "date" if "run_date" in texts else "cron"
        return combined.line_of_fields({"kind": kind, **texts})

    def _fill(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self[name].process(None, text)

    def _counts(self, name: str) -> bool:
        """Of the two ways of writing cron, only the chosen one counts."""
        if name == "crontab":
            return bool(self.written.data != "fields")
        return bool(name not in CRON or self.written.data == "fields")

    def _is_untouched(self, stored: Mapping[str, Any]) -> bool:
        shown = texts_of(stored)
        if sorted(self.calendars.data or []) != sorted(shown["calendars"]):
            return False
        names = OF_KIND[self.kind.data] if self.kind.data == shown["kind"] else ("kind",)
        return all(_normal(self[name].data) == shown[name] for name in names if self._counts(name))


def _normal(text: str | None) -> str:
    """A field's text as it was given to the browser, which sends other line ends."""
    return "\n".join((text or "").strip().splitlines())


def _is_offered(name: str, names: Sequence[str], own: Sequence[tuple[str, str]]) -> bool:
    return name in names or name in dict(own)


def texts_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The text of every field for a spec, and the ticked calendars; instants become local times of its zone."""
    shown, calendars = combined.unfolded(spec)
    texts: dict[str, Any] = dict.fromkeys((*UNITS, "crontab", *CRON, "run_date", "fold", *BOUNDS, *DELAYS), "")
    texts.update(kind=str(shown.get("kind", "interval")), timezone=str(shown.get("timezone") or ""))
    texts["gap"] = str(shown.get("gap") or "skip")
    texts["written"] = "fields" if any(shown.get(name) is not None for name in CRON) else "crontab"
    for name in (*UNITS, "crontab", *CRON, *DELAYS):
        value = shown.get(name)
        if value not in (None, "") and not (value == 0 and name in (*UNITS, *DELAYS)):
            texts[name] = str(value)
    for name in (*BOUNDS, "run_date"):
        texts[name] = _local(shown.get(name), texts["timezone"])
    if shown.get("run_date"):
        texts["fold"] = _fold(str(shown["run_date"]), texts["timezone"])
    several = shown if texts["kind"] == "combined" else {}
    texts["mode"] = "all" if several.get("all") else "any"
    texts["parts"] = "\n".join(combined.lines_of(several.get("any") or several.get("all") or [], texts["timezone"]))
    texts["excepts"] = "\n".join(combined.lines_of(several.get("except") or [], texts["timezone"]))
    texts["calendars"] = combined.ticked(calendars)
    return texts


def _local(value: object, zone: str) -> str:
    """An ISO instant as a ``datetime-local`` field of this zone shows it."""
    if not value:
        return ""
    moment = datetime.fromisoformat(str(value))
    local = moment.astimezone(ZoneInfo(zone)) if moment.tzinfo and zone else moment
    return local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")


def _fold(value: str, zone: str) -> str:
    """Which of two equal local times is meant; empty when there is only one."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not zone:
        return ""
    local = moment.astimezone(ZoneInfo(zone))
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return str(local.fold) if first != second else ""
