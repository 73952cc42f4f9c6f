"""The databases that tests run on: SQLite always, PostgreSQL and MariaDB where there is a server.

A server is the one that ``CARILLON_TEST_POSTGRESQL_URL`` or ``CARILLON_TEST_MYSQL_URL`` names, else a private one, made
from the installed programs, else one that answers on the loopback address. Without any, its tests are skipped with the
reason, and fail when ``CARILLON_REQUIRE_SERVICES=1``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.private_servers import MariaDb, NotInstalled, Postgres, PrivateServer
from webapp import create_app
from webapp.extensions import db
from webapp.serving import upgrade_database
from webapp.settings import Settings

KINDS = ("sqlite", "postgresql", "mariadb")
SERVERS = ("postgresql", "mariadb")
_VARIABLES = {"postgresql": "CARILLON_TEST_POSTGRESQL_URL", "mariadb": "CARILLON_TEST_MYSQL_URL"}
_LOOPBACK = {
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    "mariadb": "mysql+pymysql://root@127.0.0.1:3306/mysql",
}
PRIVATE: dict[str, type[PrivateServer]] = {"postgresql": Postgres, "mariadb": MariaDb}


@dataclass(frozen=True)
class Database:
    """A database of a test: its kind, and its URL as ``CARILLON_DATABASE_URL`` takes it."""

    kind: str
    url: str


class NoServer(Exception):
    """There is no server of this kind for the tests; the text says why."""


class Backend:
    """One server, on which databases are made for tests and dropped at the end."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self._url = make_url(url)
        self._admin = create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._made: list[str] = []
        with self._admin.connect():
            pass

    def create(self) -> Database:
        """A new, empty database. MariaDB's has the character set that old servers give, which Carillon must not use."""
        name = f"carillon_test_{uuid4().hex[:12]}"
        how = "TEMPLATE template0 ENCODING 'UTF8'" if self.kind == "postgresql" else "CHARACTER SET latin1"
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} {how}")
        self._made.append(name)
        return Database(self.kind, self._url_of(name).render_as_string(hide_password=False))

    def _url_of(self, name: str) -> URL:
        return self._url.set(database=name)

    def close(self) -> None:
        with self._admin.connect() as connection:
            for name in self._made:
                force = " WITH (FORCE)" if self.kind == "postgresql" else ""
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}{force}")
        self._admin.dispose()


def migrate(database: Database, folder: Path) -> None:
    """Bring a database to the newest revision."""
    settings = Settings(instance_path=folder, database_url=database.url, _env_file=None)
    with create_app(settings).app_context():
        upgrade_database(settings)
        db.session.remove()
        db.engine.dispose()


class Reused:
    """A migrated database that every test finds empty."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._engine: Engine = create_engine(database.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with self._engine.connect() as connection:
            self._tables = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]

    def clean(self) -> None:
        """Empty the tables that are not, numbers starting again from 1."""
        with self._engine.connect() as connection:
            _end_other_sessions(connection)
            quote = connection.dialect.identifier_preparer.quote
            asked = (f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quote(name)})" for name in self._tables)
            used = [quote(name) for name in connection.scalars(text(" UNION ALL ".join(asked)))]
            if not used:
                return
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"TRUNCATE {', '.join(used)} RESTART IDENTITY CASCADE")
                return
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            for name in used:
                connection.exec_driver_sql(f"TRUNCATE {name}")


def _end_other_sessions(connection: Connection) -> None:
    """What a failed test has left open must not hold up the next one."""
    if connection.dialect.name == "postgresql":
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {others}")
        return
    others = "FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
    for session_id in connection.exec_driver_sql(f"SELECT id {others}").scalars().all():
        try:
            connection.exec_driver_sql(f"KILL {session_id}")
        except SQLAlchemyError:  # it has ended meanwhile
            continue


@contextmanager
def backend(kind: str) -> Iterator[Backend]:
    """A server of this kind. Raises NoServer."""
    server: PrivateServer | None = None
    url = os.environ.get(_VARIABLES[kind])
    try:
        if url is None:
            server, url = _private_or_loopback(kind)
        made = Backend(kind, url)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise NoServer(f"{_VARIABLES[kind]}: {error}") from error
    try:
        yield made
        made.close()
    finally:
        if server is not None:
            server.close()


def _private_or_loopback(kind: str) -> tuple[PrivateServer | None, str]:
    try:
        server = PRIVATE[kind]()
    except NotInstalled as missing:
        if not _answers(_LOOPBACK[kind]):
            raise NoServer(f"no {kind}: {missing}, {_VARIABLES[kind]} is not set, 127.0.0.1 does not answer") from None
        return None, _LOOPBACK[kind]
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server, server.url


def _answers(url: str) -> bool:
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return True
    except (SQLAlchemyError, ModuleNotFoundError):
        return False


def skip_without(error: NoServer) -> None:
    """Skip the test that wants this server, or fail it where servers are required."""
    if os.environ.get("CARILLON_REQUIRE_SERVICES") == "1":
        pytest.fail(str(error))
    pytest.skip(str(error))
