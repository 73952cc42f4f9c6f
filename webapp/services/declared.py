"""Jobs declared in code: made if they are absent, changed only where the code has changed since, never removed.

What a person has edited or paused stays as it is. A job keeps in ``code_definition`` what the code ``said``, what was
``made`` of it, and whether it is still ``declared``.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from webapp.domain import translation
from webapp.domain.errors import CarillonError, Conflict, Invalid
from webapp.domain.phrases import join
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit, jobs
from webapp.services.actors import Actor
from webapp.services.definitions import RAW_FIELDS
from webapp.services.periods import definition_of
from webapp.store.database import writing
from webapp.store.models import EngineEvent, Job
from webapp.tasks import ImportProblem, registry
from webapp.tasks.declarations import Declaration

log = logging.getLogger(__name__)

CODE = Actor("code", Role.ADMIN, "code")
SETTING = "SCHEDULER_JOBS"
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_RENAMED = {"misfire_grace_time": "misfire_grace_s"}
_IGNORED = ("replace_existing",)
"""Written by everybody who used APScheduler, and what happens here anyway: the id says which job is meant."""
_ABSENT = object()


@dataclass(frozen=True)
class Declared:
    """A job that the code declares: ``said`` is its raw form, with nothing but what the code wrote."""

    id: str
    said: dict[str, Any]
    paused: bool
    declaration: Declaration


@dataclass
class Plan:
    """What the code wants of the catalogue, and what is wrong with it. ``ids`` has those of bad declarations, too."""

    wanted: list[Declared] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    problems: list[ImportProblem] = field(default_factory=list)

    def refuse(self, declaration: Declaration, error: Exception | str) -> None:
        lines = error.lines() if isinstance(error, Invalid) else [str(error)]
        self.problems += [ImportProblem(declaration.source, f"{declaration.where}: {line}") for line in lines]


@dataclass
class Applied:
    """What was done, by job id. ``kept`` names, for each job, the fields in which a person's edit stands."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)
    undeclared: list[str] = field(default_factory=list)


def from_settings(entries: object) -> list[Declaration]:
    """The declarations in SCHEDULER_JOBS, which may hold anything."""
    if isinstance(entries, Mapping | str) or not isinstance(entries, Iterable):
        entries = [entries]
    return [Declaration(SETTING, entry if isinstance(entry, Mapping) else {"": entry}) for entry in entries]


def is_declared(job: Job) -> bool | None:
    """Whether the code still declares this job; None for one that the code did not make."""
    if job.origin != "code":
        return None
    return bool((job.code_definition or {}).get("declared", True))


def read(declarations: Iterable[Declaration]) -> Plan:
    """What these declarations say, and what is wrong with them by themselves. Changes nothing."""
    plan = Plan()
    for declaration in declarations:
        try:
            wanted = _read(declaration)
            if wanted.id in plan.ids:
                raise Conflict("Another declaration has this id; this one is left out.")
            plan.ids.add(wanted.id)
            jobs.check({**wanted.said, "id": wanted.id}, now=_LONG_AGO)
            plan.wanted.append(wanted)
        except CarillonError as error:
            plan.refuse(declaration, error)
    return plan


def report(plan: Plan) -> None:
    """Put what is wrong on the Tasks page and into the log."""
    for problem in plan.problems:
        registry.report(problem)


def apply(plan: Plan, *, now: datetime) -> Applied:
    """Bring the catalogue in line with the code. What cannot be done is added to the plan's problems."""
    applied = Applied()
    pending = plan.wanted
    while pending:
        failed: list[tuple[Declared, CarillonError]] = []
        for wanted in pending:
            try:
                _apply(wanted, applied, now)
            except CarillonError as error:  # it may name, in a chain, a job that comes later
                failed.append((wanted, error))
        if len(failed) == len(pending):
            for wanted, why in failed:
                plan.refuse(wanted.declaration, why)
            break
        pending = [wanted for wanted, _ in failed]
    _mark_undeclared(plan.ids, applied, now)
    return applied


# -- what a declaration says ---------------------------------------------------------------------------------------


def _read(declaration: Declaration) -> Declared:
    job_id = declaration.job.get("id")
    if not isinstance(job_id, str) or not job_id.strip():
        raise Invalid({"id": "A declared job needs an id: without one there would be another at each start."})
    spec, rest = translation.split(declaration.job)
    paused = rest.pop("next_run_time", _ABSENT)
    if paused not in (_ABSENT, None):
        raise Invalid({"next_run_time": "The schedule says when; only None, for paused, can be given here."})
    said = {"task": _task_key(rest), "trigger": spec}
    if declaration.source == SETTING:
        said["name"] = job_id
    for name, value in rest.items():
        field_name = _RENAMED.get(name, name)
        if field_name not in RAW_FIELDS:
            raise Invalid({str(name)[:60]: "There is no such setting of a job."})
        if value is not None or field_name == "misfire_grace_s":  # there None says: never too late
            said[field_name] = list(value) if isinstance(value, tuple) else value
    try:
        plain = json.loads(json.dumps(said, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Invalid({"": f"It cannot be stored as JSON: {error}."}) from None
    return Declared(job_id, plain, paused is None, declaration)


def _task_key(rest: dict[str, Any]) -> str:
    """The key of the task that is meant; takes what names it out of ``rest``."""
    given = rest.pop("func", None)
    given = rest.pop("task", None) if given is None else given
    for name in ("id", *_IGNORED):
        rest.pop(name, None)
    name = f"{given.__module__}:{given.__qualname__}" if inspect.isfunction(given) else given
    task = registry.find(name) if isinstance(name, str) else None
    if task is None:
        raise Invalid(
            {"func": f"{name} is not a registered task: decorate the function with @task, and name its module in "
             "CARILLON_TASK_MODULES."}
        )  # fmt: skip
    return task.key


# -- into the catalogue --------------------------------------------------------------------------------------------


def _apply(wanted: Declared, applied: Applied, now: datetime) -> None:
    job = db.session.get(Job, wanted.id, populate_existing=True)
    if job is None:
        raw = {**wanted.said, "id": wanted.id}
        job = jobs.create(raw, actor=CODE, now=now, paused=wanted.paused, origin="code")
        _remember(job.id, wanted.said, definition_of(job), now)
        applied.created.append(job.id)
    elif job.origin != "code":
        raise Conflict("There is a job with this id that the code did not make. It is left as it is.")
    else:
        _update(job, wanted, applied, now)


def _update(job: Job, wanted: Declared, applied: Applied, now: datetime) -> None:
    """Carry over what the code says otherwise than before, field by field, but for what a person has edited."""
    known = job.code_definition or {"said": wanted.said, "made": definition_of(job)}
    before, made = known["said"], known["made"]
    names = set(before) | set(wanted.said)
    changed = sorted(name for name in names if before.get(name, _ABSENT) != wanted.said.get(name, _ABSENT))
    if not changed:
        if job.code_definition is None or not is_declared(job):
            _remember(job.id, wanted.said, made, now)
        return
    raw = _changed(job, wanted.said, changed)
    columns = jobs.check({**raw, "id": job.id}, now=now, stored=job).columns()
    kept = [name for name in changed if getattr(job, name) not in (made.get(name), columns[name])]
    taken = [name for name in changed if name not in kept]
    if taken:
        raw = _changed(job, wanted.said, taken)
        job = jobs.update(job.id, raw, actor=CODE, now=now, expected_revision=job.revision)
        applied.updated.append(job.id)
    if kept:
        applied.kept[job.id] = kept
    _remember(job.id, wanted.said, {**made, **{name: getattr(job, name) for name in taken}}, now, kept)


def _changed(job: Job, said: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The raw form of the job with these fields as the code says them; what it says no more takes the default."""
    raw = jobs.definition(job)
    for name in names:
        if name in said:
            raw[name] = said[name]
        else:
            raw.pop(name, None)
    return {**raw, "func": raw["task"]} if "task" in names else raw


def _remember(
    job_id: str, said: Mapping[str, Any], made: Mapping[str, Any], now: datetime, kept: Sequence[str] = ()
) -> None:
    """Note on the job what the code said and what was made of it; an event tells which edits stand against it."""
    with writing() as session:
        job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
        if job is None:
            return
        job.code_definition = {"said": dict(said), "made": dict(made), "declared": True}
        job.updated_at = now
        if kept:
            message = f"The code says another {join(kept)} for the job {job_id}; what a person saved stands."
            log.warning(message)
            session.add(EngineEvent(at=now, kind="code", message=message[:500]))


def _mark_undeclared(ids: Collection[str], applied: Applied, now: datetime) -> None:
    """Note on jobs that the code declared once that it does so no more. They stay, and run on."""
    some_failed = any(problem.traceback for problem in registry.problems)
    with writing() as session:
        for job in session.scalars(select(Job).where(Job.origin == "code").execution_options(populate_existing=True)):
            unknown = some_failed and registry.find(job.task) is None  # its module may be one that failed to import
            if job.id in ids or unknown or not is_declared(job):
                continue
            job.code_definition = {**(job.code_definition or {}), "declared": False}
            job.updated_at = now
            audit.record("job.undeclared", "job", job.id, actor=CODE, now=now)
            applied.undeclared.append(job.id)
    if applied.undeclared:
        log.warning("no longer declared in the code, but kept: %s", ", ".join(applied.undeclared))
