"""A farm: a real broker, a leader in the tests' own process, and workers as people start them. One for a module."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from tests.brokers import broker
from tests.conftest import CODE
from tests.databases import Backend, NoServer, migrate, skip_without
from tests.private_servers import NotInstalled, Postgres, PrivateServer
from tests.server import Server
from webapp import clock, create_app
from webapp.domain.states import RunState
from webapp.engine import broker as brokers
from webapp.extensions import db
from webapp.services import jobs, runs
from webapp.serving import scheduler_of
from webapp.settings import Settings
from webapp.store.models import Run, Worker
from webapp.tasks import capture

TASKS = "tests.celery.tasks"
CELERY = [sys.executable, "-m", "celery", "-A", "app.celery_app"]
SLOTS = 20
STOP_WAIT_S = 2


class Farm:
    """The leader's app and the worker, with the broker and the database server where these may be stopped."""

    def __init__(self, app: Flask, folder: Path, broker_url: str, server: PrivateServer | None) -> None:
        self.app = app
        self.folder = folder
        self.broker_url = broker_url
        self._broker = server
        self.database: PrivateServer | None = None
        self.trace = folder / "trace.txt"
        self._workers: list[Server] = []

    @property
    def broker(self) -> PrivateServer:
        """The broker's server, for tests that stop it; they are skipped where it is not the tests' own."""
        if self._broker is None:
            pytest.skip("the broker is not ours to stop")
        return self._broker

    @property
    def worker(self) -> Server:
        """The worker that was started last."""
        return self._workers[-1]

    def start_worker(self) -> Server:
        """Start another worker and wait until it shows itself."""
        settings: Settings = self.app.config["CARILLON"]
        server = Server(
            self.folder,
            CARILLON_DATABASE_URL=settings.database_url,
            CARILLON_EXECUTORS=json.dumps(settings.executors),
            CARILLON_TASK_MODULES=TASKS,
            CARILLON_STOP_WAIT_S=str(STOP_WAIT_S),
        )
        server.log = self.folder / f"worker-{len(self._workers)}.log"
        self._workers.append(server)
        options = ["--concurrency", str(SLOTS), "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
        server.launch([*CELERY, "worker", *options, "--hostname", f"w{len(self._workers)}@test"])
        server.wait_until(lambda: self.row(server), 60)
        return server

    def row(self, server: Server) -> Worker | None:
        """What the database says about a worker."""
        assert server.process is not None
        db.session.rollback()
        return db.session.query(Worker).filter_by(pid=server.process.pid).first()

    def begin(self, task: str, executor: str = "light", **overrides: Any) -> int:
        """Run a task through a job of its own; the run's id."""
        raw = {"task": task, "executor": executor, "trigger": {"kind": "interval", "days": 1}, **overrides}
        job = jobs.create(raw, actor=CODE, now=clock.now())
        return jobs.run_now(job.id, actor=CODE, now=clock.now()).id

    def eventually(self, question: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Ask until the answer is true; a truth that does not come fails with the worker's log."""
        until = time.monotonic() + seconds
        while True:
            answer = None
            with contextlib.suppress(OperationalError):  # the database server has just been stopped
                db.session.rollback()
                db.session.expire_all()
                answer = question()
            if answer:
                return answer
            if time.monotonic() > until:
                raise AssertionError(f"in vain:\n{self.worker.log.read_text()[-4000:]}")
            time.sleep(0.03)

    def state(self, run_id: int) -> str:
        db.session.rollback()
        db.session.expire_all()
        return str(runs.get(run_id).state)

    def texts(self, run_id: int) -> list[str]:
        return [line.text for line in runs.log(run_id).lines]

    def ended(self, run_id: int, seconds: float = 60.0) -> Run:
        return self.eventually(lambda: runs.get(run_id) if RunState(runs.get(run_id).state).is_final else None, seconds)

    def running(self, run_id: int) -> None:
        self.eventually(lambda: runs.get(run_id).state == RunState.RUNNING)

    def starts(self) -> list[int]:
        """The numbers of the runs that were started, once for each start."""
        return _numbers(self.trace)

    def ends(self) -> list[int]:
        """The numbers of the runs that came to their end."""
        return _numbers(Path(f"{self.trace}.ends"))

    def signal(self, number: int) -> None:
        """Send a signal to the worker's main process only."""
        assert self.worker.process is not None
        os.kill(self.worker.process.pid, number)

    def close(self) -> None:
        for server in self._workers:
            server.close()


def _numbers(path: Path) -> list[int]:
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


def farm_on(kind: str, folder: Path, database_url: str) -> Iterator[Farm]:
    """A farm with one worker and a leader that serves."""
    try:
        with broker(kind) as (url, server):
            remote = {"type": "celery", "broker_url": url}
            settings = Settings(
                instance_path=folder,
                database_url=database_url,
                task_modules=[TASKS],
                executors={
                    "light": {**remote, "inner": "threadpool", "queue": "carillon-test-light"},
                    "heavy": {**remote, "queue": "carillon-test-heavy"},
                },
                _env_file=None,
            )
            app = create_app(settings)
            app.config.update(TESTING=True, RATELIMIT_ENABLED=False)
            with app.app_context():
                made = Farm(app, folder, url, server)
                scheduler_of(app).scheduler.stop_wait_s = 0.0
                scheduler_of(app).start()
                try:
                    made.start_worker()
                    yield made
                finally:
                    made.close()
                    scheduler_of(app).shutdown(wait=True)
                    capture.uninstall()
                    db.session.remove()
                    db.engine.dispose()
    except NoServer as error:
        skip_without(error)


@pytest.fixture(scope="module")
def farm(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Redis, and SQLite: the leader and the workers are on one machine."""
    folder = tmp_path_factory.mktemp("farm")
    shutil.copy(migrated, folder / "carillon.sqlite")
    yield from farm_on("redis", folder, "")


@pytest.fixture(scope="module")
def far_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """RabbitMQ, and a PostgreSQL server that the tests may stop."""
    folder = tmp_path_factory.mktemp("far-farm")
    try:
        server = Postgres()
    except NotInstalled as error:
        skip_without(NoServer(str(error)))
    try:
        server.start()
        made = Backend("postgresql", server.url).create()
        migrate(made, folder)
        for farm in farm_on("rabbitmq", folder, made.url):
            farm.database = server
            yield farm
    finally:
        server.close()


@contextmanager
def celery(farm: Farm) -> Iterator[Any]:
    """Celery as somebody else on the broker has it."""
    app = brokers.make(farm.broker_url, ["carillon-test-light"], {}, receives=False)
    try:
        yield app
    finally:
        app.close()


def send(farm: Farm, run_id: int) -> None:
    """Send a run's message once more."""
    with celery(farm) as app, app.connection_for_write() as connection:
        app.send_task(brokers.TASK, (run_id,), queue="carillon-test-light", producer=app.amqp.Producer(connection))


def iso(timestamp: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes_of(farm: Farm) -> list[int]:
    """The processes in which the worker runs something, told by their names."""
    assert farm.worker.process is not None
    group = farm.worker.process.pid
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != group:
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                found.append(int(entry))
    return found
