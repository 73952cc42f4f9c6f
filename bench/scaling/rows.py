"""A catalogue and a ledger of any size: several tasks, all states, tags and errors; the runs lie in thirty days."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.schema import CreateIndex, DropIndex

from webapp.store import job_words
from webapp.store.models import Job, JobRevision, JobTag, JobWords, Run

SPAN = timedelta(days=30)
TASKS = ("demo.echo", "http.request", "sql.execute", "files.prune", "demo.sleep", "demo.rows")
KINDS = ("Backup", "Import", "Export", "Report", "Clean-up", "Check", "Invoice run", "Mail", "Index", "Forecast")
PLACES = (
    "Aachen",
    "Bergen",
    "Cork",
    "Dijon",
    "Evora",
    "Faro",
    "Ghent",
    "Heraklion",
    "Ioannina",
    "Jena",
    "Kiel",
    "Lviv",
)
TAGS = tuple(f"team-{number}" for number in range(24))
STATES = (*["succeeded"] * 930, *["failed"] * 30, *["missed"] * 12, *["skipped"] * 10, *["timed_out"] * 6,
          *["cancelled"] * 5, *["lost"] * 4, *["held"] * 3)  # fmt: skip
TRIGGERS = (*["schedule"] * 96, "manual", "manual", "retry", "chain")
ERRORS = ("TimeoutError: no answer within 30 s", "KeyError: 'total'", "ConnectionError: refused", "ValueError: no rows")
ACTIVE = 20
"""So many of the newest runs are queued, and as many are running."""


@dataclass(frozen=True)
class Size:
    """How much is stored."""

    jobs: int
    runs: int


def fill(engine: Engine, size: Size, now: datetime, *, analyzed: bool = True) -> None:
    """Store that many jobs and runs in a migrated, empty database; the indices are made at the end, which is faster."""
    tables: list[Table] = [model.__table__ for model in (Job, JobWords, JobTag, JobRevision, Run)]  # type: ignore[misc]
    with engine.begin() as connection:
        for table in tables:
            for index in table.indexes:
                connection.execute(DropIndex(index))
        _store(connection, Job.__table__, _jobs(size, now))
        _store(connection, JobWords.__table__, _words(size))
        _store(
            connection, JobTag.__table__, ({"job_id": _id(n), "tag": tag} for n in range(size.jobs) for tag in _tags(n))
        )
        _store(connection, JobRevision.__table__, _periods(size, now))
        _store(connection, Run.__table__, _runs(size, now))
        for table in tables:
            for index in table.indexes:
                connection.execute(CreateIndex(index))
            if connection.dialect.name == "postgresql" and "id" in table.c and table is not Job.__table__:
                name = table.name
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"))
    if (
        analyzed and engine.dialect.name == "postgresql"
    ):  # as its autovacuum does by and by; an SQLite file has no statistics
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _id(number: int) -> str:
    return f"job-{number:06d}"


def _name(number: int) -> str:
    return f"{KINDS[number % 10]} {PLACES[number // 10 % 12]} {number // 120}"


def _task(number: int) -> str:
    return TASKS[0 if number % 3 else number // 3 % 5 + 1]


def _tags(number: int) -> list[str]:
    return sorted({TAGS[number % 24], TAGS[number // 24 % 24]}) + (["rare"] if number % 500 == 7 else [])


def _state(number: int) -> str:
    return {3: "paused", 31: "paused", 57: "finished", 91: "quarantined"}.get(number % 100, "active")


def _trigger(number: int) -> dict[str, Any]:
    return {
        "kind": "interval",
        "minutes": 5 + number % 1435,
        "timezone": "UTC",
        "start_date": "2026-01-01T00:00:00+00:00",
    }


def _jobs(size: Size, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(size.jobs):
        state = _state(number)
        yield {
            "id": _id(number), "name": _name(number), "task": _task(number), "func": _task(number), "args": [],
            "kwargs": {"message": f"hello {number}"}, "trigger": _trigger(number), "timezone": "UTC",
            "jobstore": "default", "executor": "default", "coalesce": True, "max_instances": 1, "misfire_grace_s": 60,
            "overlap": "skip", "retry": {}, "rerun_if_lost": False, "chains": [], "priority": 0, "description": "",
            "tags": _tags(number), "state": state,
            "state_reason": "It cannot be read." if state == "quarantined" else None,
            "next_due_at": now + timedelta(seconds=3600 + number % 86400) if state == "active" else None,
            "origin": "user", "revision": 1, "created_at": now - SPAN, "created_by": "ada",
            "updated_at": now - timedelta(seconds=number * 7 % 2_000_000), "updated_by": "ada",
        }  # fmt: skip


def _words(size: Size) -> Iterator[dict[str, Any]]:
    for n in range(size.jobs):
        yield {"job_id": _id(n), "task": _task(n), "text": job_words.text_of(_id(n), _name(n), _task(n), _tags(n))}


def _periods(size: Size, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(size.jobs):
        definition = {"trigger": _trigger(number), "timezone": "UTC", "calendar_pins": None}
        yield {
            "id": number + 1, "job_id": _id(number), "revision": 1, "change": "created",
            "serving": _state(number) == "active", "definition": definition, "from_at": now - SPAN, "saved_by": "ada",
        }  # fmt: skip


def _runs(size: Size, now: datetime) -> Iterator[dict[str, Any]]:
    step = SPAN / size.runs
    for number in range(size.runs):
        job = number * 7919 % size.jobs
        due_at = now - (size.runs - number) * step
        left = size.runs - number
        state = "running" if left <= ACTIVE else "queued" if left <= 2 * ACTIVE else STATES[number * 613 % 1000]
        started = state in ("running", "succeeded", "failed", "timed_out", "lost")
        ended = state not in ("running", "queued")
        yield {
            "id": number + 1, "job_id": _id(job), "job_name": _name(job), "job_revision": 1, "task": _task(job),
            "args": [], "kwargs": {"message": f"hello {job}"}, "trigger": TRIGGERS[number * 37 % 100], "state": state,
            "reason": "Later than its grace." if state == "missed" else None, "attempt": 1, "due_at": due_at,
            "first_due_at": due_at, "due_count": 1, "available_at": due_at, "follow_up": False, "queued_at": due_at,
            "started_at": due_at + timedelta(milliseconds=40) if started else None,
            "finished_at": due_at + timedelta(seconds=1) if ended else None,
            "updated_at": due_at + timedelta(seconds=1), "executor": "default", "rank": 0,
            "worker": "bench:1:a" if started else None, "result": "{\"rows\": 3}" if state == "succeeded" else None,
            "error": ERRORS[number % 4] if state == "failed" else None, "log_lines": 0,
        }  # fmt: skip


def _store(connection: Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    """Insert through the driver itself: by COPY into PostgreSQL, row by row elsewhere."""
    first = next(rows)
    columns, json_columns = list(first), {c.name for c in table.columns if c.type.__class__.__name__ == "JSON"}
    is_copy = connection.dialect.name == "postgresql"

    def plain(name: str, value: Any) -> Any:
        if name in json_columns:
            return json.dumps(value)
        if isinstance(value, datetime):
            return value.replace(tzinfo=None) if is_copy else value.replace(tzinfo=None).isoformat(" ", "microseconds")
        return value

    values = (tuple(plain(name, row[name]) for name in columns) for row in itertools.chain([first], rows))
    names = ", ".join(f'"{name}"' for name in columns)
    cursor: Any = connection.connection.cursor()
    if is_copy:
        with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for value in values:
                copy.write_row(value)
    else:
        marks = ", ".join("?" for _ in columns)
        cursor.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', values)
    cursor.close()
