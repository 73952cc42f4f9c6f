"""What lists share: addresses that keep the filter, the live switch, sorting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request, url_for

IDLE_S, BUSY_S = 5, 2
"""How often a live list asks: when nothing runs, and while something does."""


@dataclass(frozen=True)
class Address:
    """A list's address: its endpoint and the parameters of its filter."""

    endpoint: str
    fragment: str
    args: dict[str, Any]
    is_live: bool = True

    def url(self, **changes: Any) -> str:
        """The page with these parameters changed; None removes one."""
        return url_for(self.endpoint, **self._with(changes))

    def fragment_url(self, **changes: Any) -> str:
        return url_for(self.fragment, **self._with(changes))

    def live_url(self) -> str:
        return self.url(live=None, cursor=None)

    def still_url(self) -> str:
        return self.url(live="0")

    def sort_of(self, name: str) -> str | None:
        """How the list is sorted by this column, in ARIA's words."""
        if self.args.get("sort") == name:
            return "ascending"
        return "descending" if self.args.get("sort") == f"-{name}" else None

    def sort_url(self, name: str) -> str:
        return self.url(sort=f"-{name}" if self.args.get("sort") == name else name, cursor=None)

    def _with(self, changes: dict[str, Any]) -> dict[str, Any]:
        args = {**self.args, **({} if self.is_live else {"live": "0"}), **changes}
        return {name: value for name, value in args.items() if value not in (None, "", [])}


def is_live() -> bool:
    """Whether the viewer wants the page to refresh by itself."""
    return request.args.get("live") != "0"


def whole(name: str, default: int = 0, most: int = 10_000_000) -> int:
    """A number from the address; anything else counts as the default."""
    text = request.args.get(name, "")
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 12 else default
