"""The register of tasks: the only functions that Carillon runs. Filled by the ``@task`` decorator and by ``load``."""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar, overload

from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.tasks.definition import Task
from webapp.tasks.loading import (
    ENTRY_POINT_GROUP,
    ImportProblem,
    import_entry_point,
    import_module,
    make_folder_importable,
)

logger = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])

BUILT_IN = tuple(f"webapp.tasks.builtin.{name}" for name in ("http", "shell", "files", "sql", "demo"))
KEY_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,190}")
"""No colon: that is the mark of a ``module:function`` reference."""


@dataclass(frozen=True)
class BuiltinSettings:
    """What built-in tasks are told by the settings; they never read the environment."""

    shell_enabled: bool = False
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Database URLs by the names that ``sql.execute`` may use. They hold passwords."""


class Registry:
    """All tasks of this process. One object, ``registry``, is what the decorator and the built-ins use."""

    def __init__(self) -> None:
        self._by_key: dict[str, Task] = {}
        self._by_reference: dict[str, Task] = {}
        self._problems: dict[tuple[str, str], ImportProblem] = {}
        self.settings = BuiltinSettings()

    def configure(self, *, shell_enabled: bool = False, databases: Mapping[str, str] | None = None) -> None:
        """Tell the built-in tasks the settings; takes effect at once, also for tasks already fetched."""
        self.settings = BuiltinSettings(shell_enabled, dict(databases or {}))

    def register(
        self,
        func: Callable[..., Any],
        *,
        key: str | None = None,
        title: str | None = None,
        redact: Iterable[str] = (),
        takes_secrets: bool = False,
        own_references: Iterable[str] = (),
        gate: Callable[[], str] | None = None,
    ) -> Task:
        """Add a function; see ``task`` for the options.

        ``gate`` is asked each time why the task is switched off by the settings, and answers "" when it is on.
        The same function defined again (a reload) takes its earlier place. Raises Invalid for what cannot be a
        task, Conflict when the key belongs to another function.
        """
        reference = _reference(func)
        _check_signature(func, reference)
        new = Task(
            key=_checked_key(key or _default_key(func), reference),
            title=title or _default_title(func),
            func=func,
            reference=reference,
            redact=_checked_redact(redact, func, reference),
            takes_secrets=takes_secrets,
            own_references=frozenset(own_references),
            **({"gate": gate} if gate else {}),
        )
        holder = self._by_key.get(new.key)
        if holder is not None and holder.reference != reference:
            raise Conflict(
                f"The key {new.key!r} belongs to {holder.reference}; {reference} is left out. "
                f"Give it a key of its own: @task(key=...)"
            )
        earlier = self._by_reference.get(reference)
        if earlier is not None:
            del self._by_key[earlier.key]
        self._by_key[new.key] = self._by_reference[reference] = new
        return new

    def find(self, name: str) -> Task | None:
        """The task with this key or ``module:function`` reference."""
        return self._by_key.get(name) or self._by_reference.get(name)

    def get(self, name: str) -> Task:
        """Like ``find``; raises NotFound."""
        task = self.find(name)
        if task is None:
            raise NotFound(f"There is no task {name!r}. Its module may have failed to import: see the Tasks page.")
        return task

    def all(self) -> list[Task]:
        """Every task, also switched-off ones, by key."""
        return [task for _, task in sorted(self._by_key.copy().items())]

    @property
    def problems(self) -> list[ImportProblem]:
        return list(self._problems.values())

    def load(self, modules: Iterable[str] = (), *, entry_points: bool = True) -> None:
        """Import the built-ins, ``modules`` and the installed packages' entry points, so that they register.

        Never raises for what a module does: see ``problems``. Loading again imports only what failed before.
        The current folder is importable meanwhile and afterwards.
        """
        make_folder_importable()
        self._load_built_in()
        for name in (stripped for module in modules if (stripped := module.strip())):
            self._note(name, import_module(name))
        if entry_points:
            for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
                self._load_entry(entry)
        for task in self.all():
            for warning in task.signature.warnings:
                self.report(ImportProblem(task.module, f"task {task.key}: {warning}"))

    def report(self, problem: ImportProblem) -> None:
        """Keep a problem for the Tasks page and write it to the server's log, once."""
        if (problem.module, problem.error) not in self._problems:
            self._problems[problem.module, problem.error] = problem
            logger.error(
                "Tasks of %s: %s%s", problem.module, problem.error, problem.traceback and f"\n{problem.traceback}"
            )

    @contextmanager
    def temporary(self) -> Iterator[Registry]:
        """Forget at the end what was registered, reported and configured inside: for tests.

        The built-ins are loaded first: a module registers its tasks only when Python imports it for the first time.
        """
        self._load_built_in()
        before = dict(self._by_key), dict(self._by_reference), dict(self._problems), self.settings
        try:
            yield self
        finally:
            self._by_key, self._by_reference, self._problems, self.settings = before

    def _load_built_in(self) -> None:
        for name in BUILT_IN:
            self._note(name, import_module(name))

    def _load_entry(self, entry: importlib.metadata.EntryPoint) -> None:
        label = f"{entry.name} = {entry.value}"
        found = import_entry_point(entry)
        self._note(label, found)
        if isinstance(found, ImportProblem | ModuleType):
            return
        try:
            if self._by_reference.get(_reference(found)) is None:
                self.register(found, key=entry.name)
        except (Invalid, Conflict) as error:
            self.report(ImportProblem(label, str(error)))

    def _note(self, name: str, outcome: object) -> None:
        """Replace what was reported about this module by the outcome of importing it now."""
        is_problem = isinstance(outcome, ImportProblem)
        self._problems = {
            at: problem
            for at, problem in self._problems.items()
            if problem.module != name or not problem.traceback or (is_problem and problem == outcome)
        }
        if isinstance(outcome, ImportProblem):
            self._drop_tasks_of_failed_modules()
            self.report(outcome)

    def _drop_tasks_of_failed_modules(self) -> None:
        """A module that failed half-way has registered some tasks already, whose globals are incomplete."""
        for task in self.all():
            if task.module not in sys.modules:
                del self._by_key[task.key], self._by_reference[task.reference]


registry = Registry()


@overload
def task(func: Function, /) -> Function: ...
@overload
def task(
    *, key: str | None = None, title: str | None = None, redact: Iterable[str] = (), takes_secrets: bool = False
) -> Callable[[Function], Function]: ...
def task(
    func: Function | None = None,
    /,
    *,
    key: str | None = None,
    title: str | None = None,
    redact: Iterable[str] = (),
    takes_secrets: bool = False,
) -> Function | Callable[[Function], Function]:
    """Make a plain or async function schedulable. The function itself is returned unchanged::

        @task
        def daily(day: date, region: str = "all") -> dict[str, int]: ...

        @task(key="reports.daily", title="Daily report", redact=["password"])

    ``key``: the name under which jobs know the task; the function may move as long as it stays. Without it, the last
    part of the module's name and the function's name: ``daily`` in ``acme.reports`` is ``reports.daily``.
    ``module:function`` is always accepted too. ``title``: for people; without it, the function's name in words.
    ``redact``: parameters whose values are kept from view; ``SecretRef`` as a type hint does the same, and so does a
    name such as ``password`` or ``api_token`` for a text. Jobs give them as ``{{secret:NAME}}``, and the task gets the
    value. ``takes_secrets``: such references may also stand inside the texts of all other arguments.

    Refused with Invalid: what has no importable name (lambdas, functions inside functions, partials, wrappers made
    without ``functools.wraps``), generators, and parameters that have no name of their own (``*args``,
    positional-only): arguments are stored and shown by name. A key that belongs to another function is reported on
    the Tasks page; the first function keeps it.
    """

    def register(function: Function) -> Function:
        try:
            registry.register(function, key=key, title=title, redact=redact, takes_secrets=takes_secrets)
        except Conflict as error:
            registry.report(ImportProblem(function.__module__, str(error)))
        return function

    return register(func) if func is not None else register


def _refused(where: str, why: str) -> Invalid:
    return Invalid({"": f"{where} {why}"})


def _reference(func: Callable[..., Any]) -> str:
    """``module:function``. Raises Invalid for what could not be found again under such a name."""
    name = getattr(func, "__qualname__", "")
    where = f"{getattr(func, '__module__', '?')}:{name or type(func).__name__}"
    if not inspect.isfunction(func):
        raise _refused(where, f"is a {type(func).__name__}; a task must be a function, plain or async")
    if "<lambda>" in name:
        raise _refused(where, "has no name to find it by; write a function with def")
    if "<locals>" in name:
        raise _refused(
            where,
            "is defined inside another function, so it cannot be imported; move it to the top of its module. "
            "If a decorator made it, the decorator needs functools.wraps",
        )
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise _refused(where, "is a generator: calling it would run nothing; use return instead of yield")
    return where


def _check_signature(func: Callable[..., Any], reference: str) -> None:
    parameters = list(inspect.signature(func).parameters.values())
    if "." in func.__qualname__ and parameters and parameters[0].name in {"self", "cls"}:
        raise _refused(reference, "is a method; a task must be a function or a static method")
    for each in parameters:
        if each.kind is each.VAR_POSITIONAL:
            raise _refused(
                reference, f"takes *{each.name}, which has no names; take a list instead: {each.name}: list[str]"
            )
        if each.kind is each.POSITIONAL_ONLY:
            raise _refused(reference, f"takes {each.name} by position only; arguments have names here: remove the '/'")


def _checked_key(key: str, reference: str) -> str:
    if not KEY_PATTERN.fullmatch(key):
        raise Invalid({"key": f"{key!r} of {reference} must be letters, digits and . _ - (at most 191)"})
    return key


def _checked_redact(redact: Iterable[str], func: Callable[..., Any], reference: str) -> frozenset[str]:
    names = frozenset([redact] if isinstance(redact, str) else redact)
    parameters = inspect.signature(func).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = names - set(parameters)
    if unknown and not takes_any:
        raise Invalid({"redact": f"{reference} has no parameter {', '.join(sorted(unknown))}"})
    return names


def _default_key(func: Callable[..., Any]) -> str:
    return f"{func.__module__.rpartition('.')[2]}.{func.__qualname__}"


def _default_title(func: Callable[..., Any]) -> str:
    words = func.__name__.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
