"""Brokers for the tests of Celery: private ones, which may be stopped; without the programs the tests are skipped.

``CARILLON_TEST_RABBITMQ_URL`` names a RabbitMQ to use where none can be started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.databases import NoServer
from tests.private_servers import NotInstalled, PrivateServer, RabbitMq, Redis

_PRIVATE: dict[str, type[Redis] | type[RabbitMq]] = {"redis": Redis, "rabbitmq": RabbitMq}


@contextmanager
def broker(kind: str) -> Iterator[tuple[str, PrivateServer | None]]:
    """The URL of a broker, and the server where it is ours to stop. Raises NoServer."""
    try:
        server = _PRIVATE[kind]()
    except NotInstalled as missing:
        url = os.environ.get(f"CARILLON_TEST_{kind.upper()}_URL")
        if url is None:
            raise NoServer(f"no {kind}: {missing}") from None
        yield url, None
        return
    try:
        server.start()
        yield server.url, server
    finally:
        server.close()
