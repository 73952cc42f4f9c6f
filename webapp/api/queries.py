"""What may stand behind the ``?`` of an address, as pydantic models: they validate, and the document shows them.

Which states, times and cursors there are is checked by the filters and services that pages use too.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from webapp.api.schemas import read
from webapp.domain.states import JobState, RunState, RunTrigger
from webapp.store.filters import SORTS

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_YES = {"1": True, "true": True, "0": False, "false": False}


def _whole(value: Any) -> Any:
    """Digits, and nothing that Python would also read as a number."""
    text = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, int) and not _WHOLE.fullmatch(text):
        raise PydanticCustomError("int_type", "not a whole number")
    return int(value)


def _yes_or_no(value: Any) -> Any:
    if not isinstance(value, bool) and value not in _YES:
        raise PydanticCustomError("yes_or_no", "not yes or no")
    return _YES.get(value, value)


def _one_of(*known: str) -> dict[str, Any]:
    """For the document only: the filters themselves refuse other values, with their own message."""
    return {"items": {"type": "string", "enum": list(known)}}


Whole = Annotated[int, BeforeValidator(_whole)]
YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no)]
Day = Annotated[str, Field(max_length=10, description="YYYY-MM-DD: also tell what happens on that local day")]


class Query(BaseModel):
    """Other parameters are refused: a misspelled filter would otherwise answer with everything."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Query):
    """No parameters."""


class JobQuery(Query):
    """Parameters that are not listed are passed over, as Flask-APScheduler does: some clients add a time stamp."""

    model_config = ConfigDict(extra="ignore")

    q: str = Field("", description="Words in name, id, task or tags")
    state: list[str] = Field([], json_schema_extra=_one_of(*JobState))
    task: str = Field("", description="A task's key")
    tag: str = ""
    jobstore: str = Field("", description="The alias of a job store")
    sort: str = Field(
        "next",
        description="With - in front: descending",
        json_schema_extra={"enum": [way + name for name in SORTS for way in ("", "-")]},
    )
    limit: Whole = Field(None, ge=1, le=1000, description="Without it the whole list")  # type: ignore[assignment]
    cursor: str = Field("", description="Where the page begins; the Link header gives the next")


class RunFilters(Query):
    """Which runs. ``since`` and ``until`` are about ``queued_at``; without an offset they are UTC."""

    job_id: str = ""
    task: str = Field("", description="A task's key")
    state: list[str] = Field([], json_schema_extra=_one_of(*RunState))
    trigger: list[str] = Field([], json_schema_extra=_one_of(*RunTrigger))
    since: str = Field("", description="ISO 8601, such as 2026-06-01T00:00Z")
    until: str = Field("", description="ISO 8601; this moment is not included")
    q: str = Field("", description="Words in the job's name or id, or in the error")


class RunQuery(RunFilters):
    limit: Whole = Field(50, ge=1, le=500)
    cursor: str = Field("", description="The next of the page before", pattern=r"^[ab][0-9]{1,17}\.[0-9]{1,17}$")


class LogQuery(Query):
    from_line: Whole = Field(0, ge=-1_000_000, le=2**62, description="Negative: counted from the end")
    limit: Whole = Field(1000, ge=1, le=10_000)


class ScheduleQuery(Query):
    count: Whole = Field(10, ge=1, le=100, description="So many due times")
    simulate: Day = ""


class BalanceQuery(Query):
    since: str = Field("", description="ISO 8601; without it 24 hours before until")
    until: str = Field("", description="ISO 8601; without it, and at most, now")
    job_id: str = Field("", description="This job only")


class ExplainQuery(Query):
    at: str = Field(min_length=1, description="ISO 8601; without an offset in the job's time zone")


class PastQuery(Query):
    since: str = Field("", description="ISO 8601; without it 24 hours before until")
    until: str = Field("", description="ISO 8601; without it, and at most, now")
    limit: Whole = Field(100, ge=1, le=500)
    open: YesOrNo = Field(False, description="1: leave out what succeeded or is going on")


class ImportQuery(Query):
    add: YesOrNo = Field(False, description="1: keep what the calendar holds already")
    timezone: str = Field("", description="Zone of a new calendar")


Parameters = TypeVar("Parameters", bound=Query)


def read_query(model: type[Parameters]) -> Parameters:
    """The request's parameters; empty ones count as not given. Raises Invalid with the messages by parameter."""
    many = {name for name, field in model.model_fields.items() if field.annotation == list[str]}
    given: dict[str, Any] = {}
    for name, texts in request.args.lists():
        texts = [text for text in texts if text]
        if texts:
            given[name] = texts if name in many else texts[0]
    return read(model, given)
