"""A job's arguments: checked before they are stored, and turned back into Python values for the call."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, SecretStr

from webapp.domain.errors import Invalid
from webapp.tasks import Registry, Secret, SecretRef, Task


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Address(BaseModel):
    street: str
    number: int = 1


@dataclass
class Point:
    x: int
    y: int


def shout(text: str) -> str:
    if not text.isupper():
        raise ValueError("must be in capitals")
    return text


def stumble(text: str) -> str:
    raise TypeError("the validator itself is broken")


def as_task(func: Callable[..., Any], **options: Any) -> Task:
    return Registry().register(func, **options)


def one(hint: Any) -> Task:
    """A task with one parameter ``x`` of the given type."""

    def func(x: Any) -> None: ...

    func.__annotations__["x"] = hint
    func.__qualname__ = "one"
    return as_task(func)


def stored(hint: Any, value: Any) -> Any:
    return one(hint).validate([], {"x": value})[1]["x"]


def called_with(hint: Any, value: Any) -> Any:
    return one(hint).bind([], {"x": value})[1]["x"]


def refusal(hint: Any, value: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        one(hint).validate([], {"x": value})
    assert caught.value.fields.keys() == {"x"}
    return caught.value.fields["x"]


def several(day: date, times: int = 3, *, mode: Literal["fast", "slow"] = "fast") -> None: ...


def open_ended(name: str, **more: int) -> None: ...


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("hint", "json_value", "python_value"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (str, "3", "3"),
        (bool, True, True),
        (date, "2026-01-31", date(2026, 1, 31)),
        (datetime, "2026-01-31T09:30:00", datetime(2026, 1, 31, 9, 30)),
        (time, "09:30:00", time(9, 30)),
        (timedelta, "PT1H30M", timedelta(minutes=90)),
        (Decimal, "1.10", Decimal("1.10")),
        (Path, "/tmp/x", Path("/tmp/x")),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
        (Colour, "red", Colour.RED),
        (Size, 2, Size.LARGE),
        (Literal["a", 1], 1, 1),
        (int | None, None, None),
        (int | str, "3", "3"),
        (list[date], ["2026-01-31"], [date(2026, 1, 31)]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (set[int], [2, 1], {1, 2}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Iterable[int], [1, 2], [1, 2]),
        (Iterable[int] | None, [1, 2], [1, 2]),
        (Any, {"a": [None, 1.5, "x"]}, {"a": [None, 1.5, "x"]}),
        (Address, {"street": "Hill", "number": 1}, Address(street="Hill")),
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
    ],
)
def test_values_are_stored_as_json_and_come_back_as_python(hint: Any, json_value: Any, python_value: Any) -> None:
    normal = stored(hint, json_value)
    assert normal == json_value
    assert type(json.loads(json.dumps(normal))) is type(normal)
    back = called_with(hint, normal)
    assert back == python_value
    assert type(back) is type(python_value)


@pytest.mark.parametrize(
    ("hint", "value", "normal"),
    [
        (date, date(2026, 1, 31), "2026-01-31"),
        (datetime, "2026-01-31 09:30", "2026-01-31T09:30:00"),
        (Colour, Colour.BLUE, "blue"),
        (Any, Size.LARGE, 2),
        (Any, (1, 2), [1, 2]),
        (timedelta, "01:30:00", "PT1H30M"),
        (float, 5, 5.0),
        (Address, {"street": "Hill"}, {"street": "Hill", "number": 1}),
    ],
)
def test_spellings_are_made_normal(hint: Any, value: Any, normal: Any) -> None:
    result = stored(hint, value)
    assert (result, type(result)) == (normal, type(normal))


def test_a_secret_is_stored_as_a_reference_only() -> None:
    assert stored(SecretStr, "{{secret:deploy}}") == "{{secret:deploy}}"
    assert stored(SecretRef, "Bearer {{secret:deploy}}") == "Bearer {{secret:deploy}}"
    assert stored(Annotated[int, Secret()], "{{secret:pin}}") == "{{secret:pin}}"
    for plain in ("hunter2", "{{secret:deploy}} hunter2", "hunter2{{secret:deploy}}", "{{secret:}}", "{{ secret:x }}"):
        (message,) = refusal(SecretRef, plain)
        assert message.startswith("is kept from view, so it is not stored here: give {{secret:NAME}}")
    assert called_with(SecretStr, "hunter2").get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, "3", "must be a whole number"),
        (int, "true", "must be a whole number"),
        (int, True, "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (int, None, "must be a whole number"),
        (float, "1.5", "must be a number"),
        (bool, 1, "must be true or false"),
        (bool, "true", "must be true or false"),
        (str, 3, "must be text"),
        (date, "31.1.2026", "must be a date like 2026-01-31"),
        (date, "2026-02-30", "must be a date like 2026-01-31"),
        (date, 1700000000, "must be a date like 2026-01-31"),
        (datetime, "soon", "must be a date and time like 2026-01-31T09:30"),
        (AwareDatetime, "2026-01-31T09:30", "needs a time zone, as in 2026-01-31T09:30+01:00"),
        (Colour, "green", "must be one of red, blue"),
        (Colour | None, "green", "must be one of red, blue"),
        (Literal["a", 1], "b", "must be one of a, 1"),
        (int | str, 1.5, "must be a whole number or text"),
        (list[int], "1", "must be a list"),
        (list[int], [1, "2"], "item 2: must be a whole number"),
        (list[Colour], ["red", "green"], "item 2: must be one of 'red' or 'blue'"),
        (dict[str, int], {"a": "x"}, "a: must be a whole number"),
        (dict[str, list[int]], {"a": [1, "x"]}, "a, item 2: must be a whole number"),
        (dict[str, int], [], "must be a mapping of names to values"),
        (tuple[int, str], [1], "item 2: is missing"),
        (Address, {"number": 2}, "street: is missing"),
        (list[int] | int, ["x"], "item 1: must be a whole number"),
        (Annotated[int, Field(ge=1, le=5)], 9, "must be at most 5"),
        (Annotated[str, Field(min_length=3)], "a", "must have at least 3 characters"),
        (Annotated[str, AfterValidator(shout)], "quiet", "must be in capitals"),
        (
            Annotated[str, AfterValidator(stumble)],
            "x",
            "could not be checked: TypeError: the validator itself is broken",
        ),
    ],
)
def test_a_wrong_value_is_refused_in_plain_english(hint: Any, value: Any, message: str) -> None:
    assert message in refusal(hint, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "must be a finite number"),
        ([1, float("inf")], "must be a finite number"),
        (b"bytes", "cannot be stored: JSON has no bytes"),
        ({1, 2}, "cannot be stored: JSON has no set"),
        ({1: 2}, "has a name that is not text"),
        (object(), "cannot be stored: JSON has no object"),
        ("a\x00b", "contains a NUL character, which databases cannot store"),
        ("half \ud800", "contains half a character (a lone surrogate), which cannot be stored"),
        ({"\x00": 1}, "contains a NUL character, which databases cannot store"),
        (2**63, "is beyond 64 bits; databases would change it: give it as text"),
        (10**400, "is beyond 64 bits; databases would change it: give it as text"),
    ],
)
def test_what_json_or_a_database_cannot_hold_is_refused(value: Any, message: str) -> None:
    assert refusal(Any, value) == [message]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_deep_nesting_is_refused_without_running_out_of_stack() -> None:
    assert stored(Any, nested(20)) == nested(20)
    assert refusal(Any, nested(21)) == ["is nested more than 20 levels deep"]
    assert refusal(Any, nested(100_000)) == ["is nested more than 20 levels deep"]


def test_all_arguments_together_may_take_64_kib() -> None:
    assert stored(str, "x" * (64 * 1024 - 2))
    for value in ("x" * 64 * 1024, "ü" * 40 * 1024):
        with pytest.raises(Invalid, match="larger than 64 KiB"):
            one(str).validate([], {"x": value})
    with pytest.raises(Invalid, match="larger than 64 KiB"):
        as_task(open_ended).validate([], {"name": "x" * 40_000, **{f"n{i}": i for i in range(9000)}})


def test_many_wrong_items_give_few_messages() -> None:
    messages = refusal(list[int], ["x"] * 100)
    assert len(messages) == 6
    assert messages[-1] == "and 95 more"


def test_positional_values_stay_positional_and_defaults_are_not_filled_in() -> None:
    task = as_task(several)
    assert task.validate(["2026-01-31", 4], {"mode": "slow"}) == (["2026-01-31", 4], {"mode": "slow"})
    assert task.validate([], {"day": "2026-01-31"}) == ([], {"day": "2026-01-31"})
    assert task.bind(["2026-01-31"], {}) == ([date(2026, 1, 31)], {})


def test_every_wrong_argument_is_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        as_task(several).validate([], {"times": "4", "mode": "medium", "colour": "red"})
    assert caught.value.fields == {
        "day": ["is required"],
        "times": ["must be a whole number"],
        "mode": ["must be one of fast, slow"],
        "colour": ["is not a parameter of this task (it has day, times, mode)"],
    }


def test_a_value_given_by_position_and_by_name_is_refused() -> None:
    with pytest.raises(Invalid, match="given twice"):
        as_task(several).validate(["2026-01-31"], {"day": "2026-01-31"})


def test_too_many_positional_values_are_refused() -> None:
    with pytest.raises(Invalid) as caught:
        as_task(several).validate(["2026-01-31", 1, "fast"], {})
    assert caught.value.fields == {"args": ["takes at most 2 values, 3 were given"]}


def test_a_task_without_parameters_takes_nothing() -> None:
    task = as_task(nothing)
    assert task.validate([], {}) == ([], {})
    with pytest.raises(Invalid, match="not a parameter of this task, which has none"):
        task.validate([], {"x": 1})


@pytest.mark.parametrize(("args", "kwargs", "field"), [("abc", {}, "args"), ({"a": 1}, {}, "args"), ([], [], "kwargs")])
def test_arguments_of_the_wrong_kind_are_refused(args: Any, kwargs: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        as_task(several).validate(args, kwargs)
    assert caught.value.fields.keys() == {field}


def test_further_keyword_arguments_are_checked_by_their_type() -> None:
    task = as_task(open_ended)
    assert task.validate([], {"name": "n", "a": 1, "b": 2}) == ([], {"name": "n", "a": 1, "b": 2})
    with pytest.raises(Invalid) as caught:
        task.validate([], {"name": "n", "a": "one"})
    assert caught.value.fields == {"a": ["must be a whole number"]}


def test_stored_arguments_that_no_longer_fit_are_refused_before_the_call() -> None:
    with pytest.raises(Invalid, match="colour: is not a parameter"):
        as_task(several).bind([], {"day": "2026-01-31", "colour": "red"})


def test_each_call_gets_values_of_its_own() -> None:
    task = one(dict[str, list[int]])
    kept = {"x": {"a": [1]}}
    first, second = task.bind([], kept)[1], task.bind([], kept)[1]
    first["x"]["a"].append(2)
    assert second == kept == {"x": {"a": [1]}}


def test_a_message_never_repeats_a_secret() -> None:
    with pytest.raises(Invalid) as caught:
        one(Annotated[SecretRef, Field(pattern="^[0-9]+$")]).validate([], {"x": "hunter2"})
    assert "hunter2" not in str(caught.value)


def quote(text: str) -> str:
    raise ValueError(f"the token {text} is no good")


def test_a_validator_that_quotes_a_secret_is_not_repeated() -> None:
    assert "hunter2" not in str(refusal(Annotated[SecretRef, AfterValidator(quote)], "hunter2"))
    assert refusal(Annotated[str, AfterValidator(quote)], "plain") == ["the token plain is no good"]


def secretive(user: str, password: str, token: SecretRef | None = None, **more: Any) -> None: ...


def test_hidden_values_are_masked_and_nothing_stays_visible_as_nothing() -> None:
    task = as_task(secretive, redact=["password"])
    given_values = {"user": "u", "password": "hunter2", "token": "abc", "other": 1}
    assert task.redacted(given_values) == {"user": "u", "password": "••••••", "token": "••••••", "other": 1}
    assert task.redacted({"password": "x", "token": None})["token"] is None
    assert task.redacted_args(["u", "hunter2", "abc"]) == ["u", "••••••", "••••••"]


def test_redacted_further_arguments_are_all_masked() -> None:
    task = as_task(secretive, redact=["more"])
    assert task.redacted({"user": "u", "anything": "x"}) == {"user": "u", "anything": "••••••"}


def telling_names(user: str, db_password: str, api_token: str, max_token: int, **more: Any) -> None: ...


def test_a_name_that_says_it_is_secret_hides_its_text() -> None:
    task = as_task(telling_names)
    shown = task.redacted({"user": "u", "db_password": "x", "api_token": "y", "max_token": 5, "client_secret": "z"})
    assert shown == {
        "user": "u",
        "db_password": "••••••",
        "api_token": "••••••",
        "max_token": 5,
        "client_secret": "••••••",
    }
    assert [each.kind for each in task.parameters] == ["text", "secret", "secret", "integer", "mapping"]


def test_positional_arguments_can_be_shown_by_name() -> None:
    assert as_task(several).by_name(["2026-01-31", 4], {"mode": "slow"}) == {
        "day": "2026-01-31",
        "times": 4,
        "mode": "slow",
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@settings(deadline=None)
@given(json_values)
def test_any_json_value_is_stored_unchanged_and_stays_stored_unchanged(value: Any) -> None:
    normal = stored(Any, value)
    assert json.dumps(normal) == json.dumps(value)
    assert stored(Any, normal) == normal
