"""What APScheduler promises of a job store, asked of each of ours and of the library's own memory store alike."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from tests.jobstores import OUTSIDE, empty, options
from webapp import clock
from webapp.domain import schedules
from webapp.engine.job_store import CatalogueJobStore, function_of
from webapp.serving import scheduler_of
from webapp.store import jobstores
from webapp.store.job_states import Unreadable
from webapp.store.jobstores import KeptStore
from webapp.tasks.builtin.demo import echo


def started(made: BaseJobStore, app: Flask) -> Iterator[BaseJobStore]:
    made.start(scheduler_of(app).scheduler, "default")
    yield made
    made.shutdown()


@pytest.fixture
def base() -> datetime:
    """A whole hour that lies ahead."""
    return (clock.now() + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def make(app: Flask) -> Callable[..., SchedulerJob]:
    """An APScheduler job as ``add_job`` makes it, not yet in any store."""

    def made(job_id: str, trigger: Any, next_run_time: datetime | None, **more: Any) -> SchedulerJob:
        fields = {"func": echo, "args": (), "kwargs": {"text": job_id}, "name": job_id, "executor": "default"}
        fields |= {"coalesce": True, "max_instances": 1, "misfire_grace_time": 60}
        scheduler = scheduler_of(app).scheduler
        return SchedulerJob(scheduler, id=job_id, trigger=trigger, next_run_time=next_run_time, **{**fields, **more})

    return made


@pytest.fixture
def three(store: BaseJobStore, make: Callable[..., SchedulerJob], base: datetime) -> list[SchedulerJob]:
    """A job each hour, one for a date, and a paused one; added in another order than they are due."""
    jobs = [
        make("paused", IntervalTrigger(hours=1, start_date=base, timezone=UTC), None),
        make("later", DateTrigger(base + timedelta(days=1), UTC), base + timedelta(days=1)),
        make("sooner", IntervalTrigger(hours=1, start_date=base, timezone=UTC), base),
    ]
    for job in jobs:
        store.add_job(job)
    return jobs


def ids(jobs: list[SchedulerJob]) -> list[str]:
    return [job.id for job in jobs]


class Contract:
    """The tests; subclasses say which store."""

    def test_an_empty_store(self, store: BaseJobStore, base: datetime) -> None:
        assert store.lookup_job("nobody") is None
        assert store.get_all_jobs() == []
        assert store.get_due_jobs(base) == []
        assert store.get_next_run_time() is None
        store.remove_all_jobs()

    def test_what_was_added_is_found_with_all_it_was_added_with(
        self, store: BaseJobStore, make: Callable[..., SchedulerJob], base: datetime
    ) -> None:
        trigger = CronTrigger(day_of_week="0", hour=2, minute=30, timezone="Europe/Berlin")
        first = trigger.get_next_fire_time(None, base)
        job = make(
            "whole", trigger, first, coalesce=False, max_instances=3, misfire_grace_time=None, args=("a",), kwargs={}
        )
        store.add_job(job)
        found = store.lookup_job("whole")
        assert (found.id, found.name, found.func, found.func_ref) == ("whole", "whole", echo, job.func_ref)
        assert (tuple(found.args), found.kwargs) == (("a",), {})
        assert (found.coalesce, found.max_instances, found.misfire_grace_time) == (False, 3, None)
        assert (found.executor, found.next_run_time) == ("default", first)
        assert found.trigger.get_next_fire_time(first, first) == trigger.get_next_fire_time(first, first)

    def test_all_jobs_come_in_the_order_of_their_next_runs_paused_ones_last(
        self, store: BaseJobStore, three: list[SchedulerJob], base: datetime
    ) -> None:
        assert ids(store.get_all_jobs()) == ["sooner", "later", "paused"]
        assert store.get_next_run_time() == base

    def test_due_jobs_are_those_whose_time_has_come(
        self, store: BaseJobStore, three: list[SchedulerJob], base: datetime
    ) -> None:
        second = timedelta(seconds=1)
        assert ids(store.get_due_jobs(base - second)) == []
        assert ids(store.get_due_jobs(base)) == ["sooner"]
        assert ids(store.get_due_jobs(base + timedelta(days=1))) == ["sooner", "later"]

    def test_only_paused_jobs_have_no_next_run(
        self, store: BaseJobStore, make: Callable[..., SchedulerJob], base: datetime
    ) -> None:
        store.add_job(make("paused", IntervalTrigger(hours=1, start_date=base, timezone=UTC), None))
        assert store.get_next_run_time() is None
        assert store.lookup_job("paused").next_run_time is None
        assert store.get_due_jobs(base + timedelta(days=9)) == []

    def test_an_id_that_is_taken_conflicts_and_changes_nothing(
        self, store: BaseJobStore, make: Callable[..., SchedulerJob], three: list[SchedulerJob], base: datetime
    ) -> None:
        with pytest.raises(ConflictingIdError):
            store.add_job(make("sooner", DateTrigger(base + timedelta(days=3), UTC), base + timedelta(days=3)))
        assert store.lookup_job("sooner").next_run_time == base

    def test_an_update_replaces_the_job(self, store: BaseJobStore, three: list[SchedulerJob], base: datetime) -> None:
        job = store.lookup_job("sooner")
        moved = base + timedelta(days=2)
        job._modify(
            name="Moved", max_instances=4, kwargs={"text": "new"}, next_run_time=moved,
            trigger=IntervalTrigger(hours=5, start_date=moved, timezone=UTC),
        )  # fmt: skip
        store.update_job(job)
        found = store.lookup_job("sooner")
        assert (found.name, found.max_instances, found.kwargs) == ("Moved", 4, {"text": "new"})
        assert found.next_run_time == moved
        assert ids(store.get_all_jobs()) == ["later", "sooner", "paused"]
        assert store.get_next_run_time() == base + timedelta(days=1)

    def test_an_update_pauses_and_resumes(self, store: BaseJobStore, three: list[SchedulerJob], base: datetime) -> None:
        job = store.lookup_job("sooner")
        job._modify(next_run_time=None)
        store.update_job(job)
        assert store.lookup_job("sooner").next_run_time is None
        assert ids(store.get_due_jobs(base)) == []
        job._modify(next_run_time=base + timedelta(hours=1))
        store.update_job(job)
        assert store.lookup_job("sooner").next_run_time == base + timedelta(hours=1)

    def test_what_is_not_there_can_be_neither_updated_nor_removed(
        self, store: BaseJobStore, make: Callable[..., SchedulerJob], base: datetime
    ) -> None:
        with pytest.raises(JobLookupError):
            store.update_job(make("nobody", IntervalTrigger(hours=1, start_date=base, timezone=UTC), base))
        with pytest.raises(JobLookupError):
            store.remove_job("nobody")
        assert store.lookup_job("nobody") is None

    def test_removing(self, store: BaseJobStore, three: list[SchedulerJob]) -> None:
        store.remove_job("sooner")
        assert store.lookup_job("sooner") is None
        assert ids(store.get_all_jobs()) == ["later", "paused"]
        with pytest.raises(JobLookupError):
            store.remove_job("sooner")
        store.remove_all_jobs()
        assert store.get_all_jobs() == []

    def test_an_id_may_be_used_again_after_removal(
        self, store: BaseJobStore, make: Callable[..., SchedulerJob], three: list[SchedulerJob], base: datetime
    ) -> None:
        store.remove_job("later")
        store.add_job(make("later", IntervalTrigger(hours=1, start_date=base, timezone=UTC), base))
        assert store.lookup_job("later").next_run_time == base

    def test_a_job_from_the_store_knows_its_scheduler(
        self, store: BaseJobStore, three: list[SchedulerJob], app: Flask
    ) -> None:
        job = store.lookup_job("sooner")
        assert job._scheduler is scheduler_of(app).scheduler

    def test_ids_of_any_kind_that_a_store_may_have(
        self, store: BaseJobStore, make: Callable[..., SchedulerJob], base: datetime
    ) -> None:
        names = ["Upper", "upper", "ünï", "a'b\"c", "x" * 191]
        for name in names:
            store.add_job(make(name, IntervalTrigger(hours=1, start_date=base, timezone=UTC), base, name="n"))
        assert sorted(ids(store.get_all_jobs())) == sorted(names)
        for name in names:
            store.remove_job(name)
        assert store.get_all_jobs() == []


class TestTheCatalogue(Contract):
    """The default store, on every database."""

    @pytest.fixture
    def store(self, app: Flask) -> Iterator[BaseJobStore]:
        yield from started(CatalogueJobStore(app), app)


@pytest.mark.only_on("sqlite")
class TestTheLibrary(Contract):
    """APScheduler's own memory store: the contract asks nothing that it does not do."""

    @pytest.fixture
    def store(self, app: Flask) -> Iterator[BaseJobStore]:
        yield from started(MemoryJobStore(), app)


def other(kind: str, request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[KeptStore]:
    """An empty store of this kind, for ``side``."""
    where = options(kind, request, tmp_path)
    made = jobstores.build(where.pop("type"), where, function_of)
    made.start(scheduler_of(app).scheduler, "side")
    made.open()
    yield made
    empty(made)


class TestTheSqlStore(Contract):
    """APScheduler's SQLAlchemy store as it may stand beside the catalogue, on every database."""

    @pytest.fixture
    def store(self, request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[BaseJobStore]:
        yield from other("sqlalchemy", request, app, tmp_path)


@pytest.mark.only_on("sqlite")
class TestTheOthers(Contract):
    """APScheduler's other stores, likewise."""

    @pytest.fixture(params=["memory", "redis", "mongodb"])
    def store(self, request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[BaseJobStore]:
        yield from other(request.param, request, app, tmp_path)


@pytest.fixture(params=OUTSIDE)
def outside(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[KeptStore]:
    yield from other(request.param, request, app, tmp_path)


def spoil(store: Any, job_id: str, data: bytes) -> None:
    """Put something else where the state of a job stands."""
    if isinstance(store, SQLAlchemyJobStore):
        with store.engine.begin() as connection:
            connection.execute(store.jobs_t.update().where(store.jobs_t.c.id == job_id).values(job_state=data))
    elif hasattr(store, "redis"):
        store.redis.hset(store.jobs_key, job_id, data)
    else:
        store.collection.update_one({"_id": job_id}, {"$set": {"job_state": data}})


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("data", [b"rubbish", b"cos\nsystem\n(S'true'\ntR."])
def test_no_look_deletes_what_cannot_be_restored(
    outside: KeptStore, make: Callable[..., SchedulerJob], base: datetime, data: bytes
) -> None:
    for name in ("bad", "good"):
        outside.add_job(make(name, IntervalTrigger(hours=1, start_date=base, timezone=UTC), base))
    spoil(outside, "bad", data)
    assert ids(outside.get_all_jobs()) == ["good"]
    assert ids(outside.get_due_jobs(base)) == ["good"]
    assert outside.states().keys() == {"bad", "good"}
    assert outside.state("bad") == data
    with pytest.raises(Unreadable):
        outside.lookup_job("bad")


@pytest.mark.only_on("sqlite")
def test_a_job_whose_function_is_not_known_is_given_out_and_kept(
    outside: KeptStore, make: Callable[..., SchedulerJob], base: datetime
) -> None:
    job = make("strange", IntervalTrigger(hours=1, start_date=base, timezone=UTC), base)
    job.func_ref = "no_such_module:function"
    outside.add_job(job)
    found = outside.lookup_job("strange")
    assert (found.func, found.func_ref) == (None, "no_such_module:function")


@pytest.mark.only_on("sqlite")
def test_apscheduler_s_own_store_reads_what_was_written(
    outside: KeptStore, make: Callable[..., SchedulerJob], base: datetime
) -> None:
    trigger = schedules.load({"kind": "cron", "hour": "2", "timezone": "Europe/Berlin"}, job_id="ours")
    outside.put(make("ours", trigger, base))
    state = outside.state("ours")
    assert state is not None
    assert pickle.loads(state)["trigger"] == trigger
