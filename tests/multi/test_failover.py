"""Four processes on one database while leaders are killed and frozen: each due time once, none without its outcome.

``CARILLON_TEST_FULL=1`` runs the long form: 300 jobs each second for 60 s, a kill every 10 s.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.databases import Database
from tests.multi.conftest import FLASK, Look, utc
from tests.server import START_S, Server
from webapp import clock
from webapp.store.models import Job

NODES = 4
TAKE_OVER_S = 12.0


@dataclass(frozen=True)
class Form:
    """How long and how hard: ``kills`` and ``freeze`` in seconds after the first due time."""

    jobs: int
    seconds: int
    kills: tuple[int, ...]
    freeze: int | None = None
    frozen_s: float = 15.0

    @classmethod
    def of(cls, apart: bool) -> Form:
        if os.environ.get("CARILLON_TEST_FULL") == "1":
            return cls(jobs=300, seconds=60, kills=(10, 20, 40, 50), freeze=25)
        if apart:  # then a kill too is noticed only when the lease runs out
            return cls(jobs=30, seconds=15, kills=(3,))
        return cls(jobs=30, seconds=26, kills=(3, 6), freeze=8)

    @property
    def blows(self) -> list[int]:
        """The seconds at which something happens to a leader."""
        return sorted((*self.kills, self.freeze) if self.freeze else self.kills)


class Cluster:
    """Scheduler processes, each on a machine of its own where that can be played with namespaces."""

    def __init__(self, make: Callable[[], Server], look: Look, apart: bool) -> None:
        self.look = look
        self.form = Form.of(apart)
        self.nodes = {f"node{number}": make() for number in range(NODES)}
        self._apart = apart

    def start(self, name: str) -> None:
        command = [*FLASK, "scheduler", "run"]
        if self._apart:  # another host name and other process numbers: nobody can see who is alive
            script = f'hostname {name}; exec "$@"'
            command = ["unshare", "--pid", "--fork", "--mount-proc", "--uts", "sh", "-c", script, "sh", *command]
        self.nodes[name].launch(command)

    def leader(self) -> str | None:
        """The node that holds the lease."""
        found = self.look.rows("SELECT holder FROM scheduler_lease WHERE holder IS NOT NULL")
        if not found:
            return None
        host, pid, _ = found[0][0].split(":")
        if self._apart:
            return str(host)
        names = (name for name, node in self.nodes.items() if node.process and node.process.pid == int(pid))
        return next(names, None)

    def wait_for_leader(self, but: str | None = None) -> str:
        """The leader, as soon as there is one that is not ``but``."""
        watched = next(node for name, node in self.nodes.items() if name != but)
        return str(watched.wait_until(lambda: (name := self.leader()) != but and name, START_S))


def can_be_apart() -> bool:
    """Whether this machine lets a test play several."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "--uts", "true"], check=False).returncode == 0


@pytest.fixture(params=["one machine", "four machines"])
def cluster(
    request: pytest.FixtureRequest, database: Database, make_server: Callable[..., Server], look: Look
) -> Iterator[Cluster]:
    apart = request.param == "four machines"
    if apart and database.kind == "sqlite":
        pytest.skip("SQLite is for one machine")
    if apart and not can_be_apart():
        pytest.skip("this account may not make namespaces")
    made = Cluster(make_server, look, apart)
    yield made
    for node in made.nodes.values():
        node.close()


@pytest.fixture
def freeze(database: Database, look: Look) -> Callable[[Server], datetime]:
    """Stop a process in its tracks; when that was.

    On SQLite not while it holds the file's write lock, which nothing but its own end or going on would release.
    """

    def stop(server: Server) -> datetime:
        while True:
            server.signal(signal.SIGSTOP)
            server.wait_until(lambda: is_still(server), START_S)
            stopped_at = datetime.now(UTC)
            if database.kind != "sqlite" or is_writable(look):
                return stopped_at
            server.signal(signal.SIGCONT)
            time.sleep(0.01)

    return stop


def is_still(server: Server) -> bool:
    """Whether every thread of a process has stopped: on a busy machine one may go on for a while, and take a lock."""
    assert server.process is not None
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/stat")
    try:
        return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)
    except (FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile
        return False


def is_writable(look: Look) -> bool:
    try:
        with look.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 300")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.exec_driver_sql("ROLLBACK")
    except OperationalError:
        return False
    return True


@pytest.mark.only_on("sqlite", "postgresql", "mariadb")
def test_no_due_time_is_lost_or_doubled_while_leaders_die_and_freeze(
    cluster: Cluster, add_job: Callable[..., Job], freeze: Callable[[Server], datetime], look: Look, tmp_path: Path
) -> None:
    form = cluster.form
    first = clock.now().replace(microsecond=0) + timedelta(seconds=form.jobs // 40 + 6)
    last = first + timedelta(seconds=form.seconds)
    span = {"start_date": first.isoformat(), "end_date": last.isoformat()}
    for number in range(form.jobs):
        add_job(id=f"job-{number}", trigger={"kind": "interval", "seconds": 1, "timezone": "UTC", **span})
    assert clock.now() < first, "the jobs were not stored in time"
    for name in cluster.nodes:
        cluster.start(name)
    cluster.wait_for_leader()

    waits = hurt(cluster, freeze, first)
    watched = next(iter(cluster.nodes.values()))
    done = "SELECT (SELECT count(*) FROM job WHERE state = 'active') + " \
        "(SELECT count(*) FROM run WHERE state IN ('queued', 'running'))"  # fmt: skip
    watched.wait_until(lambda: look.one(done) == 0, 60 + form.seconds)

    report(look, first, waits)
    assert max(waits) < TAKE_OVER_S, f"take-overs took {waits} s"
    expected = [first + timedelta(seconds=second) for second in range(form.seconds + 1)]
    assert_complete(look, form.jobs, expected, tmp_path / "trace.txt")


def hurt(cluster: Cluster, freeze: Callable[[Server], datetime], first: datetime) -> list[float]:
    """Kill leaders, freeze one; after how many seconds each had a successor."""
    waits = []
    form = cluster.form
    for second in form.blows:
        time.sleep(max(0.0, (first + timedelta(seconds=second) - clock.now()).total_seconds()))
        name, epoch = cluster.wait_for_leader(), cluster.look.epoch()
        node = cluster.nodes[name]
        if second == form.freeze:
            hurt_at = freeze(node)
        else:
            hurt_at = datetime.now(UTC)
            node.kill()
        cluster.nodes["node0" if name != "node0" else "node1"].wait_until(
            lambda epoch=epoch: cluster.look.epoch() > epoch, START_S
        )
        waits.append(round((datetime.now(UTC) - hurt_at).total_seconds(), 1))
        if second == form.freeze:
            time.sleep(max(0.0, form.frozen_s - waits[-1]))
            node.signal(signal.SIGCONT)
        else:
            cluster.start(name)
    return waits


def assert_complete(look: Look, jobs: int, expected: list[datetime], trace: Path) -> None:
    """Every due time has one row in a final state, and what was started was started once."""
    rows = look.rows("SELECT id, job_id, due_at, state, due_count, attempt FROM run")
    assert {row.state for row in rows} <= {"succeeded", "lost"}
    by_job: dict[str, list[datetime]] = {}
    for row in rows:
        assert (row.due_count, row.attempt) == (1, 1)
        by_job.setdefault(row.job_id, []).append(utc(row.due_at).replace(tzinfo=UTC))
    assert len(by_job) == jobs
    for times in by_job.values():
        assert sorted(times) == expected
    starts = Counter(int(line.split()[0]) for line in trace.read_text().splitlines())
    assert max(starts.values()) == 1, "a run was started twice"
    succeeded = {row.id for row in rows if row.state == "succeeded"}
    assert succeeded <= set(starts), "a run succeeded that never started"
    assert len(succeeded) > 0.9 * len(rows)


def report(look: Look, first: datetime, waits: list[float]) -> None:
    """What the long form showed, for those who read it (pytest -s)."""
    states = {row[0]: row[1] for row in look.rows("SELECT state, count(*) FROM run GROUP BY state")}
    late = [
        (utc(row.started_at) - utc(row.due_at)).total_seconds()
        for row in look.rows("SELECT due_at, started_at FROM run WHERE started_at IS NOT NULL")
    ]
    late.sort()
    print(
        f"\n{look.engine.dialect.name}: {states}, epoch {look.epoch()}, take-overs {waits} s, "
        f"start delay median {late[len(late) // 2]:.2f} s, most {late[-1]:.1f} s"
    )
