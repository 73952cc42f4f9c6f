"""What a list shows, as values: URL parameters -> filter -> query -> the same URL parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, exists, func, literal_column, or_
from werkzeug.datastructures import MultiDict

from webapp.domain.errors import Invalid
from webapp.domain.states import JobState, RunState, RunTrigger
from webapp.store import job_words
from webapp.store.job_words import escape_like
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


def _time_args(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """The parameters that ``_instant`` reads as these ends of a time."""
    return {name: moment.isoformat() for name, moment in (("since", since), ("until", until)) if moment}


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
        return args | _time_args(self.since, self.until)

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
            like, words = f"%{escape_like(self.q)}%", job_words.WORDS
            query = query.where(
                or_(
                    exists().where(words.c.job_id == Run.job_id, job_words.contain(words, self.q)),
                    Run.job_name.ilike(like, escape="\\"),
                    Run.job_id.ilike(like, escape="\\"),
                    Run.error.ilike(like, escape="\\"),
                )
            )
        return query


UNINDEXED_STATE = func.coalesce(Job.state, literal_column("''"))
"""The state where it is asked of each job: it leads no database away from the index that gives the order."""
SORTS = ("name", "next", "updated", "state", "task")


@dataclass(frozen=True)
class JobFilter:
    """Which jobs of the catalogue, and in which order (``sort``: one of SORTS, led by ``-`` for descending)."""

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
        """Ask it of each job that the query reads."""
        if self.of_words():
            words = job_words.WORDS.alias()  # the list may be in the order of the words' table itself
            query = query.where(exists().where(words.c.job_id == Job.id, *self.of_words(words)))
        if self.tag:
            query = query.where(job_words.has_tag(Job.id, self.tag))
        return query.where(*self.of_job(UNINDEXED_STATE))

    @property
    def asks(self) -> bool:
        """Whether it leaves any job out."""
        return bool(self.tag or self.of_words() or self.of_job())

    def of_job(self, state: Any = Job.state) -> list[Any]:
        """What is asked of the columns of the job itself; ``state``: how the statement calls that one."""
        found = [state.in_(self.state)] if self.state else []
        return [*found, Job.jobstore == self.jobstore] if self.jobstore else found

    def of_words(self, words: Any = job_words.WORDS) -> list[Any]:
        """What is asked of its row of words, under the name that the statement gives to their table."""
        found = [words.c.task == self.task] if self.task else []
        return [*found, job_words.contain(words, self.q)] if self.q else found


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
        return args | _time_args(self.since, self.until)

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
