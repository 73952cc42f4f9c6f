"""Jobs that code declares beside its functions: collected while modules are imported, stored when a server starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from webapp.domain.errors import CarillonError
from webapp.tasks.loading import ImportProblem
from webapp.tasks.register import registry

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declaration:
    """One job as the code wrote it, in Flask-APScheduler's form; ``source`` says where, for messages."""

    source: str
    job: Mapping[str, Any] = field(repr=False)

    @property
    def where(self) -> str:
        """``job 'tidy'``, as far as it has an id."""
        return f"job {self.job['id']!r}" if self.job.get("id") else "a job without an id"


class Declarations:
    """What was declared so far, in order. A declaration of the same function and id (a reload) replaces the earlier."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Any], Declaration] = {}

    def __iter__(self) -> Iterator[Declaration]:
        return iter(list(self._found.values()))

    def task(
        self,
        trigger: Any,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        id: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Callable[[Function], Function]:
        """Declare that the function below is a job, as Flask-APScheduler's decorator does::

            @scheduler.task("interval", id="tidy", minutes=10)
            def tidy(): ...

        ``options`` are the trigger's settings and the job's rules. The function becomes a task unless ``@task`` has
        made it one. Without an id the job has the task's key as its id. The function is returned unchanged; what is
        wrong is told on the Tasks page.
        """

        def declare(function: Function) -> Function:
            told = {"trigger": trigger, "args": args, "kwargs": kwargs, "id": id, "name": name, **options}
            self._declare(function, {key: value for key, value in told.items() if value is not None or key in options})
            return function

        return declare

    def add_job(self, id: str, func: Callable[..., Any] | str, **options: Any) -> None:
        """Declare a job for a registered task, or for a function, which becomes one."""
        if callable(func):
            self._declare(func, {"id": id, **options})
        else:
            self._keep(func, {"id": id, "func": func, **options}, source=func)

    def _declare(self, function: Callable[..., Any], job: dict[str, Any]) -> None:
        module = getattr(function, "__module__", None) or "?"
        reference = f"{module}:{getattr(function, '__qualname__', '?')}"
        try:
            task = registry.find(reference) or registry.register(function)
        except CarillonError as error:
            registry.report(ImportProblem(module, str(error)))
            return
        self._keep(reference, {**job, "id": job.get("id") or task.key, "func": reference}, source=module)

    def _keep(self, reference: str, job: dict[str, Any], *, source: str) -> None:
        self._found[reference, job.get("id")] = Declaration(source, job)
