"""Files to take away: CSV that no spreadsheet runs, and lines of JSON; streamed, so that length costs no memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flask import Response, stream_with_context

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_CHUNK = 200


def cell(value: Any) -> str:
    """A value as the text of a CSV cell; what a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


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
        lines.append([cell(row.get(column)) for column in columns])
        if len(lines) >= _CHUNK:
            yield _written(lines)
            lines = []
    yield _written(lines)


def _written(lines: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(lines)
    return buffer.getvalue()


def _file(name: str, mimetype: str, chunks: Iterable[str]) -> Response:
    response = Response(stream_with_context(iter(chunks)), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
