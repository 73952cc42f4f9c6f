"""However Carillon is started, one process leads the schedule and every due time is acted on once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CODE
from tests.multi.conftest import FLASK, GUNICORN, Look, utc
from tests.server import ROOT, START_S, Server
from webapp import clock
from webapp.services import jobs
from webapp.store.models import Job

AddJob = Callable[..., Job]
MakeServer = Callable[..., Server]


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_each_due_time_ran_once(look: Look, trace: Path, least: int) -> None:
    starts = Counter(line.split()[0] for line in trace.read_text().splitlines())
    assert len(starts) >= least
    assert set(starts.values()) == {1}
    due = look.one("SELECT count(*) FROM run WHERE due_at IS NOT NULL")
    assert due == look.one("SELECT count(DISTINCT due_at) FROM run")


@pytest.mark.only_on("sqlite", "postgresql", "mariadb")
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["plain", "preload"])
def test_four_gunicorn_workers_have_one_leader(
    make_server: MakeServer, look: Look, add_job: AddJob, tmp_path: Path, preload: list[str]
) -> None:
    add_job()
    server = make_server()
    server.launch([*GUNICORN, "-w", "4", "-b", f"127.0.0.1:{server.port}", *preload])
    server.wait_until(lambda: len(look.processes()) == 4 and look.leader(), START_S)
    server.wait_until(lambda: look.one("SELECT count(*) FROM run WHERE state = 'succeeded'") >= 3, 10)
    assert server.process is not None
    assert look.processes() == sorted(children_of(server.process.pid)), "gunicorn's own process must run nothing"
    assert look.leader() in look.processes()
    assert look.epoch() == 1
    assert server.stop() == 0
    assert look.processes() == []
    assert_each_due_time_ran_once(look, tmp_path / "trace.txt", 3)


def test_gunicorn_without_our_configuration_starts_at_the_first_request(
    make_server: MakeServer, look: Look, add_job: AddJob
) -> None:
    add_job()
    server = make_server()
    server.launch([*GUNICORN[:4], "-c", "/dev/null", "-w", "2", "-b", f"127.0.0.1:{server.port}"])
    server.wait_until(server.is_live, START_S)
    server.wait_until(lambda: look.one("SELECT count(*) FROM run WHERE state = 'succeeded'") >= 2, 10)
    assert len(look.processes()) in (1, 2)  # a worker that had no request has not begun


def test_the_debug_reloader_leads_with_the_process_that_serves(
    make_server: MakeServer, look: Look, add_job: AddJob, tmp_path: Path
) -> None:
    module = tmp_path / "mine.py"
    module.write_text("")
    add_job()
    server = make_server(
        CARILLON_TASK_MODULES="tests.faults.fault_tasks,mine",
        PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}",
        CARILLON_STOP_WAIT_S="1",
    )
    server.launch([*FLASK, "--debug", "run", "--port", str(server.port)])
    server.wait_until(server.is_live, START_S)
    assert server.process is not None
    first = server.wait_until(look.leader, 10)
    (serving,) = children_of(server.process.pid)
    assert first == serving
    assert look.processes() == [serving]
    module.write_text("# changed\n")

    def is_the_next_one() -> bool:
        return server.is_live() and look.leader() not in (None, first)

    server.wait_until(is_the_next_one, START_S)
    assert look.processes() == children_of(server.process.pid)
    server.signal(signal.SIGKILL)
    assert_each_due_time_ran_once(look, tmp_path / "trace.txt", 1)


def test_commands_start_nothing(make_server: MakeServer, look: Look, add_job: AddJob, tmp_path: Path) -> None:
    add_job()
    time.sleep(2.1)  # now a due time waits
    server = make_server(FLASK_DEBUG="1")
    for arguments in (["routes"], ["user", "--help"], ["db", "current"], ["shell", "-c", "print(1)"]):
        if arguments[0] != "shell":
            subprocess.run([*FLASK, *arguments], env=server.environment, cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*FLASK, "shell"], env=server.environment, cwd=tmp_path, check=True, capture_output=True, input=b"")
    assert look.processes() == []
    assert look.epoch() == 0
    assert look.one("SELECT count(*) FROM run") == 0


@pytest.mark.only_on("sqlite", "postgresql", "mariadb")
def test_the_scheduler_runs_as_a_process_of_its_own_beside_pages_only(
    make_server: MakeServer, look: Look, add_job: AddJob, tmp_path: Path
) -> None:
    add_job()
    pages = make_server(CARILLON_SCHEDULER="off").start("--workers", "2")
    scheduler = make_server(CARILLON_SCHEDULER="off")  # one environment for both: the command is what decides
    scheduler.launch([*FLASK, "scheduler", "run"])
    scheduler.wait_until(lambda: look.one("SELECT count(*) FROM run WHERE state = 'succeeded'") >= 2, START_S)
    assert scheduler.process is not None
    assert look.processes() == [scheduler.process.pid]
    assert pages.is_live()
    assert scheduler.stop() == 0
    assert look.leader() is None
    assert look.processes() == []
    assert_each_due_time_ran_once(look, tmp_path / "trace.txt", 2)


@pytest.mark.only_on("sqlite", "postgresql", "mariadb")
def test_what_another_process_changes_is_seen_within_a_second(
    make_server: MakeServer, look: Look, add_job: AddJob
) -> None:
    yearly = {"kind": "cron", "month": "1", "day": "1", "hour": "0", "minute": "0", "timezone": "UTC"}
    job = add_job(trigger=yearly)
    server = make_server()
    server.launch([*FLASK, "scheduler", "run"])
    server.wait_until(look.leader, START_S)

    def delay(question: Callable[[], bool]) -> float:
        start = time.monotonic()
        server.wait_until(question, 5)
        return time.monotonic() - start

    def succeeded(job_id: str) -> int:
        query = "SELECT count(*) FROM run WHERE job_id = :id AND state = 'succeeded'"
        return int(look.one(query, id=job_id))

    delays = []
    for number in range(1, 6):
        time.sleep(0.13 * number)  # at any moment of the leader's sleep
        jobs.run_now(job.id, actor=CODE, now=clock.now())
        delays.append(delay(lambda number=number: succeeded(job.id) == number))
    assert max(delays) < 1.0, f"a run that was asked for began after {delays}"

    fast = add_job()
    server.wait_until(lambda: succeeded(fast.id) >= 1, 5)
    due_at, started_at = look.rows("SELECT due_at, started_at FROM run WHERE job_id = :id ORDER BY id", id=fast.id)[0]
    assert (utc(started_at) - utc(due_at)).total_seconds() < 1.0
    jobs.pause(fast.id, actor=CODE, now=clock.now())
    before = look.one("SELECT count(*) FROM run WHERE job_id = :id", id=fast.id)
    time.sleep(1.6)
    assert look.one("SELECT count(*) FROM run WHERE job_id = :id", id=fast.id) == before
    jobs.resume(fast.id, actor=CODE, now=clock.now())
    assert delay(lambda: look.one("SELECT count(*) FROM run WHERE job_id = :id", id=fast.id) > before) < 2.5
    jobs.patch(fast.id, {"trigger": yearly}, actor=CODE, now=clock.now())
    before = look.one("SELECT count(*) FROM run WHERE job_id = :id", id=fast.id)
    time.sleep(1.6)
    assert look.one("SELECT count(*) FROM run WHERE job_id = :id", id=fast.id) == before
