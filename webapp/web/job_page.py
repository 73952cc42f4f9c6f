"""One showing of the job form: its fields, the parameters of its task, its preview, its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

from flask import render_template
from werkzeug.datastructures import MultiDict

from webapp.domain.errors import Invalid
from webapp.services import calendars, job_lists, jobs
from webapp.store.filters import JobFilter
from webapp.store.models import Job
from webapp.tasks import registry
from webapp.tasks.forms import parameters_from_form
from webapp.web import htmx
from webapp.web.forms import base
from webapp.web.forms.job import JobForm
from webapp.web.forms.schedule import OF_KIND
from webapp.web.presenters import parameters
from webapp.web.presenters import preview as previews
from webapp.web.presenters.jobs import find
from webapp.web.viewer import now, settings, zone

Value = TypeVar("Value")
CHOICES_MAX = 200


def fresh(task_key: str = "") -> dict[str, Any]:
    """The raw job that an empty form shows: every quarter of an hour, with the settings' defaults."""
    defaults = jobs.defaults()
    return {
        "task": task_key if registry.find(task_key) else "",
        "trigger": {"kind": "interval", "minutes": 15, "timezone": defaults.timezone},
        "coalesce": defaults.coalesce,
        "max_instances": defaults.max_instances,
    }


def prefix(read: Callable[[], Value]) -> Value:
    """Call ``read``; put ``kwargs.`` before the names of what it finds wrong, as services do."""
    try:
        return read()
    except Invalid as error:
        raise Invalid({f"kwargs.{name}" if name else "kwargs": texts for name, texts in error.fields.items()}) from None


class JobPage:
    """``raw`` is what the form shows at first; ``job`` is the one being edited, ``source`` the one being cloned."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        job: Job | None = None,
        source: Job | None = None,
        sent: MultiDict[str, str] | None = None,
    ) -> None:
        self.job, self.source = job, source
        self.stored: dict[str, Any] = dict(raw)
        self.rest: list[str] = []
        self.sent_form: MultiDict[str, str] = sent if sent is not None else MultiDict()
        self.form = JobForm(sent)
        if sent is None:
            self.form.show(raw)
            self.form.trigger.form.show(raw["trigger"])
            self.form.revision.data = str(job.revision) if job else ""
        self._offer()
        self.task = registry.find(self.form.task.data or "")
        same_task = self.task is not None and self.task.key == raw.get("task")
        self.arguments: dict[str, Any] = (
            parameters.by_name(self.task, raw.get("args", []), raw.get("kwargs", {}))
            if self.task is not None and same_task
            else {}
        )
        self.inputs = parameters.inputs(self.task, self.arguments, sent)

    @classmethod
    def sent(cls, form: MultiDict[str, str], job: Job | None) -> Self:
        """The page of a form that was sent: for a new job, or for ``job``. A clone's secrets come from its source."""
        source_id = form.get("source", "")
        source = find(source_id) if source_id and job is None else None
        raw = jobs.definition(job) if job else (jobs.clone_of(source) if source else fresh())
        return cls(raw, job=job, source=source, sent=form)

    def raw(self, moment: datetime) -> dict[str, Any]:
        """The raw job that was typed. Raises Invalid with the messages of arguments and of everything else at once."""
        raw = self.form.raw(self.stored if self.job else None)
        if self.job is not None:
            raw["id"] = self.job.id
        if self.task is None:
            return raw
        try:
            read = prefix(self._arguments)
        except Invalid as error:
            raise Invalid({**self._other_errors(raw, moment), **error.fields}) from None
        if self.arguments == read and self.stored.get("task") == self.task.key:
            raw["args"], raw["kwargs"] = self.stored.get("args", []), self.stored.get("kwargs", {})
        else:
            raw["kwargs"] = read
        return raw

    def _arguments(self) -> dict[str, Any]:
        assert self.task is not None
        return parameters_from_form(self.task, parameters.texts(self.task, self.sent_form), self.arguments)

    def _other_errors(self, raw: dict[str, Any], moment: datetime) -> dict[str, list[str]]:
        try:
            jobs.check(raw, now=moment, stored=self.job)
        except Invalid as error:
            return {name: texts for name, texts in error.fields.items() if not name.startswith("kwargs")}
        return {}

    def refuse(self, error: Invalid) -> str:
        """The form again, with each message at its field."""
        of_arguments = {name: texts for name, texts in error.fields.items() if name.startswith("kwargs")}
        others = self._at_fields({name: texts for name, texts in error.fields.items() if name not in of_arguments})
        self.rest = parameters.put_errors(self.inputs, of_arguments)
        if others:
            self.rest += base.put_errors(self.form, Invalid(others))
        return self.render()

    def _at_fields(self, messages: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The messages, those about the schedule's spec under the names of the fields, which may say it differently."""
        lead = "trigger."
        about = {name.removeprefix(lead): texts for name, texts in messages.items() if name.startswith(lead)}
        told = self.form.trigger.form.told(Invalid(about)).fields
        others = {name: texts for name, texts in messages.items() if not name.startswith(lead)}
        return others | {f"{lead}{name}": texts for name, texts in told.items()}

    def render(self) -> str:
        """The whole page; for htmx only the form."""
        return render_template(
            "jobs/_form.html" if htmx.is_htmx() else "jobs/form.html",
            form=self.form,
            job=self.job,
            source=self.source,
            task=self.task,
            tasks=registry.all(),
            inputs=self.inputs,
            lines=self._lines(),
            first_bad=self._first_bad(),
            opens_more=self._opens_more(),
            opens_rules=self._opens_rules(),
            other_jobs=self._other_jobs(),
            preview=self.preview(),
        )

    def _lines(self) -> list[tuple[str, str, str]]:
        lines = base.error_lines(self.form, self.rest)
        return lines + [(each.id, each.label, text) for each in self.inputs for text in each.errors]

    def _first_bad(self) -> Any:
        return base.first_bad(self.form) or next((each for each in self.inputs if each.errors), None)

    def _opens_more(self) -> bool:
        """Whether the rarely used options are shown at once: they hold a message or something unusual."""
        form = self.form
        fields = (form.executor, form.jobstore, form.priority, form.group, form.id, form.description, form.tags)
        aliases = (form.executor.data, form.jobstore.data)
        unusual = form.priority.data not in ("0", "", None) or any(
            each not in ("default", "", None) for each in aliases
        )
        return unusual or bool(form.group.data) or any(field.errors for field in fields)

    def _opens_rules(self) -> bool:
        """The same for the rules about failures."""
        form = self.form
        fields = (form.retry.form.only_on, form.auto_pause_after, form.chains, form.rerun_if_lost)
        return any(field.errors or field.data for field in fields)

    def _other_jobs(self) -> list[tuple[str, str]]:
        """(id, name) of jobs that may be chained, for a list to choose from."""
        every = job_lists.first(JobFilter(), CHOICES_MAX)
        return [(each.id, each.name) for each in every if self.job is None or each.id != self.job.id]

    def preview(self) -> previews.Preview:
        """What the schedule in the form would do."""
        stored = self.stored.get("trigger") if self.job else None
        return previews.typed(
            self.form.trigger.form.spec(stored),
            stored,
            job_id=self.job.id if self.job else (self.form.id.data or ""),
            now=now(),
            viewer=zone(),
            default_timezone=settings().timezone,
            day=self.sent_form.get("simulate", ""),
            told=self.form.trigger.form.told,
        )

    def _offer(self) -> None:
        """Fill the lists to choose from. A task that is missing here stays in the list, so that it is not lost."""
        choices = [("", "Choose a task")]
        choices += [(task.key, f"{task.title} ({task.key})") for task in registry.all() if task.enabled]
        current = self.form.task.data
        if current and current not in {key for key, _ in choices}:
            choices.append((current, f"{current} (not available)"))
        self.form.task.choices = base.options(*choices)
        kind = str(self.stored.get("trigger", {}).get("kind", ""))
        if kind not in OF_KIND:
            kinds = self.form.trigger.form.kind
            kinds.choices = [*kinds.choices, *base.options((kind, "As it is"))]
        self.form.trigger.form.offer([each.name for each in calendars.every()], self.stored.get("trigger") or {})
        names = sorted({*settings().executor_table(), self.form.executor.data or "default"})
        self.form.executor.choices = base.options(*((name, name) for name in names))
        stores = list(dict.fromkeys([*settings().jobstore_names, self.form.jobstore.data or "default"]))
        self.form.jobstore.choices = base.options(*((name, name) for name in stores))
