"""From a type hint to the shape of its form field: which kind of field, which choices, how a typed text is read.

Shapes decide only how a value is typed in and shown. What is a valid value is pydantic's business (``arguments``).
"""

from __future__ import annotations

import collections.abc
import enum
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import SecretBytes, SecretStr

from webapp.tasks.markers import Multiline, Secret

Reading = Literal["text", "integer", "number", "boolean", "choice", "loose", "json", "list", "mapping"]
"""How a typed text becomes a JSON value. ``loose``: as JSON if it is a JSON value, else as it stands."""


@dataclass(frozen=True)
class Choice:
    """One option of a choice field: what the form sends, what people read, what is stored."""

    text: str
    label: str
    value: Any


@dataclass(frozen=True)
class Shape:
    """``items`` describes each item of a list, or each value of a mapping."""

    kind: str = "json"
    reading: Reading = "loose"
    choices: tuple[Choice, ...] = ()
    items: Shape | None = None
    nullable: bool = False
    is_secret: bool = False
    takes_empty: bool = False
    """Whether an empty text is a value: a text, a list or a mapping may be empty, a path or a time may not."""


LOOSE = Shape()
STRUCTURE = Shape("json", "json")
TEXT = Shape("text", "text")
FREE_TEXT = Shape("text", "text", takes_empty=True)
_SCALARS: dict[Any, Shape] = {
    str: FREE_TEXT,
    int: Shape("integer", "integer"),
    float: Shape("number", "number"),
    Decimal: Shape("number", "text"),
    bool: Shape("boolean", "boolean"),
    date: Shape("date", "text"),
    datetime: Shape("datetime", "text"),
    **dict.fromkeys((time, timedelta, UUID, Path, PurePath, bytes), TEXT),
    **dict.fromkeys((SecretStr, SecretBytes), replace(FREE_TEXT, kind="secret", is_secret=True)),
    **dict.fromkeys((Any, object, inspect.Parameter.empty), LOOSE),
}
_BY_SCHEMA: dict[tuple[str | None, str | None], Shape] = {
    ("string", None): TEXT,
    ("string", "date"): _SCALARS[date],
    ("integer", None): _SCALARS[int],
    ("number", None): _SCALARS[float],
    ("boolean", None): _SCALARS[bool],
}
_LISTS = {
    list, tuple, set, frozenset,
    collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection, collections.abc.Set,
}  # fmt: skip
_MAPPINGS = {dict, collections.abc.Mapping, collections.abc.MutableMapping}
_ONE_LINE = {"text", "integer", "number", "boolean", "choice", "date", "datetime"}


def shape_of(annotation: Any) -> Shape:
    """The shape of a resolved annotation; types that are only pydantic's to understand are typed in as JSON."""
    bare, marks = unwrap(annotation)
    shape = _shape_of_bare(bare)
    if any(_is_mark(mark, Secret) for mark in marks):
        return hidden(shape)
    if any(_is_mark(mark, Multiline) for mark in marks) and shape.kind == "text":
        return replace(shape, kind="textarea")
    return shape


def told_by_schema(shape: Shape, schema: Mapping[str, Any]) -> Shape:
    """A better shape for a type that only pydantic knows (an e-mail address, a URL), from its JSON schema."""
    members = [member for member in schema.get("anyOf", [schema]) if member.get("type") != "null"]
    if shape.reading != "json" or len(members) != 1:
        return shape
    kind, form = members[0].get("type"), members[0].get("format")
    found = _BY_SCHEMA.get((kind, form)) or _BY_SCHEMA.get((kind, None))
    return replace(found, nullable=shape.nullable, is_secret=shape.is_secret) if found else shape


def hidden(shape: Shape) -> Shape:
    """The same value kept from view; a loosely read one becomes text, so that a password ``1234`` stays one."""
    if shape.reading in {"text", "loose"}:
        return replace(shape, kind="secret", reading="text", is_secret=True, takes_empty=True)
    return replace(shape, is_secret=True)


def unwrap(annotation: Any) -> tuple[Any, list[Any]]:
    """The type below ``Annotated``, ``NewType`` and type aliases, and the metadata found on the way."""
    marks: list[Any] = []
    while True:
        if typing.get_origin(annotation) is Annotated:
            marks += annotation.__metadata__
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):  # ``type X = ...`` of Python 3.12
            annotation = annotation.__value__
        else:
            return annotation, marks


def without_laziness(annotation: Any) -> Any:
    """``Iterable[X]`` as ``list[X]``: pydantic would check an iterable's items only when the task asks for them."""
    bare, marks = unwrap(annotation)
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    found: Any = None
    if origin in (typing.Union, types.UnionType):
        found = typing.Union[tuple(without_laziness(member) for member in arguments)]  # noqa: UP007
    elif (origin or bare) is collections.abc.Iterable:
        found = list[arguments[0]] if arguments else list  # type: ignore[valid-type]
    if found is None or found == bare:
        return annotation
    return Annotated[(found, *marks)] if marks else found


def _shape_of_bare(bare: Any) -> Shape:
    origin = typing.get_origin(bare)
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(bare))
    if origin is Literal:
        values = [value for value in typing.get_args(bare) if value is not None]
        return replace(_choices(values), nullable=len(values) < len(typing.get_args(bare)))
    if (origin or bare) in _LISTS:
        return _list(typing.get_args(bare))
    if (origin or bare) in _MAPPINGS:
        return _mapping(typing.get_args(bare))
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        return STRUCTURE if issubclass(bare, enum.Flag) else _choices(list(bare))
    return LOOSE if isinstance(bare, typing.TypeVar) else _SCALARS.get(bare, STRUCTURE)


def _union(members: Iterable[Any]) -> Shape:
    """Optional is the other member, nullable; several members are read loosely and pydantic finds the right one."""
    some = [member for member in members if member is not type(None)]
    nullable = len(some) < len(tuple(members))
    shapes = [shape_of(member) for member in some]
    if len(shapes) == 1:
        shape = shapes[0]
        if shape.kind == "boolean" and nullable:  # a tick box cannot say "neither"
            yes_no = (Choice("true", "Yes", True), Choice("false", "No", False))
            shape = Shape("choice", "choice", yes_no)
    elif all(shape.reading == "choice" for shape in shapes):
        shape = _choices([choice.value for shape in shapes for choice in shape.choices])
    else:
        one_line = all(shape.kind in _ONE_LINE for shape in shapes)
        shape = Shape("text" if one_line else "json", "loose", is_secret=any(shape.is_secret for shape in shapes))
    return replace(shape, nullable=nullable or shape.nullable)


def _choices(values: list[Any]) -> Shape:
    """Choices by stored value. A text stands for itself in the form, unless it reads like another choice's JSON."""
    stored = [value.value if isinstance(value, enum.Enum) else value for value in values]
    if not all(isinstance(value, str | int | float) for value in stored):
        return STRUCTURE
    taken = {json.dumps(value) for value in stored if not isinstance(value, str)}
    choices = []
    for value, plain in zip(values, stored, strict=True):
        text = plain if isinstance(plain, str) and plain not in taken | {""} else json.dumps(plain)
        label = value.name if isinstance(value, enum.Enum) and not isinstance(plain, str) else str(plain)
        choices.append(Choice(text, label, plain))
    return Shape("choice", "choice", tuple(choices))


def _list(arguments: tuple[Any, ...]) -> Shape:
    item_types = {argument for argument in arguments if argument is not Ellipsis}
    if len(item_types) > 1:  # tuple[int, str]
        return STRUCTURE
    return _container("list", item_types.pop() if item_types else Any)


def _mapping(arguments: tuple[Any, ...]) -> Shape:
    key, value = arguments or (str, Any)
    return _container("mapping", value) if _shape_of_bare(key).reading in {"text", "loose"} else STRUCTURE


def _container(kind: Literal["list", "mapping"], item: Any) -> Shape:
    items = shape_of(item)
    if items == LOOSE or (items.kind in _ONE_LINE and not items.nullable):
        return Shape(kind, kind, items=items, takes_empty=True)
    return STRUCTURE


def _is_mark(mark: Any, kind: Callable[[], Any]) -> bool:
    """Marks count as an instance and as the bare class, the usual slip."""
    return mark is kind or (isinstance(kind, type) and isinstance(mark, kind))
