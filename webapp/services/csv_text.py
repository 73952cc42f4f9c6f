"""CSV that no spreadsheet runs: what every file of the console and of the API is written with."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠|%]|[\t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def cell(value: Any) -> str:
    """A value as the text of a cell. Text that a spreadsheet would take for a formula gets an apostrophe in front
    (OWASP, CSV injection); plain numbers stay as they are.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value


def lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as lines (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
