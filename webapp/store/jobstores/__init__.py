"""The job stores that may stand beside the catalogue: APScheduler's own, but they lose nothing and run nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import make_url

from webapp.store.jobstores.base import KeptStore, Resolve

__all__ = ["KeptStore", "Resolve", "build", "place"]


def build(kind: str, options: Mapping[str, Any], resolve: Resolve) -> KeptStore:
    """The store of this kind; connects to nothing yet. ``resolve`` finds the function of a ``module:function``.

    Raises ModuleNotFoundError for a driver that is not installed, TypeError and ValueError for options that are none.
    """
    if kind == "sqlalchemy":
        from webapp.store.jobstores.sql import SqlStore as Store
    elif kind == "redis":
        from webapp.store.jobstores.redis import RedisStore as Store  # type: ignore[assignment]
    elif kind == "mongodb":
        from webapp.store.jobstores.mongodb import MongoStore as Store  # type: ignore[assignment]
    else:
        from webapp.store.jobstores.memory import MemoryStore as Store
    store: KeptStore = Store(**options)
    store.resolve = resolve
    return store


def place(kind: str, options: Mapping[str, Any]) -> str:
    """Where a store is, for people; without a password."""
    if kind == "sqlalchemy":
        table = options.get("tablename", "apscheduler_jobs")
        return f"{make_url(options['url']).render_as_string(hide_password=True)}, table {table}"
    if kind == "redis":
        where = options.get("unix_socket_path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        return f"{where}, database {options.get('db', 0)}"
    if kind == "mongodb":
        host = str(options.get("host", "localhost")).rpartition("@")[2]
        where = f"{host}:{options['port']}" if "port" in options else host
        return f"{where}, {options.get('database', 'apscheduler')}.{options.get('collection', 'jobs')}"
    return "the memory of the leading process"
