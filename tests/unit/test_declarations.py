"""Jobs declared beside their functions: collected, never stored; what is wrong is told and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from webapp.scheduling import scheduler as shared
from webapp.tasks import registry, task
from webapp.tasks.declarations import Declarations


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    with registry.temporary():
        yield


@pytest.fixture
def scheduler() -> Declarations:
    return Declarations()


def tidy() -> None: ...


def jobs_of(scheduler: Declarations) -> list[dict[str, Any]]:
    return [dict(each.job) for each in scheduler]


def test_a_decorated_function_is_a_task_and_a_declared_job(scheduler: Declarations) -> None:
    assert scheduler.task("interval", id="t", minutes=5, misfire_grace_time=900)(tidy) is tidy
    assert registry.get(f"{__name__}:tidy").key == "test_declarations.tidy"
    assert jobs_of(scheduler) == [
        {"trigger": "interval", "id": "t", "minutes": 5, "misfire_grace_time": 900, "func": f"{__name__}:tidy"}
    ]


def test_without_an_id_the_job_is_called_like_its_task(scheduler: Declarations) -> None:
    scheduler.task("interval", minutes=5)(tidy)
    assert jobs_of(scheduler)[0]["id"] == "test_declarations.tidy"


@pytest.mark.parametrize("task_first", [True, False])
def test_the_decorators_may_come_in_any_order(scheduler: Declarations, task_first: bool) -> None:
    declare = scheduler.task("interval", id="t", minutes=5)
    if task_first:
        declare(task(key="own.key")(tidy))
    else:
        task(key="own.key")(declare(tidy))
    assert registry.get(jobs_of(scheduler)[0]["func"]).key == "own.key"


def test_one_function_may_be_several_jobs(scheduler: Declarations) -> None:
    scheduler.task("interval", id="often", minutes=5)(scheduler.task("interval", id="rarely", days=5)(tidy))
    assert [job["id"] for job in jobs_of(scheduler)] == ["rarely", "often"]


def test_a_module_that_is_loaded_again_declares_its_jobs_anew(scheduler: Declarations) -> None:
    scheduler.task("interval", id="t", minutes=5)(tidy)
    scheduler.task("interval", id="t", minutes=6)(tidy)
    assert [job["minutes"] for job in jobs_of(scheduler)] == [6]


def test_what_cannot_be_a_task_is_told_and_nothing_is_declared(scheduler: Declarations) -> None:
    function = lambda: None  # noqa: E731
    assert scheduler.task("interval", id="t", minutes=5)(function) is function
    assert jobs_of(scheduler) == []
    (problem,) = registry.problems
    assert (problem.module, "write a function with def" in problem.error) == (__name__, True)


def test_add_job_declares_by_function_or_by_name(scheduler: Declarations) -> None:
    scheduler.add_job("one", tidy, trigger="interval", seconds=5, next_run_time=None)
    scheduler.add_job("two", "demo.echo", trigger="interval", seconds=5)
    assert [(job["id"], job["func"]) for job in jobs_of(scheduler)] == [
        ("one", f"{__name__}:tidy"),
        ("two", "demo.echo"),
    ]
    assert jobs_of(scheduler)[0]["next_run_time"] is None


def test_there_is_one_scheduler_to_import_before_there_is_an_app() -> None:
    assert isinstance(shared, Declarations)
