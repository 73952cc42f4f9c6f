"""The setting SCHEDULER_JOBSTORES: job stores beside the catalogue, by alias, in APScheduler's dict form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

KINDS = ("memory", "sqlalchemy", "redis", "mongodb")
NEEDS = {"redis": "redis", "mongodb": "pymongo"}
"""Which module a kind needs, besides SQLAlchemy's drivers. The extra has the name of the kind."""
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_CLASSES = {
    "MemoryJobStore": "memory",
    "SQLAlchemyJobStore": "sqlalchemy",
    "RedisJobStore": "redis",
    "MongoDBJobStore": "mongodb",
}


def checked(table: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The table with each kind under ``type``. Raises ValueError, whose text names the store that is wrong."""
    found: dict[str, dict[str, Any]] = {}
    for alias, options in table.items():
        if alias == "default":
            raise ValueError(
                "default is the catalogue itself, in Carillon's own database. Give this store another name, "
                "or take its jobs over with: flask jobs adopt"
            )
        if not _ALIAS.fullmatch(alias):
            raise ValueError(f"{alias!r}: a name has letters, digits, - and _ only")
        found[alias] = _checked(alias, dict(options))
        twin = next((name for name, each in found.items() if name != alias and each == found[alias]), None)
        if twin is not None and found[alias]["type"] != "memory":
            raise ValueError(f"{alias} and {twin} are the same place")
    return found


def _checked(alias: str, options: dict[str, Any]) -> dict[str, Any]:
    named = options.pop("class", None)
    kind = options.pop("type", None) or _CLASSES.get(re.split(r"[.:]", str(named))[-1])
    if kind not in KINDS:
        raise ValueError(f"{alias}: type is one of {', '.join(KINDS)}")
    if kind in NEEDS and find_spec(NEEDS[kind]) is None:
        raise ValueError(
            f"{alias}: the module {NEEDS[kind]} is not installed. Install it: pip install 'carillon[{kind}]'"
        )
    if kind == "sqlalchemy":
        options["url"] = _url(alias, options.get("url"))
    return {"type": kind, **options}


def _url(alias: str, url: Any) -> str:
    try:
        return with_driver(str(url or ""))
    except ArgumentError:
        raise ValueError(f"{alias}: url is no database URL such as postgresql://user@host/name") from None


DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


def with_driver(text: str) -> str:
    """A database URL in which bare ``postgresql://`` and ``mysql://`` mean the drivers of Carillon's extras.

    Raises ArgumentError.
    """
    url = make_url(text)
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername)).render_as_string(hide_password=False)
