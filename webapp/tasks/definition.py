"""A registered task: what it is called, what it takes, and whether it may run here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from webapp.domain.errors import Invalid
from webapp.tasks import references
from webapp.tasks.arguments import normal_arguments, python_arguments
from webapp.tasks.docstrings import Docstring
from webapp.tasks.docstrings import parse as parse_docstring
from webapp.tasks.markers import sounds_secret
from webapp.tasks.redaction import MASK
from webapp.tasks.signature import Parameter, Signature, read_signature


def _always() -> str:
    return ""


@dataclass(frozen=True)
class Task:
    """Known by ``key`` and by ``reference``. Equal when both and the function are."""

    key: str
    title: str
    func: Callable[..., Any]
    reference: str
    """``module:function``, as APScheduler writes it."""
    redact: frozenset[str] = frozenset()
    """Names of parameters whose values are kept from view, besides those marked ``Secret``."""
    takes_secrets: bool = False
    """Whether ``{{secret:NAME}}`` may stand in any text of its arguments, and not only in those marked ``Secret``."""
    own_references: frozenset[str] = frozenset()
    """Parameters in which the task itself puts values in place of references."""
    gate: Callable[[], str] = field(default=_always, repr=False, compare=False)
    """Asked each time: why the task is switched off by the settings; empty when it is on."""

    @property
    def module(self) -> str:
        return self.reference.partition(":")[0]

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.func)

    @cached_property
    def docstring(self) -> Docstring:
        return parse_docstring(inspect.getdoc(self.func))

    @property
    def description(self) -> str:
        """The docstring without its sections on arguments, results and errors; empty without a docstring."""
        return self.docstring.description

    @cached_property
    def signature(self) -> Signature:
        return read_signature(self.func, self.redact, self.docstring.parameters)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.signature.parameters

    @property
    def disabled_reason(self) -> str:
        """A sentence for the Tasks page; empty when the task may be scheduled and run."""
        return self.gate() or self.signature.problem

    @property
    def enabled(self) -> bool:
        return not self.disabled_reason

    def validate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as they are stored: plain JSON in normal spelling. Defaults are not filled in.

        Raises Invalid, keyed by parameter; ``args``, ``kwargs`` and "" hold what belongs to no single one.
        """
        self._require_schedulable()
        return normal_arguments(
            self.signature,
            args,
            kwargs,
            refuse=lambda parameter, value: references.problem(self, parameter, value),
            is_open=lambda parameter, value: references.is_open(self, parameter, value),
        )

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Stored arguments as the Python values to call ``func`` with: dates, enums, models.

        Raises Invalid when they no longer fit, because the function has changed since they were stored.
        """
        self._require_schedulable()
        return python_arguments(self.signature, args, kwargs)

    def by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments as keyword arguments, as the form shows them. Surplus positional values are left out."""
        names = [parameter.name for parameter in self.parameters if not parameter.is_extra]
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def redacted(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments for showing: values to be kept from view are masked, None stays visible."""
        return {name: MASK if self._hides(name, value) else value for name, value in kwargs.items()}

    def redacted_args(self, args: Sequence[Any]) -> list[Any]:
        """The positional arguments for showing, masked in the same way."""
        names = [parameter.name for parameter in self.parameters if not parameter.is_extra]
        names += [""] * (len(args) - len(names))
        return [MASK if self._hides(name, value) else value for name, value in zip(names, args, strict=False)]

    def _hides(self, name: str, value: Any) -> bool:
        """Known parameters decide for themselves; others by their name, or as the rest that they belong to.

        A reference to a secret is none itself.
        """
        if value is None or references.is_reference(value):
            return False
        known = next((each for each in self.parameters if each.name == name and not each.is_extra), None)
        if known is not None:
            return known.is_secret
        extra = self.signature.extra
        return name in self.redact or sounds_secret(name) or (extra is not None and extra.is_secret)

    def _require_schedulable(self) -> None:
        if self.signature.problem:
            raise Invalid({"": f"The task {self.key} cannot be scheduled: {self.signature.problem}"})
