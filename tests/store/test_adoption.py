"""``flask jobs adopt``: a table that plain APScheduler made is taken over, told job by job, and never changed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from click.testing import Result
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.conftest import CODE, NOW
from webapp import clock, create_app
from webapp.domain.states import JobState, RunState
from webapp.extensions import db
from webapp.services import due, heartbeat, jobs
from webapp.services.schedule_cache import schedule_of
from webapp.settings import Settings
from webapp.store.models import Job, Run, Worker
from webapp.tasks.builtin.demo import echo

BERLIN = ZoneInfo("Europe/Berlin")


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def unregistered() -> None:
    """A function that is no task."""


@pytest.fixture
def old_url(database: Any, tmp_path: Path) -> str:
    """The old table stands beside Carillon's own where that is on a server, else in a file of its own."""
    return database.url or f"sqlite:///{tmp_path / 'jobs.sqlite'}"


@pytest.fixture
def old(old_url: str) -> Iterator[BackgroundScheduler]:
    """A real APScheduler with a real table; it is paused, so that it runs nothing."""
    store = SQLAlchemyJobStore(url=old_url, tablename="old_jobs", engine_options={"poolclass": NullPool})
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone=BERLIN)
    scheduler.start(paused=True)
    yield scheduler
    scheduler.remove_all_jobs()
    scheduler.shutdown()
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE old_jobs"))


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def adopt(app: Flask, old_url: str) -> Callable[..., Result]:
    app.extensions["carillon_prepared"] = True

    def run(*more: str) -> Result:
        result = app.test_cli_runner().invoke(args=["jobs", "adopt", "--url", old_url, "--table", "old_jobs", *more])
        db.session.rollback()
        db.session.expire_all()
        return result

    return run


def fill(old: BackgroundScheduler) -> None:
    """A job of each sort, as programs have them."""
    first = NOW + timedelta(minutes=40)
    old.add_job(echo, "date", run_date=NOW + timedelta(days=3), id="date")
    old.add_job(echo, "interval", hours=5, start_date=first, id="interval", args=["a"], kwargs={"times": 2})
    old.add_job(
        echo, "cron", day_of_week="0", hour=2, id="mondays", next_run_time=datetime(2026, 6, 8, 2, tzinfo=BERLIN)
    )
    old.add_job(
        echo, "cron", day_of_week="mon-fri", hour="8-18/2", minute=30, id="office", name="Office", coalesce=False,
        max_instances=3, misfire_grace_time=90, next_run_time=datetime(2026, 6, 1, 14, 30, tzinfo=BERLIN),
    )  # fmt: skip
    old.add_job(echo, "interval", minutes=10, start_date=first, id="paused", next_run_time=None)


def rows(old_url: str) -> list[Any]:
    engine = create_engine(old_url, poolclass=NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM old_jobs ORDER BY id")).all()]


def test_every_sort_of_job_is_taken_with_its_times(
    app: Flask, old: BackgroundScheduler, adopt: Callable[..., Result], old_url: str
) -> None:
    fill(old)
    before = rows(old_url)
    result = adopt()
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "5 taken, 0 taken before, 0 left.")
    for theirs in old.get_jobs():
        ours = jobs.get(theirs.id)
        assert ours.next_due_at == theirs.next_run_time
        assert ours.task == "demo.echo"
        assert (ours.name, ours.coalesce, ours.max_instances) == (theirs.name, theirs.coalesce, theirs.max_instances)
        assert ours.misfire_grace_s == theirs.misfire_grace_time
        at = theirs.next_run_time
        for _ in range(4 if at else 0):  # it goes on as it would have
            at = theirs.trigger.get_next_fire_time(at, at)
            if at is not None:
                assert schedule_of(ours).next_after(at - timedelta(seconds=1)) == at
    assert (jobs.get("interval").args, jobs.get("interval").kwargs) == (["a"], {"times": 2})
    assert jobs.get("mondays").trigger["day_of_week"] in ("0", "mon")
    assert jobs.get("office").timezone == "Europe/Berlin"
    assert jobs.get("paused").state == JobState.PAUSED
    assert rows(old_url) == before
    lines = {line.split()[1]: line for line in result.output.splitlines()[:-1]}
    assert "Monday" in lines["mondays"]
    assert "Next run 2026-06-08T02:00:00+02:00, as it was." in lines["mondays"]
    assert lines["paused"].endswith("Paused, as it was.")


@pytest.mark.only_on("sqlite")
def test_a_second_time_changes_nothing(app: Flask, old: BackgroundScheduler, adopt: Callable[..., Result]) -> None:
    fill(old)
    adopt()
    jobs.patch("office", {"name": "Edited here"}, actor=CODE, now=NOW)
    before = {job.id: (job.revision, job.next_due_at, job.name) for job in db.session.query(Job)}
    result = adopt()
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "0 taken, 5 taken before, 0 left."
    assert {job.id: (job.revision, job.next_due_at, job.name) for job in db.session.query(Job)} == before


@pytest.mark.only_on("sqlite")
def test_a_dry_run_tells_the_same_and_stores_nothing(
    app: Flask, old: BackgroundScheduler, adopt: Callable[..., Result]
) -> None:
    fill(old)
    dry = adopt("--dry-run")
    assert (dry.exit_code, db.session.query(Job).count()) == (0, 0)
    assert dry.output.splitlines()[:-1] == adopt().output.splitlines()[:-1]


@pytest.mark.only_on("sqlite")
def test_what_was_due_since_the_old_program_stopped_is_judged_by_the_job_s_rules(
    app: Flask, old: BackgroundScheduler, adopt: Callable[..., Result]
) -> None:
    stopped = NOW - timedelta(hours=2)
    old.add_job(
        echo, "interval", hours=1, start_date=stopped, next_run_time=stopped, id="late", misfire_grace_time=None
    )
    old.add_job(echo, "date", run_date=stopped, next_run_time=stopped, id="missed", misfire_grace_time=1)
    assert adopt().exit_code == 0
    held = heartbeat.take(Worker(id="test", host="here", pid=1, detail={}), NOW)
    assert held is not None
    due.due_pass(held, NOW)
    found = {run.job_id: (run.state, run.first_due_at, run.due_count) for run in db.session.query(Run)}
    assert found == {"late": (RunState.QUEUED, stopped, 3), "missed": (RunState.MISSED, stopped, 1)}


def test_what_cannot_be_taken_is_told_with_the_reason_and_left(
    app: Flask, old: BackgroundScheduler, adopt: Callable[..., Result], old_url: str, tmp_path: Path,
    make_job: Callable[..., Job],
) -> None:  # fmt: skip
    mark = tmp_path / "mark"
    make_job(id="taken-id")
    for name in ("taken-id", "good", "rubbish", "malice"):
        old.add_job(echo, "interval", hours=1, id=name)
    old.add_job(unregistered, "interval", hours=1, id="stranger")
    old.add_job(echo, "interval", hours=1, id="set", kwargs={"x": {1, 2}})
    old.add_job(echo, "interval", hours=1, id="executor", executor="nope")
    evil = {**old.get_job("malice").__getstate__(), "kwargs": {"x": Evil(mark)}}
    engine = create_engine(old_url, poolclass=NullPool)
    with engine.begin() as connection:
        change = text("UPDATE old_jobs SET job_state = :data WHERE id = :id")
        connection.execute(change, {"data": b"rubbish", "id": "rubbish"})
        connection.execute(change, {"data": pickle.dumps(evil), "id": "malice"})
    before = rows(old_url)
    result = adopt()
    assert result.exit_code == 1
    lines = {line.split()[1]: line for line in result.output.splitlines()[:-1]}
    assert result.output.splitlines()[-1] == "1 taken, 0 taken before, 6 left."
    assert lines["good"].startswith("taken")
    assert "another job with this id" in lines["taken-id"]
    assert "not a pickle that can be read" in lines["rubbish"]
    assert "system, which is no trigger, date or time zone" in lines["malice"]
    assert "There is no task" in lines["stranger"]
    assert "a set" in lines["set"]
    assert "executor" in lines["executor"]
    assert not mark.exists()
    assert rows(old_url) == before
    assert sorted(job.id for job in db.session.query(Job)) == ["good", "taken-id"]
    named = f"{__name__}:unregistered=demo.echo"
    assert "taken    stranger" in adopt("--map", named).output


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "nonsense"], "no database URL"),
        (["--url", "nosuch://x/y"], "url"),
        (["--url", "sqlite:////no/such/file.sqlite"], "There is no file"),
        (["--url", "sqlite://"], "There is no table apscheduler_jobs"),
        (["--url", "sqlite://", "--map", "x"], "module:function=task"),
    ],
)
def test_a_table_that_cannot_be_read_is_told_in_one_line(app: Flask, arguments: list[str], said: str) -> None:
    app.extensions["carillon_prepared"] = True
    result = app.test_cli_runner().invoke(args=["jobs", "adopt", *arguments])
    assert result.exit_code in (1, 2)
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.only_on("sqlite")
def test_the_old_libraries_zones_are_taken(app: Flask, old: BackgroundScheduler, adopt: Callable[..., Result]) -> None:
    import pytz

    job = old.add_job(echo, "cron", hour=9, id="pytz", next_run_time=datetime(2026, 6, 2, 9, tzinfo=BERLIN))
    job.trigger.timezone = pytz.timezone("Europe/Berlin")
    moment = pytz.timezone("Europe/Berlin").localize(datetime(2026, 6, 2, 9))
    old.modify_job("pytz", trigger=job.trigger, next_run_time=moment)
    assert adopt().exit_code == 0
    row = jobs.get("pytz")
    assert (row.timezone, row.next_due_at) == ("Europe/Berlin", datetime(2026, 6, 2, 7, tzinfo=UTC))


@pytest.mark.only_on("sqlite")
def test_a_new_installation_gets_its_tables_first(old: BackgroundScheduler, old_url: str, tmp_path: Path) -> None:
    old.add_job(echo, "interval", hours=1, id="first")
    (tmp_path / "fresh").mkdir()
    fresh = create_app(Settings(instance_path=tmp_path / "fresh", _env_file=None))
    result = fresh.test_cli_runner().invoke(args=["jobs", "adopt", "--url", old_url, "--table", "old_jobs"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "1 taken, 0 taken before, 0 left.")
    with fresh.app_context():
        db.session.remove()
        db.engine.dispose()
