"""Reads what stands behind the ``?`` of an address."""

from __future__ import annotations

import re
from collections.abc import Collection

from flask import request

from webapp.domain.errors import Invalid

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def number(name: str, default: int, *, least: int, most: int) -> int:
    """A whole number within bounds. Raises Invalid at ``name``."""
    text = request.args.get(name, "").strip()
    if not text:
        return default
    if not _WHOLE.fullmatch(text):
        raise Invalid({name: "This must be a whole number."})
    value = int(text)
    if not least <= value <= most:
        raise Invalid({name: f"This must lie between {least} and {most}."})
    return value


def only(known: Collection[str]) -> None:
    """Refuse other parameters: a misspelled filter would otherwise answer with everything."""
    unknown = sorted(set(request.args) - set(known))
    if unknown:
        raise Invalid({unknown[0][:80]: f"There is no such parameter. Known: {', '.join(sorted(known))}."})
