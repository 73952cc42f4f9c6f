"""A chain of entries by hash: what each entry says, and the hash before it, make the entry's own hash.

So nothing in the middle can be changed, removed or put in without every later hash being wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

GENESIS = "0" * 64
"""What stands for the hash before the first entry."""


def canonical(content: Mapping[str, Any]) -> bytes:
    """JSON values in the one spelling that is hashed. Raises ValueError for what JSON cannot say (NaN)."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def link(previous: str, content: Mapping[str, Any]) -> str:
    """The hash (SHA-256, hex) of an entry that follows the one with the hash ``previous``."""
    return hashlib.sha256(previous.encode() + b"\n" + canonical(content)).hexdigest()


def seal(key: str, count: int, head: str) -> str:
    """Says that the chain had ``count`` entries and ended with the hash ``head``; only who has ``key`` can say so."""
    return hmac.new(key.encode(), f"carillon audit\n{count}\n{head}".encode(), hashlib.sha256).hexdigest()


def is_seal(text: str, key: str, count: int, head: str) -> bool:
    return hmac.compare_digest(text.encode(), seal(key, count, head).encode())
