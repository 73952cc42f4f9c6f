"""What says more about a parameter than its type does: marks for type hints, and telling names."""

from __future__ import annotations

import re
from typing import Annotated


class Secret:
    """In ``Annotated[..., Secret()]``: the value is never shown, not in forms, pages or the API."""


class Multiline:
    """In ``Annotated[str, Multiline()]``: text that wants several lines to type in."""


SecretRef = Annotated[str, Secret()]
"""A text that is kept from view. The task receives the plain text."""

LongText = Annotated[str, Multiline()]
"""A text with a large field: a statement, a command, a body."""

_SECRET_NAME = re.compile(
    r"(.*_)?(password|passwd|passphrase|secret|token|api_?key|access_key|private_key)", re.IGNORECASE
)


def sounds_secret(name: str) -> bool:
    """Whether a parameter's name alone says that its text is not for everybody's eyes."""
    return _SECRET_NAME.fullmatch(name) is not None
