"""Bringing the database to this version's revision: one process does it, on however many machines, the others wait."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.pool import NullPool

from webapp.extensions import db
from webapp.settings import SettingsError
from webapp.store.database import BUSY_TIMEOUT_S, is_mysql

ASK_AGAIN_S = 0.2
_LEAST = {"PostgreSQL": (12,), "MariaDB": (10, 6), "MySQL": (8, 0, 13)}
"""Older servers cannot skip locked rows, or lack what the migrations use."""
_LOCK = 0x0CA211
"""The number of PostgreSQL's advisory lock; such locks belong to one database."""

log = logging.getLogger(__name__)


def upgrade(config: Config, folder: Path) -> None:
    """Apply the migrations that are missing; ``folder`` is this machine's place for a lock file.

    Raises SettingsError when the database cannot be Carillon's: too new, too old a server, or other tables in it.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    scripts = ScriptDirectory.from_config(config)
    engine = migration_engine()
    try:
        if _is_current(engine, scripts):
            return
        with _alone(engine, folder):
            if not _is_current(engine, scripts):  # another process may have done it meanwhile
                _refuse_foreign_tables(engine)
                command.upgrade(config, "head")
    finally:
        engine.dispose()


def migration_engine() -> Engine:
    """The app's database without the limits of everyday work: a migration of a large table takes its time.

    SQLite checks no foreign keys meanwhile. Altering a table there means to drop the old form of it, and that would
    delete what refers to its rows.
    """
    url = db.engine.url
    if url.get_backend_name() != "sqlite":
        connect = {"connect_timeout": 5} if url.drivername in ("postgresql+psycopg", "mysql+pymysql") else {}
        return create_engine(url, poolclass=NullPool, connect_args=connect)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 12 * BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _leave_begin_to_us)
    event.listen(engine, "begin", _begin_as_writer)
    return engine


@event.listens_for(Table, "before_create")
def _take_all_letters(table: Table, connection: Connection, **kw: Any) -> None:
    """MariaDB and MySQL would give a new table the database's character set, which may know Western letters only."""
    if is_mysql(connection.dialect.name):
        table.kwargs[f"{connection.dialect.name}_charset"] = "utf8mb4"
        table.kwargs[f"{connection.dialect.name}_engine"] = "InnoDB"


def _leave_begin_to_us(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_as_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_current(engine: Engine, scripts: ScriptDirectory) -> bool:
    """Whether nothing is missing. Raises SettingsError for a server that is too old and a database that is too new."""
    with engine.connect() as connection:
        _refuse_old_server(connection)
        heads = MigrationContext.configure(connection).get_current_heads()
    for revision in heads:
        _refuse_newer(scripts, revision)
    return set(heads) == set(scripts.get_heads())


def _refuse_newer(scripts: ScriptDirectory, revision: str) -> None:
    try:
        scripts.get_revision(revision)
    except CommandError:
        known = ", ".join(scripts.get_heads())
        raise SettingsError(
            f"the database is newer than this version of Carillon: it has revision {revision}, this version knows "
            f"{known} as the last. Install the newer version, or restore the database from before its upgrade."
        ) from None


def _refuse_old_server(connection: Connection) -> None:
    name = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}.get(connection.dialect.name)
    if name == "MySQL" and getattr(connection.dialect, "is_mariadb", False):
        name = "MariaDB"
    version = connection.dialect.server_version_info
    if name is None or version is None or tuple(version) >= _LEAST[name]:
        return
    least, found = (".".join(map(str, numbers[:2])) for numbers in (_LEAST[name], version))
    raise SettingsError(f"CARILLON_DATABASE_URL: {name} {least} or newer is needed, the server is {found}.")


def _refuse_foreign_tables(engine: Engine) -> None:
    """Raise SettingsError when a database without a revision has tables under our names."""
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_heads():
            return
        taken = sorted(set(inspect(connection).get_table_names()) & set(db.metadata.tables))
    if taken:
        raise SettingsError(
            f"CARILLON_DATABASE_URL: the database has tables of another program, or what an interrupted first start "
            f"left ({', '.join(taken)}). Give Carillon an empty database of its own."
        )


# -- only one at a time ------------------------------------------------------------------------------------------------


@contextmanager
def _alone(engine: Engine, folder: Path) -> Iterator[None]:
    """Wait until no other process prepares this database: of this machine by a file, of others by the server's lock."""
    if engine.dialect.name == "sqlite" and engine.url.database and engine.url.database != ":memory:":
        folder = Path(engine.url.database).parent  # where all who share the file meet
    with open(folder / "prepare.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if engine.dialect.name == "sqlite":
            yield
            return
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            _lock_server(connection)
            yield  # the lock ends with the connection, also when this process is killed


def _lock_server(connection: Connection) -> None:
    """Take the server's lock for this database."""
    said = False
    while not _try_lock(connection):
        if not said:
            log.warning("another process upgrades the database; this one waits for it")
            said = True
        threading.Event().wait(ASK_AGAIN_S)


def _try_lock(connection: Connection) -> bool:
    if is_mysql(connection.dialect.name):  # its locks are the whole server's, and their names short
        digest = hashlib.sha256(str(connection.engine.url.database).encode()).hexdigest()[:32]
        return bool(connection.scalar(text("SELECT GET_LOCK(:name, 0)"), {"name": f"carillon-{digest}"}))
    return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": _LOCK}))
