"""The run history as a file, CSV or JSON: read and given out piece by piece, so that its length costs no memory.

Between two pieces no transaction is open: a reader that is slow, or never comes back, keeps no database waiting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from webapp.extensions import db
from webapp.services.csv_text import cell, lines
from webapp.store import runs as store
from webapp.store.filters import RunFilter

PIECE = 1000
"""Rows that are read at once."""

COLUMNS = (
    "id", "job_id", "job_name", "task", "state", "trigger", "attempt", "due_at", "due_count", "queued_at", "started_at",
    "finished_at", "duration_s", "executor", "worker", "requested_by", "result", "error", "reason",
)  # fmt: skip
_TIMES = ("due_at", "queued_at", "started_at", "finished_at")


def as_csv(wanted: RunFilter) -> Iterator[str]:
    """A line of names, then one for each run, newest first. Text that a spreadsheet would take for a formula is led by
    an apostrophe.
    """
    yield lines([COLUMNS])
    for rows in _pieces(wanted):
        yield lines([cell(row[name]) for name in COLUMNS] for row in rows)


def as_json(wanted: RunFilter) -> Iterator[str]:
    """An array with one object for each run, newest first; ``result`` is JSON text."""
    lead = "[\n"
    for rows in _pieces(wanted):
        yield lead + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        lead = ",\n"
    yield "\n]\n" if lead == ",\n" else "[]\n"


FORMATS: dict[str, tuple[str, Callable[[RunFilter], Iterator[str]]]] = {
    "csv": ("text/csv", as_csv),
    "json": ("application/json", as_json),
}
"""Name -> media type, and what writes it."""


def _pieces(wanted: RunFilter) -> Iterator[list[dict[str, Any]]]:
    """The rows in pieces. Runs that come in meanwhile are left out: they are newer than the first piece."""
    before: int | None = None
    while True:
        found = store.export_rows(db.session(), wanted, before=before, limit=PIECE)
        db.session.rollback()
        if found:
            yield [_row(row) for row in found]
        if len(found) < PIECE:
            return
        before = found[-1].id


def _row(row: Any) -> dict[str, Any]:
    values = dict(row._mapping)
    if row.started_at is not None and row.finished_at is not None:
        values["duration_s"] = (row.finished_at - row.started_at).total_seconds()
    values |= {name: _instant(values[name]) for name in _TIMES}
    return {name: values.get(name) for name in COLUMNS}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
