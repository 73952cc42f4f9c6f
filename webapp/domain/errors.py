"""The few kinds of error that Carillon raises on purpose. Each edge (page, API, command) translates them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CarillonError(Exception):
    """Base of every error that a user may read: its text is a sentence for them, never an internal."""


class Invalid(CarillonError, ValueError):
    """Input that cannot be accepted. Nothing was stored.

    ``fields`` maps a field's name to its messages; the empty name holds what belongs to no single field.
    """

    def __init__(self, fields: Mapping[str, Sequence[str] | str]) -> None:
        self.fields: dict[str, list[str]] = {
            name: [messages] if isinstance(messages, str) else list(messages) for name, messages in fields.items()
        }
        super().__init__("; ".join(self.lines()))

    def lines(self) -> list[str]:
        """One line for each message, led by its field's name."""
        return [f"{name}: {text}" if name else text for name, texts in self.fields.items() for text in texts]


class NotFound(CarillonError, LookupError):
    """No such job, run, task, user or token."""


class Conflict(CarillonError):
    """The request is understood but the present state refuses it: an id is taken, a revision is stale."""


class Forbidden(CarillonError):
    """The role of the one who asks does not allow it."""


class Unavailable(CarillonError):
    """Something that Carillon stands on does not answer: the database, the broker, a full queue."""
