"""Keeps the secrets of one run out of everything that it says: log, results, errors, the server's own log."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

MASK = "••••••"
SHORTEST = 4
"""Characters that a secret must have at least: masking shorter text would blacken what has nothing to do with it."""

_formatter = logging.Formatter()


class Redactor:
    """Masks the values it was told, also as they look in addresses, JSON, ``repr`` and base64. Empty until told."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.longest = 0
        self._pattern: re.Pattern[str] | None = None

    def learn(self, values: Mapping[str, str]) -> None:
        """Mask these values (by name) from now on."""
        self.values.update(values)
        spellings = {spelling for value in self.values.values() for spelling in _spellings(value)}
        if spellings:
            self.longest = max(map(len, spellings))
            ordered = sorted(spellings, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def hide(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def hide_json(self, text: str) -> str:
        """JSON text that is still JSON afterwards, also when a number was masked."""
        hidden = self.hide(text)
        if hidden is not text and hidden != text:
            try:
                json.loads(hidden)
            except ValueError:
                return json.dumps(hidden, ensure_ascii=False)
        return hidden

    def record(self, record: logging.LogRecord) -> logging.LogRecord:
        """The log record as others may see it: the same one, unless it holds a secret."""
        if self._pattern is None:
            return record
        try:
            message = record.getMessage()
        except Exception:
            message = repr(record.msg)
        trace = record.exc_text or (_formatter.formatException(record.exc_info) if record.exc_info else "")
        if self._pattern.search(message) is None and self._pattern.search(trace) is None:
            return record
        safe = logging.makeLogRecord(record.__dict__)
        safe.msg, safe.args = self.hide(message), None
        safe.exc_info, safe.exc_text = None, self.hide(trace) or None
        return safe


def _spellings(value: str) -> set[str]:
    """How a value may appear. Lines by themselves too: a log is written line by line."""
    data = value.encode()
    whole = {
        value, quote(value), quote(value, safe=""), quote_plus(value), repr(value)[1:-1], json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1], base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(), base64.b64encode(data).decode().rstrip("="),
    }  # fmt: skip
    lines = {line.strip() for line in value.splitlines()}
    return {spelling for spelling in whole | lines if len(spelling) >= SHORTEST}
