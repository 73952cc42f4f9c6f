"""A length of time as people give it: a number and a unit. Seconds on the inside."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from wtforms import Field

from webapp.web.forms.base import attributes

UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
NAMES = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


class DurationWidget:
    """The number under the field's own name, the unit under ``<name>.unit``."""

    def __call__(self, field: DurationField, **extra: Any) -> Markup:
        number = {"id": field.id, "inputmode": "decimal", "autocomplete": "off", "class_": "short", **extra}
        options = Markup("").join(
            Markup('<option value="{}"{}>{}</option>').format(
                unit, Markup(" selected") if unit == field.unit else "", NAMES[unit]
            )
            for unit in UNITS
        )
        return Markup('<span class="unit"><input {}><select {}>{}</select></span>').format(
            attributes(name=field.name, value=field.text, **number),
            attributes(name=f"{field.name}.unit", id=f"{field.id}-unit", aria_label=f"{field.label.text}: unit"),
            options,
        )


class DurationField(Field):  # type: ignore[misc]
    """``data`` is seconds: a number, None when empty, or the text itself when it is no number (services refuse it)."""

    widget = DurationWidget()

    def __init__(self, *arguments: Any, unit: str = "min", **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.data: float | str | None
        self.default_unit = self.unit = unit
        self.text = ""

    def process(self, formdata: Any, data: Any = None, **options: Any) -> None:
        super().process(formdata, *([] if data is None else [data]), **options)
        sent = formdata.get(f"{self.name}.unit") if formdata else None
        if sent in UNITS:
            self.unit = sent
            self._read()

    def process_data(self, value: float | None) -> None:
        self.data = value
        self.text, self.unit = "", self.default_unit
        if value is not None:
            self.unit = next(unit for unit in reversed(UNITS) if value % UNITS[unit] == 0 or unit == "s")
            self.text = f"{value / UNITS[self.unit]:.6f}".rstrip("0").rstrip(".")

    def process_formdata(self, values: Sequence[str]) -> None:
        if values:
            self.text = values[0].strip()
            self._read()

    def _read(self) -> None:
        if not self.text:
            self.data = None
        elif not _NUMBER.fullmatch(self.text):
            self.data = self.text
        else:
            seconds = float(self.text) * UNITS[self.unit]
            self.data = int(seconds) if math.isfinite(seconds) and seconds == int(seconds) else seconds
