"""A job store's server is killed while jobs are served: its jobs wait, the others do not, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.conftest import CODE
from tests.databases import NoServer, skip_without
from tests.private_servers import NotInstalled, Redis
from webapp import clock
from webapp.engine import mirror
from webapp.extensions import db
from webapp.services import jobs
from webapp.serving import scheduler_of
from webapp.settings import Settings
from webapp.store.models import EngineEvent, Run


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis server that a test may kill."""
    try:
        server = Redis(keeps=True)
    except NotInstalled as missing:
        skip_without(NoServer(str(missing)))
        raise
    server.start()
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Path, own_redis: Redis) -> Settings:
    side = {"type": "redis", "host": "127.0.0.1", "port": own_redis.port}
    return Settings(instance_path=tmp_path, jobstores={"side": side}, _env_file=None)


@pytest.mark.services
def test_a_job_store_s_server_is_killed_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
    own_redis: Redis,
    served: Flask,
    eventually: Callable[..., Any],
) -> None:
    monkeypatch.setattr(mirror, "LOOK_EVERY_S", 0.2)
    every_second = {"kind": "interval", "seconds": 1, "timezone": "UTC"}
    for name in ("default", "side"):
        raw = {"id": name, "task": "demo.echo", "trigger": every_second, "jobstore": name, "coalesce": False}
        jobs.create({**raw, "misfire_grace_s": None, "max_instances": 50}, actor=CODE, now=clock.now())

    def accounted(job_id: str) -> int:
        return db.session.scalar(select(func.sum(Run.due_count)).where(Run.job_id == job_id)) or 0

    def told() -> str:
        return str(scheduler_of(served).scheduler.mirrors.told()["side"]["state"])

    eventually(lambda: accounted("side") > 0 and accounted("default") > 0, 30)
    own_redis.kill()
    eventually(lambda: told() == "away", 30)
    went_on = accounted("default")
    eventually(lambda: accounted("default") > went_on, 30)  # a pass that had begun has ended
    at_rest, went_on = accounted("side"), accounted("default")
    eventually(lambda: accounted("default") >= went_on + 2, 30)
    assert accounted("side") == at_rest
    own_redis.start()
    eventually(lambda: told() == "ready", 30)
    after = accounted("side")
    eventually(lambda: accounted("side") > after + 2, 30)
    runs = db.session.scalars(select(Run).where(Run.job_id == "side").order_by(Run.due_at)).all()
    dues = [run.due_at for run in runs]
    assert len(set(dues)) == len(dues)
    gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(filter(None, dues))}
    assert gaps == {1.0}
    events = db.session.scalars(select(EngineEvent.message).where(EngineEvent.kind == "job_store")).all()
    assert [event.split(":")[0] for event in events] == [
        "The job store side is ready.", "The job store side is away", "The job store side is ready.",
    ]  # fmt: skip
