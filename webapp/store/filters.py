"""What a list shows, as values: URL parameters -> filter -> query -> the same URL parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Text, cast, or_
from werkzeug.datastructures import MultiDict

from webapp.domain.errors import Invalid
from webapp.domain.states import JobState, RunState, RunTrigger
from webapp.store.models import AuditEntry, Job, Run

Args = Mapping[str, str] | MultiDict[str, str]


def _values(args: Args, name: str) -> tuple[str, ...]:
    found: Iterable[str] = args.getlist(name) if isinstance(args, MultiDict) else filter(None, [args.get(name)])
    return tuple(part for text in found for part in text.split(",") if part)


def _choices(args: Args, name: str, known: Iterable[str]) -> tuple[str, ...]:
    values, allowed = _values(args, name), list(known)
    for value in values:
        if value not in allowed:
            raise Invalid({name: f"{value!r} is none of {', '.join(allowed)}."})
    return values


def _instant(args: Args, name: str) -> datetime | None:
    text = (args.get(name) or "").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid({name: f"{text!r} is not an ISO 8601 time such as 2026-12-01T10:00Z."}) from None
    if not 1970 <= moment.year <= 2100:
        raise Invalid({name: "The year must lie between 1970 and 2100."})
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def escape_like(text: str) -> str:
    """``text`` for the inside of a LIKE pattern with ``\\`` as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@dataclass(frozen=True)
class RunFilter:
    """Which runs of the ledger: by state, job, task, trigger, the time they were queued, and words in name or error."""

    state: tuple[str, ...] = ()
    job_id: str = ""
    task: str = ""
    trigger: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""

    @classmethod
    def parse(cls, args: Args) -> RunFilter:
        """From URL parameters; naive times are UTC. Raises Invalid by parameter."""
        return cls(
            state=_choices(args, "state", RunState),
            job_id=(args.get("job_id") or "").strip(),
            task=(args.get("task") or "").strip(),
            trigger=_choices(args, "trigger", RunTrigger),
            since=_instant(args, "since"),
            until=_instant(args, "until"),
            q=(args.get("q") or "").strip()[:200],
        )

    def to_args(self) -> dict[str, str | list[str]]:
        """The URL parameters that ``parse`` reads as this filter; what is not set is left out."""
        args: dict[str, str | list[str]] = {}
        if self.state:
            args["state"] = list(self.state)
        if self.trigger:
            args["trigger"] = list(self.trigger)
        for name in ("job_id", "task", "q"):
            if getattr(self, name):
                args[name] = getattr(self, name)
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment:
                args[name] = moment.isoformat()
        return args

    def apply(self, query: Select[Any]) -> Select[Any]:
        if self.state:
            query = query.where(Run.state.in_(self.state))
        if self.job_id:
            query = query.where(Run.job_id == self.job_id)
        if self.task:
            query = query.where(Run.task == self.task)
        if self.trigger:
            query = query.where(Run.trigger.in_(self.trigger))
        if self.since:
            query = query.where(Run.queued_at >= self.since)
        if self.until:
            query = query.where(Run.queued_at < self.until)
        if self.q:
            like = f"%{escape_like(self.q)}%"
            query = query.where(
                or_(
                    Run.job_name.ilike(like, escape="\\"),
                    Run.job_id.ilike(like, escape="\\"),
                    Run.error.ilike(like, escape="\\"),
                )
            )
        return query


SORTS = {"name": Job.name, "next": Job.next_due_at, "updated": Job.updated_at, "state": Job.state, "task": Job.task}


@dataclass(frozen=True)
class JobFilter:
    """Which jobs of the catalogue, and in which order (``sort``: a key of SORTS, led by ``-`` for descending)."""

    q: str = ""
    state: tuple[str, ...] = ()
    task: str = ""
    tag: str = ""
    jobstore: str = ""
    sort: str = "name"

    @classmethod
    def parse(cls, args: Args) -> JobFilter:
        """From URL parameters. Raises Invalid by parameter."""
        sort = (args.get("sort") or "name").strip()
        if sort.removeprefix("-") not in SORTS:
            raise Invalid({"sort": f"{sort!r} is none of {', '.join(SORTS)}."})
        return cls(
            q=(args.get("q") or "").strip()[:200],
            state=_choices(args, "state", JobState),
            task=(args.get("task") or "").strip(),
            tag=(args.get("tag") or "").strip(),
            jobstore=(args.get("jobstore") or "").strip(),
            sort=sort,
        )

    def to_args(self) -> dict[str, str | list[str]]:
        args: dict[str, str | list[str]] = {name: getattr(self, name) for name in ("q", "task", "tag", "jobstore")}
        args = {name: value for name, value in args.items() if value}
        if self.state:
            args["state"] = list(self.state)
        if self.sort != "name":
            args["sort"] = self.sort
        return args

    def apply(self, query: Select[Any]) -> Select[Any]:
        if self.state:
            query = query.where(Job.state.in_(self.state))
        if self.task:
            query = query.where(Job.task == self.task)
        if self.jobstore:
            query = query.where(Job.jobstore == self.jobstore)
        if self.tag:
            like = f"%{escape_like(json.dumps(self.tag))}%"  # as the tag stands in the column, between double quotes
            query = query.where(tags_text().like(like, escape="\\"))
        if self.q:
            like = f"%{escape_like(self.q)}%"
            query = query.where(
                or_(
                    Job.name.ilike(like, escape="\\"),
                    Job.id.ilike(like, escape="\\"),
                    Job.task.ilike(like, escape="\\"),
                    tags_text().ilike(f"%{escape_like(json.dumps(self.q)[1:-1])}%", escape="\\"),
                )
            )
        return query


def tags_text() -> Any:
    """The tags column as the JSON text that it is, in which letters beyond ASCII are escaped."""
    return cast(Job.tags, Text)


@dataclass(frozen=True)
class AuditFilter:
    """Which entries of the audit: by who, what was done, to what, and when."""

    actor: str = ""
    action: str = ""
    object_type: str = ""
    object_id: str = ""
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def parse(cls, args: Args) -> AuditFilter:
        """From URL parameters; naive times are UTC. Raises Invalid by parameter."""
        texts = {name: (args.get(name) or "").strip()[:191] for name in AUDIT_TEXTS}
        return cls(**texts, since=_instant(args, "since"), until=_instant(args, "until"))

    def to_args(self) -> dict[str, str | list[str]]:
        args: dict[str, str | list[str]] = {name: getattr(self, name) for name in AUDIT_TEXTS if getattr(self, name)}
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment:
                args[name] = moment.isoformat()
        return args

    def apply(self, query: Select[Any]) -> Select[Any]:
        for name in AUDIT_TEXTS:
            value = getattr(self, name)
            column = getattr(AuditEntry, name)
            if value and name == "action" and "." not in value:  # "job" stands for all that is done to jobs
                query = query.where(column.like(f"{escape_like(value)}.%", escape="\\"))
            elif value:
                query = query.where(column == value)
        if self.since:
            query = query.where(AuditEntry.at >= self.since)
        if self.until:
            query = query.where(AuditEntry.at < self.until)
        return query


AUDIT_TEXTS = ("actor", "action", "object_type", "object_id", "address")
