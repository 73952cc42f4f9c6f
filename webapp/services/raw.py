"""Reads a raw mapping, as pages, scripts and code give it, and gathers a message for each field that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from webapp.domain.errors import Invalid


class RawReader:
    """Reads one raw mapping and gathers a message for each field that is wrong."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.errors: dict[str, list[str]] = {}

    def fail(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)

    def merge(self, prefix: str, error: Invalid) -> None:
        for name, messages in error.fields.items():
            key = f"{prefix}.{name}" if name else prefix
            self.errors.setdefault(key, []).extend(messages)

    def get(self, name: str, default: Any) -> Any:
        value = self.raw.get(name)
        return default if value is None else value

    def text(self, name: str, *, limit: int, default: str = "") -> str:
        value = self.get(name, default)
        if not isinstance(value, str):
            self.fail(name, "This must be text.")
            return default
        value = value.strip()
        if len(value) > limit:
            self.fail(name, f"At most {limit} characters; this has {len(value)}.")
        if "\x00" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            self.fail(name, "This holds a character that cannot be stored.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name, default)
        if not isinstance(value, bool):
            self.fail(name, "This must be true or false.")
            return default
        return value

    def whole(self, name: str, default: int | None, *, least: int, most: int) -> int | None:
        value = self.get(name, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(name, "This must be a whole number.")
            return default
        if not least <= value <= most:
            self.fail(name, f"This must lie between {least} and {most}.")
        return value

    def seconds(self, name: str, *, most: float) -> float | None:
        value = self.get(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            self.fail(name, "This must be a number of seconds.")
            return None
        if not 0 < value <= most:
            self.fail(name, f"This must be more than 0 and at most {most:g} seconds.")
        return float(value)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.get(name, default)
        if value not in allowed:
            self.fail(name, f"{value!r} is none of {', '.join(allowed)}.")
            return default
        return str(value)
