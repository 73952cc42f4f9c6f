"""Between a task's arguments and the texts of a form, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from webapp.domain.errors import Invalid
from webapp.tasks import LongText, Registry, SecretRef, Task
from webapp.tasks.forms import form_values, parameters_from_form


class Level(Enum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    street: str
    number: int = 1


def everything(
    name: str,
    count: int,
    ratio: float = 0.5,
    price: Decimal = Decimal("1.10"),
    verbose: bool = True,
    day: date | None = None,
    at: datetime | None = None,
    mode: Literal["fast", "slow"] = "fast",
    level: Level = Level.LOW,
    maybe: bool | None = None,
    text: LongText = "",
    paths: list[str] = ["a", "b"],  # noqa: B006
    numbers: list[int] | None = None,
    labels: dict[str, str] = {},  # noqa: B006
    limits: dict[str, Any] = {"x": 1},  # noqa: B006
    address: Address | None = None,
    anything: Any = None,
    token: SecretRef | None = None,
    **more: Any,
) -> None: ...


def switch(on: bool) -> None: ...


def as_task(func: Callable[..., Any], **options: Any) -> Task:
    func.__qualname__ = func.__name__
    return Registry().register(func, **options)


TASK = as_task(everything)
REQUIRED = {"name": "n", "count": 1}


def sent(values: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """What a browser sends of these texts: line ends of its own kind, tick boxes only when ticked."""
    ticks = {"verbose", "on"}
    return {
        name: [text.replace("\n", "\r\n")] for name, text in values.items() if not (name in ticks and text != "true")
    }


def read(stored: Mapping[str, Any] | None = None, **texts: str) -> dict[str, Any]:
    """The arguments after someone changed these texts in the form of a job."""
    kept = {**REQUIRED, **(stored or {})}
    kwargs = parameters_from_form(TASK, sent({**form_values(TASK, kept), **texts}), kept)
    return {name: value for name, value in kwargs.items() if name not in REQUIRED}


def test_a_new_form_shows_defaults_and_leaves_required_fields_empty() -> None:
    shown = form_values(TASK, {})
    assert (shown["name"], shown["count"], shown["token"], shown["more"]) == ("", "", "", "")
    assert (shown["ratio"], shown["price"], shown["verbose"], shown["level"]) == ("0.5", "1.10", "true", "1")
    assert (shown["paths"], shown["limits"], shown["labels"], shown["day"]) == ("a\nb", "x=1", "{}", "")


def test_defaults_that_nobody_touched_are_not_stored() -> None:
    form = {**sent(form_values(TASK, {})), "name": ["n"], "count": ["7"]}
    assert parameters_from_form(TASK, form) == {"name": "n", "count": 7}


STORED = {
    "ratio": 0.5,
    "price": "2.50",
    "verbose": False,
    "day": "2026-01-31",
    "at": "2026-01-31T09:30:00",
    "mode": "slow",
    "level": 2,
    "maybe": False,
    "text": "one\ntwo",
    "paths": ["/a b", "", " c", "d\ne"],
    "numbers": [1, 2],
    "labels": {"Accept": "text/html; q=0.9", "a=b": "c"},
    "limits": {"n": 1, "s": "1", "t": True, "none": None, "deep": {"a": [1]}},
    "address": {"street": "Hill", "number": 3},
    "anything": "true",
    "token": "hunter2",
    "extra": [1, "x"],
}


def test_a_form_sent_back_unchanged_changes_nothing() -> None:
    assert read(STORED) == STORED


def test_a_copy_of_a_job_has_the_same_arguments_but_no_secret() -> None:
    """The new job has nothing stored, so every text is read and not merely recognised."""
    kwargs = parameters_from_form(TASK, sent(form_values(TASK, {**REQUIRED, **STORED})))
    same_as_default = {"ratio"}
    assert kwargs == {
        **REQUIRED,
        **{name: value for name, value in STORED.items() if name not in same_as_default | {"token"}},
    }
    TASK.validate([], kwargs)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", " 42 ", 42),
        ("count", "+7", 7),
        ("count", "3.5", "3.5"),
        ("count", "many", "many"),
        ("count", "1" * 30, int("1" * 30)),
        ("ratio", "3", 3),
        ("ratio", "1e-3", 0.001),
        ("ratio", "0,5", "0,5"),
        ("ratio", "nan", "nan"),
        ("price", " 0.10 ", "0.10"),
        ("day", " 2026-02-01 ", "2026-02-01"),
        ("mode", "medium", "medium"),
        ("level", "2", 2),
        ("maybe", "true", True),
        ("text", "  kept as typed \nhere", "  kept as typed \nhere"),
        ("paths", "one\n\n  two  \n", ["one", "two"]),
        ("paths", '["a", "[b]"]', ["a", "[b]"]),
        ("paths", "[not json", ["[not json"]),
        ("numbers", "1\n x", [1, "x"]),
        ("labels", "a=1\nContent-Type: text/x=y\n\nempty=", {"a": "1", "Content-Type": "text/x=y", "empty": ""}),
        ("labels", '{"a": "b"}', {"a": "b"}),
        ("limits", "n=1\nf: 1.5\ns=\"1\"\nl=[1]\nw=word", {"n": 1, "f": 1.5, "s": "1", "l": [1], "w": "word"}),
        ("address", '{"street": "Hill"}', {"street": "Hill"}),
        ("anything", "3", 3),
        ("anything", "plain words", "plain words"),
        ("anything", "NaN", "NaN"),
        ("token", "new secret", "new secret"),
    ],
)  # fmt: skip
def test_a_typed_text_becomes_its_value(name: str, text: str, value: Any) -> None:
    kwargs = parameters_from_form(TASK, {**sent(form_values(TASK, REQUIRED)), name: [text]})
    assert kwargs[name] == value
    assert type(kwargs[name]) is type(value)


def test_further_arguments_are_typed_as_a_mapping_and_stored_side_by_side() -> None:
    assert read(more="a=1\nb=two") == {"a": 1, "b": "two"}
    assert read({"a": 1}, more="") == {}
    with pytest.raises(Invalid) as caught:
        read(more="count=3")
    assert caught.value.fields == {"more": ["count has a field of its own"]}


def test_an_emptied_field_means_nothing_empty_or_not_given() -> None:
    stored = {"day": "2026-01-31", "numbers": [1], "text": "x", "paths": ["x"], "ratio": 0.7, "anything": 3}
    cleared = read(stored, day="", numbers=" ", text="", paths="", ratio="", anything="")
    assert cleared == {"day": None, "numbers": None, "text": "", "paths": [], "anything": None}


def test_an_empty_required_field_is_left_to_the_message_that_it_is_required() -> None:
    kwargs = parameters_from_form(TASK, {**sent(form_values(TASK, {})), "name": [""], "count": [" "]})
    with pytest.raises(Invalid) as caught:
        TASK.validate([], kwargs)
    assert caught.value.fields == {"name": ["is required"], "count": ["is required"]}


def test_a_tick_box_says_no_when_it_is_not_ticked() -> None:
    task = as_task(switch)
    assert parameters_from_form(task, {}) == {"on": False}
    assert parameters_from_form(task, {"on": ["y"]}) == {"on": True}
    assert parameters_from_form(task, {}, {"on": True}) == {"on": False}
    assert parameters_from_form(task, {}, {"on": False}) == {"on": False}
    assert form_values(task, {"on": False}) == {"on": "false"}


def test_a_list_may_be_sent_as_several_fields() -> None:
    kwargs = parameters_from_form(TASK, {"name": ["n"], "count": ["1"], "numbers": ["1", "2"]})
    assert kwargs["numbers"] == [1, 2]


def test_a_secret_is_never_shown_kept_when_left_empty_and_can_be_removed() -> None:
    stored = {**REQUIRED, "token": "hunter2"}
    shown = form_values(TASK, stored)
    assert "hunter2" not in json.dumps(shown)
    form = sent(shown)
    assert parameters_from_form(TASK, form, stored)["token"] == "hunter2"
    assert parameters_from_form(TASK, {**form, "token": ["other"]}, stored)["token"] == "other"
    assert "token" not in parameters_from_form(TASK, {**form, "token.clear": ["1"]}, stored)


def test_a_redacted_mapping_is_hidden_in_the_form_too() -> None:
    task = as_task(everything, redact=["labels", "more"])
    stored = {**REQUIRED, "labels": {"a": "hunter2"}, "other": "hunter3"}
    shown = form_values(task, stored)
    assert (shown["labels"], shown["more"]) == ("", "")
    assert parameters_from_form(task, sent(shown), stored) == stored
    assert parameters_from_form(task, {**sent(shown), "labels": ["b=c"]}, stored)["labels"] == {"b": "c"}


def test_unreadable_texts_are_reported_together_with_the_other_fields() -> None:
    form = {**sent(form_values(TASK, {})), "count": ["x"], "address": ["{street"], "labels": ["a=1\nnonsense"]}
    with pytest.raises(Invalid) as caught:
        parameters_from_form(TASK, form)
    assert caught.value.fields.keys() == {"name", "count", "address", "labels"}
    assert caught.value.fields["name"] == ["is required"]
    assert caught.value.fields["labels"] == ["line 2 has neither = nor : (write name=value)"]
    assert caught.value.fields["address"][0].startswith("is not JSON: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "is nested too deep"),
        ("{} {}", "is not JSON: Extra data (line 1, column 4)"),
        ('{"a": NaN}', "is not JSON: NaN is no JSON value"),
    ],
)
def test_text_that_is_no_json_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(address=text)
    assert caught.value.fields["address"] == [message]


def test_a_name_given_twice_in_a_mapping_is_refused() -> None:
    with pytest.raises(Invalid, match="line 2 gives a a second time"):
        read(labels="a=1\na: 2")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


@settings(deadline=None, max_examples=60)
@given(
    st.fixed_dictionaries(
        {"name": texts.filter(bool), "count": st.integers(-(2**63), 2**63 - 1)},
        optional={
            "paths": st.lists(texts, max_size=4),
            "numbers": st.lists(st.integers(-99, 99), max_size=4),
            "labels": st.dictionaries(texts, texts, max_size=4),
            "limits": st.dictionaries(texts, scalars | st.lists(scalars, max_size=2), max_size=4),
            "anything": scalars.filter(lambda value: value is not None) | st.lists(scalars, max_size=3),
            "level": st.sampled_from([1, 2]),
            "maybe": st.booleans(),
        },
    )
)
def test_what_a_form_shows_reads_back_as_the_same_arguments(kwargs: dict[str, Any]) -> None:
    shown = sent(form_values(TASK, kwargs))
    assert parameters_from_form(TASK, shown, kwargs) == kwargs
    copied = parameters_from_form(TASK, shown)
    defaults = {each.name: each.default for each in TASK.parameters}
    assert {**defaults, **copied} == {**defaults, **kwargs}
