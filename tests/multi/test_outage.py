"""The database server cuts connections, restarts, is killed or stays away: nothing is lost, nothing happens twice."""

from __future__ import annotations

import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.conftest import CODE
from tests.databases import PRIVATE, Backend, Database, NoServer, migrate, skip_without
from tests.multi.conftest import FLASK, Look, utc
from tests.private_servers import NotInstalled, PrivateServer
from tests.server import START_S, Server
from webapp import clock
from webapp.services import jobs
from webapp.services.status import WORKER_GONE_S
from webapp.store.models import Job

pytestmark = pytest.mark.only_on("postgresql", "mariadb")
BACK_S = 2.0
"""So long after the database is back, due times must be served again."""
AddJob = Callable[..., Job]


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[PrivateServer]:
    """The database server, which the test may stop."""
    try:
        made = PRIVATE[request.getfixturevalue("kind")]()
    except NotInstalled as error:
        skip_without(NoServer(str(error)))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["database"])


@pytest.fixture
def database(request: pytest.FixtureRequest, kind: str, machine: PrivateServer, tmp_path: Path) -> Database:
    """A migrated database on a server of this test's own."""
    made = Backend(kind, machine.url).create()
    migrate(made, tmp_path)
    return made


@pytest.fixture
def scheduler(make_server: Callable[..., Server], look: Look) -> Server:
    """A process that leads."""
    made = make_server()
    made.launch([*FLASK, "scheduler", "run"])
    made.wait_until(look.leader, START_S)
    return made


def succeeded(look: Look) -> int:
    return int(look.one("SELECT count(*) FROM run WHERE state = 'succeeded'"))


def end_sessions(database: Database) -> int:
    """Cut all connections to the database but this one; how many there were."""
    engine = create_engine(database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if database.kind == "postgresql":
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " \
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"  # fmt: skip
            return len(connection.execute(text(query)).all())
        query = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        found = connection.execute(text(query)).scalars().all()
        for session in found:
            connection.exec_driver_sql(f"KILL {session}")
        return len(found)


def assert_whole(look: Look, trace: Path) -> None:
    """No second without its run, no run twice or without its outcome."""
    rows = look.rows("SELECT id, due_at, state FROM run WHERE due_at IS NOT NULL ORDER BY due_at")
    assert {row.state for row in rows} == {"succeeded"}
    times = [utc(row.due_at) for row in rows]
    assert {late - early for early, late in pairwise(times)} == {timedelta(seconds=1)}
    starts = Counter(int(line.split()[0]) for line in trace.read_text().splitlines())
    assert set(starts.values()) == {1}
    assert {row.id for row in rows} <= set(starts)


def finish(look: Look, scheduler: Server, job: Job) -> None:
    jobs.pause(job.id, actor=CODE, now=clock.now())
    scheduler.wait_until(lambda: look.one("SELECT count(*) FROM run WHERE state IN ('queued', 'running')") == 0, 15)


def first_start_after(look: Look, moment: datetime) -> datetime | None:
    found = look.one("SELECT min(started_at) FROM run WHERE started_at > :at", at=moment.replace(tzinfo=None))
    return None if found is None else utc(found).replace(tzinfo=UTC)


def test_cut_connections_lose_nothing(
    database: Database, scheduler: Server, look: Look, add_job: AddJob, tmp_path: Path
) -> None:
    job = add_job(seconds=0.1)
    scheduler.wait_until(lambda: succeeded(look) >= 1, 10)
    dice = random.Random(5)
    cut = 0
    for _ in range(12):
        time.sleep(dice.uniform(0.05, 0.7))
        cut += end_sessions(database)
    assert cut >= 12
    before = succeeded(look)
    scheduler.wait_until(lambda: succeeded(look) >= before + 2, 10)
    finish(look, scheduler, job)
    assert_whole(look, tmp_path / "trace.txt")
    assert look.epoch() == 1, "a cut connection is no reason to change the leader"


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_database_server_that_restarts_is_served_again_within_two_seconds(
    machine: PrivateServer, scheduler: Server, look: Look, add_job: AddJob, tmp_path: Path, how: str
) -> None:
    job = add_job(seconds=0.1)
    for away_s in (0.0, 3.0):
        before = succeeded(look)
        scheduler.wait_until(lambda before=before: succeeded(look) >= before + 2, 10)
        machine.stop() if how == "stopped" else machine.kill()
        time.sleep(away_s)
        machine.start()
        back = datetime.now(UTC)
        start = scheduler.wait_until(lambda back=back: first_start_after(look, back), 10)
        assert (start - back).total_seconds() < BACK_S
    finish(look, scheduler, job)
    assert_whole(look, tmp_path / "trace.txt")


def test_runs_go_on_through_an_outage_longer_than_any_lease(
    machine: PrivateServer, make_server: Callable[..., Server], scheduler: Server, look: Look, add_job: AddJob,
    tmp_path: Path,
) -> None:  # fmt: skip
    """All processes lose touch for longer than a silent one is believed to live; whoever leads then kills no run."""
    away_s = WORKER_GONE_S + 2
    other = make_server().start("--workers", "1")
    other.wait_until(lambda: len(look.processes()) == 2, START_S)
    long = add_job(seconds=away_s + 4, trigger={"kind": "interval", "days": 1})
    jobs.run_now(long.id, actor=CODE, now=clock.now())
    job = add_job(seconds=0.1)
    scheduler.wait_until(lambda: succeeded(look) >= 1, 10)
    machine.stop()
    time.sleep(away_s)
    assert other.is_live(), "pages are served without a database"
    assert status_of(f"{other.url}/login") in (200, 503)
    machine.start()
    back = datetime.now(UTC)
    start = scheduler.wait_until(lambda: first_start_after(look, back), 10)
    assert (start - back).total_seconds() < BACK_S
    query = "SELECT state FROM run WHERE job_id = :id"
    scheduler.wait_until(lambda: look.one(query, id=long.id) != "running", 15)
    assert look.one(query, id=long.id) == "succeeded"
    finish(look, scheduler, job)
    assert_whole(look, tmp_path / "trace.txt")


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_server_that_starts_before_its_database_begins_when_it_answers(
    machine: PrivateServer, make_server: Callable[..., Server], look: Look, add_job: AddJob, tmp_path: Path
) -> None:
    job = add_job(seconds=0.1)
    machine.stop()
    scheduler = make_server()
    scheduler.launch([*FLASK, "scheduler", "run"])
    scheduler.wait_until(lambda: "does not answer" in scheduler.log.read_text(), START_S)
    machine.start()
    scheduler.wait_until(lambda: succeeded(look) >= 2, 10)
    finish(look, scheduler, job)
    assert_whole(look, tmp_path / "trace.txt")
