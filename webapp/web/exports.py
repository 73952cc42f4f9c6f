"""Files to take away: CSV that no spreadsheet runs, and lines of JSON; streamed, so that length costs no memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flask import Response, stream_with_context

from webapp.services import csv_text

_CHUNK = 200


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """``rows`` as a CSV file (RFC 4180, UTF-8) with a line of headings."""
    lines = [list(columns)]
    return _file(name, "text/csv", _csv(lines, columns, rows))


def json_lines(name: str, rows: Iterable[Mapping[str, Any]]) -> Response:
    """``rows`` as a file of one JSON object a line."""
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    return _file(name, "application/x-ndjson", lines)


def _csv(lines: list[list[str]], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        lines.append([csv_text.cell(row.get(column)) for column in columns])
        if len(lines) >= _CHUNK:
            yield csv_text.lines(lines)
            lines = []
    yield csv_text.lines(lines)


def _file(name: str, mimetype: str, chunks: Iterable[str]) -> Response:
    response = Response(stream_with_context(iter(chunks)), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
