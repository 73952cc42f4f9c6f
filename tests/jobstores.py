"""Where the tests' job stores beside the catalogue are: real servers, and mongomock where there is no MongoDB.

MongoDB is the server that ``CARILLON_TEST_MONGODB_URL`` names; without it mongomock stands in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.databases import Database, NoServer, skip_without
from tests.private_servers import NotInstalled, Redis

OUTSIDE = ("sqlalchemy", "redis", "mongodb")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis server of the tests' own."""
    try:
        server = Redis()
    except NotInstalled as missing:
        skip_without(NoServer(str(missing)))
        raise
    try:
        server.start()
        yield server
    finally:
        server.close()


def options(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """What to put under an alias of SCHEDULER_JOBSTORES for an empty store of this kind.

    An SQL store's table stands in the test's database, where that is on a server.
    """
    name = uuid4().hex[:12]
    if kind == "sqlalchemy":
        database: Database = request.getfixturevalue("database")
        return {
            "type": kind,
            "url": database.url or f"sqlite:///{tmp_path / 'side.sqlite'}",
            "tablename": f"jobs_{name}",
        }
    if kind == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        keys = {"jobs_key": f"{name}.jobs", "run_times_key": f"{name}.times"}
        return {"type": kind, "host": "127.0.0.1", "port": server.port, **keys}
    if kind == "mongodb":
        url = os.environ.get("CARILLON_TEST_MONGODB_URL")
        if url:
            return {"type": kind, "host": url, "database": "carillon_test", "collection": name}
        import mongomock

        return {"type": kind, "client": mongomock.MongoClient(), "collection": name}
    return {"type": kind}


def empty(store: Any) -> None:
    """Leave nothing behind on a server that other tests use."""
    if hasattr(store, "jobs_t"):
        store.jobs_t.drop(store.engine, checkfirst=True)
    else:
        store.remove_all_jobs()
    store.shutdown()
