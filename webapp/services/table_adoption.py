"""Takes over the jobs of an APScheduler table. The table is only read, and what stands in it is never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import LargeBinary, column, create_engine, inspect, make_url, select
from sqlalchemy import table as sql_table
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from webapp.domain.errors import CarillonError, Conflict, Invalid, Unavailable
from webapp.services import jobs, plain_jobs, shared_calendars
from webapp.services.actors import Actor
from webapp.store.job_states import JobState, Unreadable, read_state

ORIGIN = "adopted"


@dataclass(frozen=True)
class Adopted:
    """What became of one job of the old table: ``taken``, ``already`` here, or ``left`` with the reason."""

    job_id: str
    outcome: str
    words: str


@dataclass(frozen=True)
class Wish:
    """How to adopt: into which job store, under which names (``module:function`` -> task), or only to see."""

    actor: Actor
    now: datetime
    jobstore: str = "default"
    names: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


def adopt(url: str, table: str, wish: Wish) -> Iterator[Adopted]:
    """Take each job of the table over, in the order of ids; jobs that were taken before stay as they are here.

    ``table`` may be led by a schema and a dot. Raises Invalid for a URL that is none, Unavailable for a database or a
    table that cannot be read; then nothing was taken.
    """
    for job_id, data in _rows(url, table):
        yield _one(job_id, data, wish)


def _rows(url: str, table: str) -> list[tuple[str, bytes]]:
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except ArgumentError:
        raise Invalid({"url": "This is no database URL such as sqlite:///jobs.sqlite."}) from None
    except ModuleNotFoundError as error:
        raise Invalid({"url": f"The driver {error.name} is not installed."}) from None
    where = parsed.render_as_string(hide_password=True)
    try:
        if parsed.drivername.startswith("sqlite") and parsed.database:
            _must_exist(parsed.database)
        with engine.connect() as connection:
            schema, _, name = table.rpartition(".")
            if not inspect(connection).has_table(name, schema=schema or None):
                raise Unavailable(f"There is no table {table} in {where}.")
            source = sql_table(name, column("id"), column("job_state", LargeBinary), schema=schema or None)
            rows = connection.execute(select(source.c.id, source.c.job_state).order_by(source.c.id)).all()
            return [(str(row.id), bytes(row.job_state or b"")) for row in rows]
    except SQLAlchemyError as error:
        line = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise Unavailable(f"The table {table} in {where} cannot be read: {line}") from None
    finally:
        engine.dispose()


def _must_exist(path: str) -> None:
    """SQLite would make the file."""
    if path != ":memory:" and not path.startswith("file:") and not Path(path).exists():
        raise Unavailable(f"There is no file {path}.")


def _one(job_id: str, data: bytes, wish: Wish) -> Adopted:
    try:
        here = jobs.find(job_id)
        if here is not None and here.origin == ORIGIN:
            return Adopted(job_id, "already", "It was taken over before, and stays as it is here.")
        if here is not None:
            raise Conflict("There is another job with this id here.")
        state = read_state(data)
        if state.id != job_id:
            raise Unreadable(f"Its state is that of another job, {state.id[:60]!r}.")
        return Adopted(job_id, "taken", _take(state, wish))
    except (CarillonError, Unreadable) as error:
        return Adopted(job_id, "left", str(error))


def _take(state: JobState, wish: Wish) -> str:
    """Store the job; what it does from now on, in words. Raises Invalid, Conflict."""
    raw = {**state.raw(), "jobstore": wish.jobstore}
    raw["task"] = wish.names.get(state.func, state.func)
    wanted = plain_jobs.wanted(raw, state.next_run_time, wish.now, owed=True)
    definition = plain_jobs.check(wanted, now=wish.now)
    if not wish.dry_run:
        plain_jobs.add(wanted, actor=wish.actor, now=wish.now, origin=ORIGIN)
    schedule = shared_calendars.load(definition.trigger, job_id=state.id)
    said = f"{definition.task}: {schedule.words()}."
    following = None if wanted.since is None else schedule.next_after(wanted.since)
    if state.next_run_time is None or following is None:
        return f"{said} Paused, as it was."
    as_it_was = abs((following - state.next_run_time).total_seconds()) < 1
    before = "as it was" if as_it_was else f"it was {state.next_run_time.astimezone(schedule.zone.tz).isoformat()}"
    return f"{said} Next run {following.isoformat()}, {before}."
