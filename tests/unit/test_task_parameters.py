"""A task's parameters as form fields: kinds, choices, defaults and help, from the signature and the docstring."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict, TypeVar, Union

import pytest
from pydantic import AwareDatetime, BaseModel, Field, HttpUrl, PastDate, PositiveInt, SecretStr

from webapp.tasks import LongText, Multiline, Parameter, Registry, Secret, SecretRef
from webapp.tasks.docstrings import parse

UserId = NewType("UserId", int)
Thing = TypeVar("Thing")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(enum.Enum):
    BOTH = (1, 2)


class Address(BaseModel):
    street: str


class Loose(TypedDict):
    a: int


def parameters_of(func: Callable[..., Any], **options: Any) -> dict[str, Parameter]:
    func.__qualname__ = func.__name__
    return {each.name: each for each in Registry().register(func, **options).parameters}


def of_type(hint: Any) -> Parameter:
    def func(x: Any) -> None: ...

    func.__annotations__["x"] = hint
    return parameters_of(func)["x"]


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (str, "text"),
        (int, "integer"),
        (float, "number"),
        (Decimal, "number"),
        (bool, "boolean"),
        (date, "date"),
        (datetime, "datetime"),
        (time, "text"),
        (Path, "text"),
        (UserId, "integer"),
        (LongText, "textarea"),
        (Annotated[str, Multiline], "textarea"),
        (LongText | None, "textarea"),
        (SecretRef, "secret"),
        (Annotated[str, Secret], "secret"),
        (SecretRef | None, "secret"),
        (Optional[SecretStr], "secret"),  # noqa: UP045
        (SecretStr, "secret"),
        (Colour, "choice"),
        (Level | None, "choice"),
        (Literal["a", "b"], "choice"),
        (Literal["a", 1, None], "choice"),
        (bool | None, "choice"),
        (Literal["a"] | Colour, "choice"),
        (list[str], "list"),
        (list, "list"),
        (tuple[int, ...], "list"),
        (set[Colour], "list"),
        (Sequence[float], "list"),
        (Iterable[int], "list"),
        (list[str] | None, "list"),
        (dict[str, str], "mapping"),
        (dict, "mapping"),
        (Mapping[str, Any], "mapping"),
        (dict[str, Any] | None, "mapping"),
        (dict[str, list[int]], "json"),
        (list[dict[str, int]], "json"),
        (list[Address], "json"),
        (tuple[int, str], "json"),
        (dict[int, str], "json"),
        (Address, "json"),
        (Loose, "json"),
        (Rights, "integer"),
        (Pair, "json"),
        (Any, "json"),
        (Thing, "json"),
        (int | str, "text"),
        (Union[date, int, None], "text"),  # noqa: UP007
        (int | dict[str, int], "json"),
        (Annotated[int, Field(ge=1)], "integer"),
        (HttpUrl, "text"),
        (HttpUrl | None, "text"),
        (AwareDatetime, "text"),
        (PastDate, "date"),
        (PositiveInt, "integer"),
    ],
)
def test_a_type_decides_the_kind_of_field(hint: Any, kind: str) -> None:
    # TypedDict of the typing module is refused by pydantic on Python 3.11: then the task says so instead.
    def func(x: Any) -> None: ...

    func.__annotations__["x"] = hint
    func.__qualname__ = "func"
    made = Registry().register(func)
    if made.signature.problem:
        assert hint is Loose
        return
    assert made.parameters[0].kind == kind


def test_optional_means_that_nothing_is_a_value() -> None:
    assert of_type(int | None).optional
    assert of_type(Literal["a", None]).optional
    assert not of_type(int).optional


def test_choices_say_what_is_sent_shown_and_stored() -> None:
    def rows(hint: Any) -> list[tuple[str, str, Any]]:
        return [(choice.text, choice.label, choice.value) for choice in of_type(hint).choices]

    assert rows(Colour) == [("red", "red", "red"), ("blue", "blue", "blue")]
    assert rows(Level) == [("1", "LOW", 1), ("2", "HIGH", 2)]
    assert rows(Literal["1", 1]) == [('"1"', "1", "1"), ("1", "1", 1)]
    assert rows(bool | None) == [("true", "Yes", True), ("false", "No", False)]


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (int | None, "int | None"),
        (Optional[datetime], "datetime | None"),  # noqa: UP045
        (list[Annotated[int, Field(ge=1)]], "list[int]"),
        (SecretRef | None, "str | None"),
        (Literal["a", 1], "Literal['a', 1]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Mapping[str, Any], "Mapping[str, Any]"),
        (Address, "Address"),
        (Any, "Any"),
    ],
)
def test_a_type_is_shown_as_one_would_write_it(hint: Any, text: str) -> None:
    assert of_type(hint).annotation == text


def test_defaults_come_as_json_and_make_a_parameter_optional_to_give() -> None:
    def func(
        day: date,
        until: date = date(2026, 1, 31),
        colour: Colour = Colour.BLUE,
        where: Path = Path("/tmp/x"),
        sizes: tuple[int, ...] = (1, 2),
        odd: float = float("nan"),
    ) -> None: ...

    found = parameters_of(func)
    assert [each.name for each in found.values() if each.required] == ["day"]
    assert {name: each.default for name, each in found.items()} == {
        "day": None,
        "until": "2026-01-31",
        "colour": "blue",
        "where": "/tmp/x",
        "sizes": [1, 2],
        "odd": None,
    }


def test_without_a_hint_the_default_tells_the_type() -> None:
    def func(name, times=3, ratio=0.5, verbose=False, label="x", other=None):  # type: ignore[no-untyped-def]
        pass

    found = parameters_of(func)
    assert [each.kind for each in found.values()] == ["json", "text", "text", "boolean", "text", "json"]
    task = Registry().register(func)
    assert task.validate([], {"name": [1], "times": 1.5, "other": "x"})[1] == {"name": [1], "times": 1.5, "other": "x"}


def test_a_default_of_none_allows_none() -> None:
    def func(limit: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert parameters_of(func)["limit"].optional
    assert Registry().register(func).validate([], {"limit": None}) == ([], {"limit": None})


def test_redacted_parameters_are_secret_whatever_their_type() -> None:
    def func(password: str, pin, options: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
        pass

    found = parameters_of(func, redact=["password", "pin", "options"])
    assert [(each.kind, each.is_secret) for each in found.values()] == [
        ("secret", True),
        ("secret", True),
        ("mapping", True),
    ]


def test_further_keyword_arguments_are_one_mapping() -> None:
    def func(name: str, *, flag: bool = False, **options: int) -> None:
        """Do.

        Args:
            **options: Whatever else.
        """

    found = parameters_of(func)
    assert list(found) == ["name", "flag", "options"]
    extra = found["options"]
    assert (extra.kind, extra.required, extra.is_extra, extra.help) == ("mapping", False, True, "Whatever else.")
    assert found["flag"].is_keyword_only


def test_a_decorated_function_keeps_its_parameters() -> None:
    def logged(func: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        return wrapper

    @logged
    def func(day: date, times: int = 1) -> None:
        """Do.

        :param day: Which day.
        """

    found = parameters_of(func)
    assert [(each.name, each.kind, each.help) for each in found.values()] == [
        ("day", "date", "Which day."),
        ("times", "integer", ""),
    ]


GOOGLE = """Load the file.

Reads it twice, and
more carefully the second time.

Args:
    path (str): Where it is,
        or was.
    limit: How many rows: all of them
    **more: Anything.

Returns:
    A number.

Raises:
    OSError: When it is gone.
"""
SPHINX = """Load the file.

Reads it twice, and
more carefully the second time.

:param str path: Where it is,
    or was.
:param limit: How many rows: all of them
:param more: Anything.
:type limit: int
:returns: A number.
"""
NUMPY = """Load the file.

Reads it twice, and
more carefully the second time.

Parameters
----------
path : str
    Where it is,
    or was.
limit : int, optional
    How many rows: all of them
**more
    Anything.

Returns
-------
int
    A number.
"""


@pytest.mark.parametrize("text", [GOOGLE, SPHINX, NUMPY], ids=["google", "sphinx", "numpy"])
def test_help_is_read_from_the_docstring_in_each_usual_style(text: str) -> None:
    found = parse(text)
    assert found.summary == "Load the file."
    assert found.description == "Load the file.\n\nReads it twice, and\nmore carefully the second time."
    assert found.parameters == {
        "path": "Where it is, or was.",
        "limit": "How many rows: all of them",
        "more": "Anything.",
    }


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_no_docstring_means_no_description(text: str | None) -> None:
    assert parse(text).description == ""


def test_a_text_that_only_looks_like_a_section_stays_description() -> None:
    text = "Do it.\n\nWarning: this is slow.\nSteps:\n    one\n    two"
    assert parse(text).description == text
    assert parse(text).parameters == {}
