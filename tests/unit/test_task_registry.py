"""The register of tasks: what may be one, how it is named and found, and what a failing module leaves behind."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.tasks import Registry, registry, task

WriteModule = Callable[[str, str], str]


def daily_report(day: str = "today") -> str:
    """Write the report."""
    return day


async def fetch() -> int:
    return 1


class Reports:
    @staticmethod
    def weekly() -> None: ...

    def monthly(self) -> None: ...


@pytest.fixture
def fresh() -> Iterator[Registry]:
    """The one registry, with whatever a test does to it forgotten again."""
    with registry.temporary():
        yield registry


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteModule]:
    """Write a module into a folder on the import path, as a user's PYTHONPATH would have it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)

    def write(name: str, code: str) -> str:
        path = folder.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(code), encoding="utf-8")
        return name

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(folder) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_a_task_is_found_by_its_key_and_by_its_reference() -> None:
    tasks = Registry()
    made = tasks.register(daily_report, key="reports.daily", title="Daily report")
    assert tasks.get("reports.daily") is made
    assert tasks.get(f"{__name__}:daily_report") is made
    assert (made.title, made.description, made.is_async, made.enabled) == (
        "Daily report",
        "Write the report.",
        False,
        True,
    )


def test_without_a_key_the_module_and_the_function_name_it() -> None:
    made = Registry().register(daily_report)
    assert (made.key, made.title) == ("test_task_registry.daily_report", "Daily report")


def test_the_decorator_returns_the_function_itself(fresh: Registry) -> None:
    assert task(daily_report) is daily_report
    assert task(key="reports.other", redact="day")(daily_report) is daily_report
    assert fresh.get("reports.other").redact == {"day"}


def test_an_async_function_is_known_as_one() -> None:
    assert Registry().register(fetch).is_async


def test_a_static_method_may_be_a_task() -> None:
    assert Registry().register(Reports.weekly).reference == f"{__name__}:Reports.weekly"


def test_an_unknown_task_is_not_found() -> None:
    tasks = Registry()
    assert tasks.find("no.such") is None
    with pytest.raises(NotFound, match=r"no\.such"):
        tasks.get("no.such")


def test_all_tasks_come_sorted_by_key() -> None:
    tasks = Registry()
    tasks.register(daily_report, key="z.last")
    tasks.register(fetch, key="a.first")
    assert [each.key for each in tasks.all()] == ["a.first", "z.last"]


def _inner() -> Any:
    def nested() -> None: ...

    return nested


def _unwrapped_decorator(func: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def _generator() -> Iterator[int]:
    yield 1


def _any_number(*paths: str) -> None: ...


def _by_position(path: str, /) -> None: ...


@pytest.mark.parametrize(
    ("func", "reason"),
    [
        (lambda: None, "has no name"),
        (_inner(), "inside another function"),
        (_unwrapped_decorator(daily_report), r"functools\.wraps"),
        (functools.partial(daily_report, "x"), "partial"),
        (Reports, "must be a function"),
        (Reports.monthly, "is a method"),
        (Reports().monthly, "must be a function"),
        (print, "must be a function"),
        (_generator, "generator"),
        (_any_number, r"paths: list\[str\]"),
        (_by_position, "remove the '/'"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_the_reason(func: Any, reason: str) -> None:
    tasks = Registry()
    with pytest.raises(Invalid, match=reason):
        tasks.register(func)
    assert tasks.all() == []


@pytest.mark.parametrize("key", ["a:b", "with space", "x" * 192, ".hidden", "slash/ed"])
def test_a_key_that_cannot_stand_in_an_address_is_refused(key: str) -> None:
    with pytest.raises(Invalid, match="letters, digits"):
        Registry().register(daily_report, key=key)


def test_redacting_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Invalid, match="no parameter pasword"):
        Registry().register(daily_report, redact=["pasword"])


def test_a_key_stays_with_the_function_that_had_it_first() -> None:
    tasks = Registry()
    first = tasks.register(daily_report, key="reports.daily")
    with pytest.raises(Conflict, match="belongs to"):
        tasks.register(fetch, key="reports.daily")
    assert tasks.get("reports.daily") is first
    assert tasks.find(f"{__name__}:fetch") is None


def test_a_function_defined_again_takes_its_earlier_place() -> None:
    tasks = Registry()
    tasks.register(daily_report, key="old.key")
    again = tasks.register(daily_report, key="new.key")
    assert tasks.all() == [again]
    assert tasks.find("old.key") is None


def test_modules_outside_the_repository_are_loaded(fresh: Registry, write_module: WriteModule) -> None:
    write_module(
        "acme_jobs",
        """
        from webapp.tasks import task

        @task
        def tidy(folder: str = "x") -> None:
            "Tidy up."

        @task(key="acme.async", title="Later")
        async def later() -> None: ...
        """,
    )
    fresh.load(["acme_jobs", " "], entry_points=False)
    assert fresh.problems == []
    assert fresh.get("acme_jobs.tidy") is fresh.get("acme_jobs:tidy")
    assert fresh.get("acme.async").is_async


def test_loading_twice_changes_nothing(fresh: Registry, write_module: WriteModule) -> None:
    write_module("acme_twice", "from webapp.tasks import task\n@task\ndef once() -> None: ...\n")
    fresh.load(["acme_twice"])
    before = fresh.all()
    fresh.load(["acme_twice"])
    assert fresh.all() == before


def test_the_built_in_tasks_are_always_loaded(fresh: Registry) -> None:
    fresh.load([], entry_points=False)
    built_in = [each for each in fresh.all() if each.module.startswith("webapp.tasks.builtin.")]
    keys = {each.key for each in built_in}
    assert {"http.request", "shell.run", "files.prune", "sql.execute", "demo.sleep", "demo.flaky", "demo.log"} <= keys
    assert all(each.description and not each.signature.problem for each in built_in)
    for each in built_in:
        assert all(parameter.help for parameter in each.parameters), f"{each.key} has a parameter without help"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def oops(:\n", r"SyntaxError: .*acme_bad\.py, line 1"),
        ("import sys\nsys.exit(3)\n", "ended the program while it was imported .*3"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import no_such_package_here\n", "ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("raise BaseException('first\\nsecond')\n", "BaseException: first$"),
        ("from webapp.tasks import task\ntask(lambda: None)\n", "acme_bad:<lambda> has no name"),
    ],
)
def test_a_module_that_fails_is_reported_and_stops_nothing(
    fresh: Registry, write_module: WriteModule, caplog: pytest.LogCaptureFixture, code: str, error: str
) -> None:
    write_module("acme_bad", code)
    write_module("acme_fine", "from webapp.tasks import task\n@task\ndef works() -> None: ...\n")
    fresh.load(["acme_bad", "acme_fine"], entry_points=False)
    [problem] = fresh.problems
    assert problem.module == "acme_bad"
    assert "\n" not in problem.error
    assert re.search(error, problem.error), problem.error
    assert "Traceback" in problem.traceback
    assert "acme_bad" in caplog.text
    assert fresh.find("acme_fine.works")


def test_a_missing_module_says_where_it_was_looked_for(fresh: Registry) -> None:
    fresh.load(["acme_nowhere.jobs"], entry_points=False)
    assert "No module named 'acme_nowhere' in the current folder, on PYTHONPATH" in fresh.problems[0].error


def test_ctrl_c_during_an_import_is_not_swallowed(fresh: Registry, write_module: WriteModule) -> None:
    write_module("acme_interrupted", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        fresh.load(["acme_interrupted"], entry_points=False)


def test_tasks_of_a_module_that_failed_half_way_are_dropped(fresh: Registry, write_module: WriteModule) -> None:
    write_module("acme_half", "from webapp.tasks import task\n@task\ndef half() -> int: return LATER\n1 / 0\n")
    fresh.load(["acme_half"], entry_points=False)
    assert fresh.find("acme_half.half") is None


def test_a_repaired_module_loses_its_problem_and_gains_its_tasks(fresh: Registry, write_module: WriteModule) -> None:
    write_module("acme_repaired", "1 / 0\n")
    fresh.load(["acme_repaired"], entry_points=False)
    fresh.load(["acme_repaired"], entry_points=False)
    assert len(fresh.problems) == 1
    write_module("acme_repaired", "from webapp.tasks import task\n@task\ndef works_now() -> None: ...\n# longer\n")
    fresh.load(["acme_repaired"], entry_points=False)
    assert fresh.problems == []
    assert fresh.find("acme_repaired.works_now")


def test_two_functions_of_one_key_are_a_problem_and_the_first_stays(fresh: Registry, write_module: WriteModule) -> None:
    code = "from webapp.tasks import task\n@task(key='acme.same')\ndef {}(): ...\n@task\ndef {}_too(): ...\n"
    write_module("acme_first", code.format("one", "one"))
    write_module("acme_second", code.format("two", "two"))
    fresh.load(["acme_first", "acme_second"], entry_points=False)
    assert fresh.get("acme.same").reference == "acme_first:one"
    assert fresh.find("acme_second.two_too"), "the rest of the module still registers"
    [problem] = fresh.problems
    assert problem.module == "acme_second"
    assert "'acme.same' belongs to acme_first:one" in problem.error


def test_the_current_folder_is_importable_but_never_before_installed_modules(
    fresh: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_here.py").write_text("from webapp.tasks import task\n@task\ndef here() -> None: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    fresh.load(["acme_here"], entry_points=False)
    assert fresh.problems == []
    assert fresh.find("acme_here.here")
    assert sys.path[-1] == str(tmp_path)
    del sys.modules["acme_here"]


def _install_package(folder: Path, entries: str) -> None:
    info = folder / "acme_tasks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[carillon.tasks]\n{entries}")


def test_installed_packages_register_modules_and_functions(
    fresh: Registry, write_module: WriteModule, tmp_path: Path
) -> None:
    write_module("acme_module", "from webapp.tasks import task\n@task\ndef inside() -> None: ...\n")
    write_module("acme_functions", "NUMBER = 3\ndef plain() -> None: ...\n")
    _install_package(
        tmp_path / "elsewhere",
        "all = acme_module\nacme.plain = acme_functions:plain\nacme.number = acme_functions:NUMBER\n"
        "acme.gone = acme_functions:gone\n",
    )
    fresh.load([])
    fresh.load([])
    assert fresh.find("acme_module.inside")
    assert fresh.get("acme.plain").reference == "acme_functions:plain"
    problems = {problem.module: problem.error for problem in fresh.problems}
    assert problems.keys() == {"acme.number = acme_functions:NUMBER", "acme.gone = acme_functions:gone"}
    assert "must be a function" in problems["acme.number = acme_functions:NUMBER"]
    assert "AttributeError" in problems["acme.gone = acme_functions:gone"]


def test_an_entry_point_of_a_decorated_function_keeps_the_key_it_has(
    fresh: Registry, write_module: WriteModule, tmp_path: Path
) -> None:
    write_module("acme_keyed", "from webapp.tasks import task\n@task(key='mine')\ndef keyed() -> None: ...\n")
    _install_package(tmp_path / "elsewhere", "other = acme_keyed:keyed\n")
    fresh.load([])
    assert fresh.get("acme_keyed:keyed").key == "mine"


def test_a_hint_that_cannot_be_read_is_reported_and_the_task_still_runs(
    fresh: Registry, write_module: WriteModule
) -> None:
    write_module(
        "acme_hints",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from webapp.tasks import task
        if TYPE_CHECKING:
            from datetime import date

        @task
        def at(day: date, times: int = 1) -> None: ...
        """,
    )
    fresh.load(["acme_hints"], entry_points=False)
    made = fresh.get("acme_hints.at")
    assert [(each.name, each.kind) for each in made.parameters] == [("day", "json"), ("times", "integer")]
    assert "the type date of day cannot be read" in fresh.problems[0].error


def test_a_task_that_json_cannot_call_is_switched_off_with_the_reason(
    fresh: Registry, write_module: WriteModule
) -> None:
    write_module(
        "acme_objects",
        """
        from webapp.tasks import task
        class Session: ...

        @task
        def needs(session: Session) -> None: ...

        @task
        def may_have(session: Session = Session(), times: int = 1) -> None: ...
        """,
    )
    fresh.load(["acme_objects"], entry_points=False)
    needs, may_have = fresh.get("acme_objects.needs"), fresh.get("acme_objects.may_have")
    assert not needs.enabled
    assert "parameter session: its type Session cannot be given as JSON" in needs.disabled_reason
    with pytest.raises(Invalid, match="cannot be scheduled"):
        needs.validate([], {})
    assert may_have.enabled
    assert [each.name for each in may_have.parameters] == ["times"]
    with pytest.raises(Invalid, match="session: cannot be set"):
        may_have.validate([], {"session": "x"})


def test_shell_is_off_until_the_settings_allow_it(fresh: Registry) -> None:
    fresh.load([], entry_points=False)
    shell = fresh.get("shell.run")
    fresh.configure(shell_enabled=False)
    assert not shell.enabled
    assert "CARILLON_SHELL_ENABLED=true" in shell.disabled_reason
    fresh.configure(shell_enabled=True)
    assert shell.enabled
    assert shell.disabled_reason == ""


def test_database_addresses_do_not_show_in_the_settings_text() -> None:
    tasks = Registry()
    tasks.configure(databases={"warehouse": "postgresql://user:hunter2@host/name"})
    assert "hunter2" not in repr(tasks.settings)
