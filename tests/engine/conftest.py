"""A leader driven by hand, and a scheduler that really runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.conftest import NOW
from webapp.extensions import db
from webapp.services import heartbeat
from webapp.serving import scheduler_of
from webapp.store import lease
from webapp.store.models import Worker
from webapp.tasks import capture


@pytest.fixture
def lead(app: Flask) -> lease.Held:
    """The lease, held by a worker called ``test``; no loop runs."""
    held = heartbeat.take(Worker(id="test", host="here", pid=1, detail={}), NOW)
    assert held is not None
    return held


@pytest.fixture
def served(app: Flask) -> Iterator[Flask]:
    """The app with its scheduler running, as in a serving process."""
    scheduler_of(app).scheduler.stop_wait_s = 5.0
    scheduler_of(app).start()
    yield app
    scheduler_of(app).shutdown(wait=True)
    capture.uninstall()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Ask until the answer is true, for at most some seconds; a truth that never comes fails the test."""

    def wait(question: Callable[[], Any], seconds: float = 10.0) -> Any:
        until = time.monotonic() + seconds
        while True:
            db.session.rollback()
            db.session.expire_all()
            answer = question()
            if answer:
                return answer
            assert time.monotonic() < until, "it did not come true in time"
            time.sleep(0.02)

    return wait
