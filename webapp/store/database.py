"""How Carillon talks to its database: connections that cannot hang, writers that queue, the database's own clock.

Transactions are READ COMMITTED on all servers alike: what a writer goes by it locks first (``FOR UPDATE`` reads the
latest row), so a stricter level would only add failures, and MariaDB's own default adds locks on gaps, at which inserts
of different jobs meet. On SQLite a writer is alone from its BEGIN.

Whoever only reads on ``db.session`` has no transaction on PostgreSQL: at this level each statement sees a present of
its own anyway, and BEGIN and ROLLBACK would be two more questions to the server for each page (decision 0015).
"""

from __future__ import annotations

import functools
import json
import logging
import random
import select as select_module
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Dialect, Engine, event, select, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from webapp.extensions import db
from webapp.store import audit
from webapp.store.types import UtcDateTime

BUSY_TIMEOUT_S = 5.0
SILENCE_S = 4
"""A server ends a writer's transaction in which nothing was said for so long, and with it its locks: those of a process
that was frozen, or of a machine that is gone, must not outlast its lease. Two of its writers may stand one behind the
other at the lease's row, so this must be no more than half of what a lease may have left (8 s)."""
LOCK_WAIT_S = 10
APPLICATION_NAME = "carillon"
"""By which a PostgreSQL server knows our connections."""
TRIES = 5
LEVEL = "READ COMMITTED"
_WRITER = {"carillon_writer": True}
P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

# SQLite has one writer at a time and lets the others poll for the lock. The threads of one process take turns here
# instead, so that none of them sleeps while the lock is free. Other processes still meet at the file's own lock.
_sqlite_turn = threading.RLock()


class database_now(FunctionElement[datetime]):
    """The database server's present moment in UTC, with microseconds where it has them."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _sqlite_now(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(database_now, "postgresql")
def _postgresql_now(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return "(clock_timestamp() AT TIME ZONE 'UTC')"


@compiles(database_now, "mysql")
@compiles(database_now, "mariadb")
def _mysql_now(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return "UTC_TIMESTAMP(6)"


# -- connections -----------------------------------------------------------------------------------------------------


def engine_options(url: str) -> dict[str, Any]:
    """SQLAlchemy options for ``url``: short waits; on servers, connections are checked before use."""
    connect: dict[str, Any]
    quick_json = {"json_serializer": to_json, "json_deserializer": from_json}
    if url.startswith("sqlite"):
        connect = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        # A connection forgets its pages when another one has written: the next writer takes the last writer's.
        return {**quick_json, "pool_use_lifo": True, "connect_args": connect}
    connect = {"connect_timeout": 5}
    if is_mysql(url):
        connect |= {"read_timeout": 30, "write_timeout": 30}
    elif url.startswith("postgresql+psycopg"):  # a machine that is gone without a word is noticed in 15 s, not in hours
        connect |= {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 15_000}
        connect |= {"application_name": APPLICATION_NAME}
    return {
        **quick_json,
        "isolation_level": LEVEL,
        "pool_pre_ping": is_mysql(url),  # of PostgreSQL's see _postgresql_checkout
        "pool_recycle": 1800,
        "pool_size": 10,
        "max_overflow": 10,
        "connect_args": connect,
    }


def is_mysql(name: str) -> bool:
    """Whether a URL, or a dialect's name, is of MySQL's family."""
    return name.startswith(("mysql", "mariadb"))


_EMPTY: dict[str, Callable[[], Any]] = {"[]": list, "{}": dict}


def to_json(value: Any) -> str:
    """JSON columns are mostly empty lists and mappings (arguments, tags, chains): these need no encoder."""
    return json.dumps(value) if value or not isinstance(value, (list, dict)) else "[]" if type(value) is list else "{}"


def from_json(text: str | bytes) -> Any:
    """The value that ``to_json`` wrote; every call makes a new one."""
    make = _EMPTY.get(text) if isinstance(text, str) else None
    return json.loads(text) if make is None else make()


def prepare(engine: Engine) -> None:
    """Attach what each new connection and transaction of ``engine`` needs. Call once for an engine."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "begin", _postgresql_begin)
        event.listen(engine, "checkout", functools.partial(_postgresql_checkout, engine.dialect))
    elif is_mysql(engine.dialect.name):
        event.listen(engine, "begin", _mysql_begin)
        event.listen(engine, "reset", functools.partial(_mysql_reset, engine.dialect))


def _is_writer(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("carillon_writer", False))


def _sqlite_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own would start readers as writers
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Fewer, larger checkpoints: many due times at once would write the same pages of the ledger again and again.
    cursor.execute("PRAGMA wal_autocheckpoint = 4000")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_writer(connection) else "BEGIN")


def _postgresql_begin(connection: Connection) -> None:
    if _is_writer(connection):
        connection.exec_driver_sql(
            f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'; SET LOCAL idle_in_transaction_session_timeout = '{SILENCE_S}s'"
        )


def _postgresql_checkout(dialect: Dialect, connection: Any, record: Any, fairy: Any) -> None:
    """Ask a server whether it is still there only when it has spoken unasked: nearly always that was its goodbye.

    That one has gone without a word the kernel's keep-alive finds out, and then the socket shows an error.
    """
    try:
        if _has_word(connection.fileno()):
            dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError("The server has ended this connection.") from error


def _has_word(number: int) -> bool:
    """Whether there is something to read on this socket, or an end or an error to see."""
    waiting = select_module.poll()
    waiting.register(number, select_module.POLLIN)
    return bool(waiting.poll(0))


def _mysql_begin(connection: Connection) -> None:
    if _is_writer(connection):
        connection.info["carillon_writer"] = True
        silence = _silence(connection.dialect)
        connection.exec_driver_sql(f"SET innodb_lock_wait_timeout = {LOCK_WAIT_S}, {silence} = {SILENCE_S}")


def _mysql_reset(dialect: Dialect, connection: Any, record: Any, state: Any) -> None:
    """Give the session its own waits back before somebody else, a task perhaps, gets it from the pool."""
    if record.info.pop("carillon_writer", False) and not state.terminate_only:
        cursor = connection.cursor()
        cursor.execute(f"SET innodb_lock_wait_timeout = DEFAULT, {_silence(dialect)} = DEFAULT")
        cursor.close()


_END_SILENT_WRITERS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = :name
    AND wait_event_type = 'Client' AND state_change < clock_timestamp() - make_interval(secs => :silence_s)
    AND pid IN (
        SELECT pid FROM pg_locks WHERE mode IN ('RowShareLock', 'RowExclusiveLock')
        AND relation IN ('scheduler_lease'::regclass, 'job'::regclass, 'run'::regclass)
    )
""")


def end_silent_writers() -> None:
    """Do what PostgreSQL's ``idle_in_transaction_session_timeout`` leaves undone.

    The server stops its watch when anything arrives and starts it anew only when it is ready for the next query. It is
    not in the midst of an ``executemany``, which psycopg sends as a pipeline, nor after the Flush that ends one: a
    writer frozen there would keep its locks. Here whoever waits for its client so long has been silent.
    """
    if db.engine.dialect.name == "postgresql":
        with db.engine.begin() as connection:
            connection.execute(_END_SILENT_WRITERS, {"name": APPLICATION_NAME, "silence_s": SILENCE_S})


def _silence(dialect: Dialect) -> str:
    """The variable that ends a silent transaction; MySQL has one for silent sessions only."""
    return "idle_transaction_timeout" if getattr(dialect, "is_mariadb", False) else "wait_timeout"


# -- transactions ----------------------------------------------------------------------------------------------------


def _turn(engine: Engine) -> AbstractContextManager[Any]:
    return _sqlite_turn if engine.dialect.name == "sqlite" else nullcontext()


def _writer_options(engine: Engine) -> dict[str, Any]:
    return _WRITER | {"isolation_level": LEVEL} if engine.dialect.name == "postgresql" else _WRITER


@contextmanager
def writing() -> Iterator[Session]:
    """One use case's transaction on ``db.session``: committed at the end, rolled back on any error.

    What the session had read before is let go first, so that the transaction starts as a writer and sees the present.
    What the audit was told meanwhile is written last.
    """
    session: Session = db.session()
    if session.in_transaction():
        session.commit()
    with _turn(db.engine):
        session.connection(execution_options=_writer_options(db.engine))
        try:
            yield session
            audit.append(session)
            session.commit()
        except BaseException:
            audit.drop(session)
            session.rollback()
            raise


def retried(use_case: Callable[P, R]) -> Callable[P, R]:
    """Do a use case again when the database refused its one transaction for the sake of another's, or went away.

    Only what has certainly changed nothing is done again: when a commit's answer is lost, the error is raised.
    """

    @functools.wraps(use_case)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, TRIES):
            try:
                return use_case(*args, **kwargs)
            except DBAPIError as error:
                if not is_worth_retrying(error):
                    raise
                log.info("%s is tried again (%d): %s", use_case.__name__, attempt, error.orig)
                db.session.rollback()
                threading.Event().wait(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 - so that two do not meet again
        return use_case(*args, **kwargs)

    return wrapper


_STATES = {"40001", "40P01"}  # serialization failure, deadlock
_NUMBERS = {1020, 1213}  # MariaDB: the row has changed since it was read; deadlock


def is_worth_retrying(error: DBAPIError) -> bool:
    """Whether a transaction failed that may succeed now, and that has certainly changed nothing."""
    if getattr(error.orig, "sqlstate", None) in _STATES:
        return True
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if number in _NUMBERS:
        return True
    # A connection that broke at a statement (a commit has none) took everything before it along.
    return error.connection_invalidated and error.statement is not None


@contextmanager
def snapshot() -> Iterator[Connection]:
    """A connection of its own for reading: all that is read on it is of one moment."""
    with db.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        if connection.dialect.name == "postgresql":
            connection.execution_options(postgresql_readonly=True)
        yield connection


def read_database_now(session: Session) -> datetime:
    """The database's clock."""
    return session.execute(select(database_now())).scalar_one()
