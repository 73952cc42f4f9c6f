"""kill -9 at random moments, with many runs queued and all workers busy."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.conftest import CODE
from tests.server import Server
from webapp import clock, create_app
from webapp.extensions import db
from webapp.services import jobs
from webapp.settings import Settings

KILLS = 20
JOBS = 40
PLENTY = {"coalesce": False, "max_instances": 1000, "overlap": "together", "misfire_grace_s": 3600}


@pytest.fixture
def server(tmp_path: Path, migrated: Path) -> Iterator[Server]:
    shutil.copy(migrated, tmp_path / "carillon.sqlite")
    made = Server(
        tmp_path,
        CARILLON_TASK_MODULES="tests.faults.fault_tasks",
        CARILLON_MAX_WORKERS="10",
        CARILLON_LOG_LEVEL="WARNING",
    )
    yield made
    made.close()


def add_jobs(folder: Path, trace: Path) -> None:
    """Forty jobs that are due each second, which ten workers cannot keep up with."""
    app = create_app(Settings(instance_path=folder, task_modules=["tests.faults.fault_tasks"], _env_file=None))
    with app.app_context():
        now = clock.now()
        for number in range(JOBS):
            raw = {
                "id": f"job-{number}",
                "task": "fault.trace",
                "kwargs": {"path": str(trace), "seconds": 0.3},
                "trigger": {
                    "kind": "interval", "seconds": 1, "end_date": (now + timedelta(seconds=45)).isoformat(),
                    "timezone": "UTC",
                },
                **PLENTY,
            }  # fmt: skip
            jobs.create(raw, actor=CODE, now=now)
        db.session.remove()
        db.engine.dispose()


def test_no_due_time_is_lost_and_no_run_starts_twice_over_twenty_kills(server: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    add_jobs(tmp_path, trace)
    dice = random.Random(20261123)
    seen_queued = seen_running = 0
    engine = create_engine(f"sqlite:///{tmp_path / 'carillon.sqlite'}")
    for _ in range(KILLS):
        server.start()
        time.sleep(dice.uniform(0.05, 1.2))
        server.kill()
        with engine.connect() as connection:
            counts = dict(connection.execute(text("SELECT state, count(*) FROM run GROUP BY state")).all())
        seen_queued, seen_running = (
            max(seen_queued, counts.get("queued", 0)),
            max(seen_running, counts.get("running", 0)),
        )
    assert seen_queued >= 200
    assert seen_running == 10

    with engine.begin() as connection:  # what is left of the queue need not take its time
        connection.execute(text("UPDATE job SET state = 'paused', next_due_at = NULL WHERE state = 'active'"))
        connection.execute(text("UPDATE run SET kwargs = json_set(kwargs, '$.seconds', 0) WHERE state = 'queued'"))
    server.start()
    count = text("SELECT count(*) FROM run WHERE state IN ('queued', 'running')")

    def is_done() -> bool:
        with engine.connect() as connection:
            return connection.execute(count).scalar_one() == 0

    server.wait_until(is_done, 60)
    assert server.stop() == 0

    starts = Counter(int(line.split()[0]) for line in trace.read_text().splitlines())
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT id, job_id, due_at, state, due_count FROM run ORDER BY job_id, due_at")
        ).all()
    assert {row.state for row in rows} <= {"succeeded", "lost"}
    assert max(starts.values()) == 1, "a run was started twice"
    started = {row.id for row in rows if row.state == "succeeded"}
    assert started <= set(starts), "a run succeeded that never started"
    by_job: dict[str, list[str]] = {}
    for row in rows:
        assert row.due_count == 1
        by_job.setdefault(row.job_id, []).append(str(row.due_at))
    assert len(by_job) == JOBS
    for times in by_job.values():
        assert len(times) == len(set(times)), "a due time has two rows"
        seconds = [time.mktime(time.strptime(each[:19], "%Y-%m-%d %H:%M:%S")) for each in times]
        assert {late - early for early, late in pairwise(seconds)} == {1.0}, "a due time is lost"
