"""Parts of a run's log for a page: its end, a range, or the lines that hold a text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from webapp.services import runs
from webapp.services.runs import LogLine

PAGE = 400
"""Lines that a page shows at once."""
SEARCH_CHUNK, FOUND_MAX, SEARCH_MAX = 5_000, 300, 500_000


@dataclass(frozen=True)
class Part:
    """Some lines of a log. ``follow`` says that the page should go on asking from ``next_line``."""

    lines: list[LogLine]
    next_line: int
    total: int
    is_complete: bool
    follow: bool = False
    is_search: bool = False
    is_cut: bool = False

    @property
    def earlier(self) -> int | None:
        """Where the page before this one begins."""
        first = self.lines[0].n if self.lines else 0
        return max(0, first - PAGE) if first > 0 and not self.is_search else None

    @property
    def later(self) -> int | None:
        """Where the page after this one begins, when the log has more lines than these and is not followed."""
        return None if self.is_search or self.follow or self.next_line >= self.total else self.next_line


def page(run_id: int, start: int, *, follow: bool) -> Part:
    """``PAGE`` lines from ``start`` (negative: from the end)."""
    found = runs.log(run_id, from_line=start, limit=PAGE)
    return Part(found.lines, found.next_line, found.total, found.complete, follow and not found.complete)


def search(run_id: int, text: str) -> Part:
    """The lines that hold ``text``, whatever its case; ``is_cut`` when there are more than a page can hold."""
    needle, start = text.casefold(), 0
    hits: list[LogLine] = []
    while start < SEARCH_MAX and len(hits) < FOUND_MAX:
        piece = runs.log(run_id, from_line=start, limit=SEARCH_CHUNK)
        if not piece.lines:
            return Part(hits, start, piece.total, True, is_search=True)
        hits += [line for line in piece.lines if needle in line.text.casefold()]
        start = piece.next_line
    return Part(hits[:FOUND_MAX], start, runs.get(run_id).log_lines, True, is_search=True, is_cut=True)


def stamp(at: datetime) -> str:
    """A log line's time in files: UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pretty(result: str | None) -> str:
    """A stored result (JSON text) over several lines; what is no JSON stays as it is."""
    if not result or result == "null":
        return ""
    try:
        return json.dumps(json.loads(result), ensure_ascii=False, indent=2)
    except ValueError:
        return result
