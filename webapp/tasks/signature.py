"""A function's signature as Carillon sees it: the parameters a form shows, and pydantic's check for each.

Built after the function's module is imported, so that type hints may name what is defined further down.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from webapp.tasks.markers import sounds_secret
from webapp.tasks.shapes import Choice, Shape, hidden, shape_of, told_by_schema, unwrap, without_laziness

_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One argument of a task, as a form field shows it."""

    name: str
    shape: Shape = field(repr=False)
    required: bool
    default: Any
    """The default as JSON; None also when there is none, or when JSON cannot hold it."""
    help: str
    annotation: str
    """The type hint as text; empty without one."""
    adapter: TypeAdapter[Any] = field(repr=False, compare=False)
    is_keyword_only: bool = False
    is_extra: bool = False
    """Stands for ``**name``: a mapping whose entries are further keyword arguments."""

    @property
    def kind(self) -> str:
        """text, textarea, integer, number, boolean, choice, date, datetime, list, mapping, json or secret."""
        return self.shape.kind

    @property
    def choices(self) -> tuple[Choice, ...]:
        return self.shape.choices

    @property
    def optional(self) -> bool:
        """Whether None is a value of its own."""
        return self.shape.nullable

    @property
    def is_secret(self) -> bool:
        """Never show the value. In forms an empty field then means "as stored"."""
        return self.shape.is_secret


@dataclass(frozen=True)
class Signature:
    """``unsettable`` maps parameters that JSON cannot give (and that have a default) to the reason; ``problem`` says
    why the task cannot be scheduled at all; ``warnings`` name hints that could not be read."""

    parameters: tuple[Parameter, ...] = ()
    unsettable: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def extra(self) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.is_extra), None)


def read_signature(func: Callable[..., Any], redact: Iterable[str], helps: Mapping[str, str]) -> Signature:
    """Never raises: what cannot be read becomes a warning, what cannot be scheduled a problem."""
    hints, warnings = _hints(func)
    parameters: list[Parameter] = []
    unsettable: dict[str, str] = {}
    problems: list[str] = []
    for raw in inspect.signature(func).parameters.values():
        hint = hints.get(raw.name, _EMPTY)
        try:
            parameter = _parameter(raw, hint, helps.get(raw.name, ""))
        except Exception as error:
            reason = f"its type {annotation_text(hint)} cannot be given as JSON ({_first_line(error)})"
            if raw.default is _EMPTY and raw.kind is not raw.VAR_KEYWORD:
                problems.append(f"parameter {raw.name}: {reason}")
            unsettable[raw.name] = reason
            continue
        if raw.name in redact or (sounds_secret(raw.name) and parameter.shape.reading in {"text", "loose"}):
            parameter = replace(parameter, shape=hidden(parameter.shape))
        parameters.append(parameter)
    return Signature(tuple(parameters), unsettable, "; ".join(problems), tuple(warnings))


def annotation_text(hint: Any) -> str:
    """A type hint as one would write it, without metadata and without the modules' names; empty without a hint."""
    bare, _ = unwrap(hint)
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if bare is _EMPTY or bare is None or bare is type(None):
        return "" if bare is _EMPTY else "None"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(annotation_text(argument) for argument in arguments)
    if origin is typing.Literal:
        return f"Literal[{', '.join(repr(value) for value in arguments)}]"
    if origin is not None:
        inner = ("..." if each is Ellipsis else annotation_text(each) for each in arguments)
        return f"{annotation_text(origin)}[{', '.join(inner)}]"
    return bare.__qualname__ if isinstance(bare, type) else str(bare).replace("typing.", "")


def _parameter(raw: inspect.Parameter, hint: Any, help_text: str) -> Parameter:
    annotation = without_laziness(_completed(hint, raw.default))
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    schema = adapter.json_schema()  # refuses types that have no JSON form, such as a callable
    shape = told_by_schema(shape_of(annotation), schema)
    if raw.default is None:
        shape = replace(shape, nullable=True)  # also where the hint allows anything
    is_extra = raw.kind is raw.VAR_KEYWORD
    if is_extra:
        shape = replace(shape_of(dict[str, annotation]), is_secret=shape.is_secret)  # type: ignore[valid-type]
    return Parameter(
        name=raw.name,
        shape=shape,
        required=raw.default is _EMPTY and not is_extra,
        default=None if raw.default is _EMPTY else _json_default(adapter, raw.default),
        help=help_text,
        annotation=annotation_text(hint),
        adapter=adapter,
        is_keyword_only=raw.kind is raw.KEYWORD_ONLY,
        is_extra=is_extra,
    )


def _completed(hint: Any, default: Any) -> Any:
    """Without a hint the default's type counts; with a default of None, None is allowed as the author meant."""
    if hint is _EMPTY:
        guesses: dict[type, Any] = {bool: bool, int: int | float, float: int | float, str: str}
        return guesses.get(type(default), Any)
    if default is None and not shape_of(hint).nullable and unwrap(hint)[0] is not Any:
        return typing.Optional[hint]  # noqa: UP045  (hint is a value here, and not always a class)
    return hint


def _json_default(adapter: TypeAdapter[Any], default: Any) -> Any:
    try:
        dumped = adapter.dump_python(default, mode="json", warnings=False)
        json.dumps(dumped, allow_nan=False)
    except (ValueError, TypeError):  # pydantic's serialisation errors are ValueErrors
        return None
    return dumped


def _hints(func: Callable[..., Any]) -> tuple[dict[str, Any], list[str]]:
    try:
        return typing.get_type_hints(func, include_extras=True), []
    except Exception:
        return _hints_one_by_one(func)


def _hints_one_by_one(func: Callable[..., Any]) -> tuple[dict[str, Any], list[str]]:
    """The hints that can be read when some cannot, as with names imported only for type checkers."""
    raw = inspect.unwrap(func)
    hints: dict[str, Any] = {}
    warnings: list[str] = []
    for name, annotation in inspect.get_annotations(raw).items():
        if name == "return":
            continue
        holder = type("Holder", (), {"__annotations__": {name: annotation}})
        try:
            found = typing.get_type_hints(holder, globalns=raw.__globals__, include_extras=True)
        except Exception as error:
            hints[name] = Any
            reason = _first_line(error)
            warnings.append(f"the type {annotation} of {name} cannot be read, so any value is accepted ({reason})")
        else:
            hints[name] = found[name]
    return hints, warnings


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
