"""The form of a job. It knows how a job's raw form (services.definitions) is typed in, and judges nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wtforms import (
    BooleanField,
    FormField,
    HiddenField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms import Form as PlainForm

from webapp.domain.states import Overlap
from webapp.web.forms.base import Form, options
from webapp.web.forms.chains import ChainsField
from webapp.web.forms.durations import DurationField
from webapp.web.forms.schedule import TriggerForm

_WHOLE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
QUIET = {"autocomplete": "off", "spellcheck": "false"}
NUMBER = {**QUIET, "inputmode": "numeric", "class": "short"}


class RetryForm(PlainForm):  # type: ignore[misc]
    """What happens after a failure."""

    max_attempts = StringField("Tries in all", description="1: do not try again.", default="1", render_kw=NUMBER)
    delay_s = DurationField("Wait before the next try", unit="s", default=60)
    backoff = SelectField(
        "Each further wait",
        choices=options(("exponential", "twice as long"), ("fixed", "as long")),
        default="exponential",
        validate_choice=False,
    )
    only_on = StringField(
        "Only after these errors",
        description="Names of exceptions, separated by spaces; timed_out for the time limit. Empty: after any.",
        render_kw={**QUIET, "class": "mono", "placeholder": "ConnectionError"},
    )


class JobForm(Form):
    """Everything one can say about a job. Field names are those of the raw form, so that messages find their field."""

    revision = HiddenField()
    task = SelectField("Task", validate_choice=False)
    name = StringField("Name", description="Empty: the task's title.", render_kw={"autocomplete": "off"})
    id = StringField(
        "Id",
        description="For scripts; cannot be changed later. Empty: made from the name.",
        render_kw={**QUIET, "class": "mono"},
    )
    description = TextAreaField("About", description="For your colleagues: what for, whom to ask.")
    tags = StringField("Tags", description="Separated by spaces.", render_kw=QUIET)

    trigger = FormField(TriggerForm, separator=".")

    overlap = RadioField(
        "If it is still running when it is due again",
        choices=options(
            (Overlap.SKIP, "skip the new one"),
            (Overlap.QUEUE, "let one wait until the earlier has ended"),
            (Overlap.TOGETHER, "run them together"),
            (Overlap.REPLACE, "stop the earlier and start the new one"),
        ),
        default=Overlap.SKIP,
        validate_choice=False,
    )
    max_instances = StringField(
        "Runs at once, at most", description="More than 1 lets runs of this job go on together.", render_kw=NUMBER
    )
    misfire_grace_s = DurationField(
        "If it cannot start in time, start it up to this late",
        unit="h",
        description="Later it is recorded as missed. Empty: 1 hour for recurring jobs, any time for a single date.",
    )
    misfire_any = BooleanField("However late it is, run it")
    coalesce = RadioField(
        "If several due times have passed by",
        choices=options(("1", "run once for all of them"), ("0", "run once for each")),
        default="1",
        validate_choice=False,
    )
    timeout_s = DurationField("Time limit", unit="min", description="Then the run is stopped. Empty: none.")
    retry = FormField(RetryForm, separator=".")
    auto_pause_after = StringField(
        "Pause the job after so many failures in a row", description="Empty: never.", render_kw=NUMBER
    )
    chains = ChainsField("When a run has ended, run these too")
    rerun_if_lost = BooleanField(
        "Run again after a crash", description="Only if the task may safely run twice for the same due time."
    )
    executor = SelectField("Executor", description="Where it runs.", validate_choice=False)
    jobstore = SelectField("Job store", description="Where it is kept; it can be moved.", validate_choice=False)
    group = StringField(
        "Group",
        description="Jobs of one group share a limit of runs at once, which the settings name.",
        render_kw=QUIET,
    )
    priority = StringField("Priority", description="From -100 to 100; the highest starts first.", render_kw=NUMBER)

    def show(self, raw: Mapping[str, Any]) -> None:
        """Fill the fields from a raw job."""
        retry = raw.get("retry") or {}
        values = {
            "task": raw.get("task", ""),
            "name": raw.get("name", ""),
            "description": raw.get("description", ""),
            "tags": " ".join(raw.get("tags", [])),
            "overlap": raw.get("overlap", Overlap.SKIP),
            "max_instances": str(raw.get("max_instances", 1)),
            "misfire_grace_s": raw.get("misfire_grace_s"),
            "misfire_any": "misfire_grace_s" in raw and raw["misfire_grace_s"] is None,
            "coalesce": "1" if raw.get("coalesce", True) else "0",
            "timeout_s": raw.get("timeout_s"),
            "rerun_if_lost": raw.get("rerun_if_lost", False),
            "auto_pause_after": str(raw.get("auto_pause_after") or ""),
            "chains": raw.get("chains", []),
            "group": raw.get("group") or "",
            "executor": raw.get("executor", "default"),
            "jobstore": raw.get("jobstore", "default"),
            "priority": str(raw.get("priority", 0)),
            "retry": {
                "max_attempts": str(retry.get("max_attempts", 1)),
                "delay_s": retry.get("delay_s", 60),
                "backoff": retry.get("backoff", "exponential"),
                "only_on": " ".join(retry.get("only_on", [])),
            },
        }
        for name, value in values.items():
            self[name].process(None, value)

    def raw(self, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What was typed as a raw job, all but its arguments. ``stored`` is the raw form of the job being edited.

        A field that the form left empty is left out, so that services put their default there.
        """
        kept = dict(stored or {})
        raw: dict[str, Any] = {
            "id": self.id.data or None,
            "name": self.name.data or "",
            "task": self.task.data or "",
            "description": self.description.data or "",
            "tags": _words(self.tags.data),
            "trigger": self.trigger.form.spec(kept.get("trigger")),
            "overlap": self.overlap.data,
            "max_instances": _number(self.max_instances.data),
            "coalesce": {"1": True, "0": False}.get(self.coalesce.data, self.coalesce.data),
            "timeout_s": self.timeout_s.data,
            "retry": self._retry(),
            "auto_pause_after": _number(self.auto_pause_after.data),
            "chains": self.chains.data,
            "rerun_if_lost": self.rerun_if_lost.data,
            "group": self.group.data or None,
            "executor": self.executor.data or None,
            "priority": _number(self.priority.data),
        }
        if self.misfire_any.data:
            raw["misfire_grace_s"] = None
        elif self.misfire_grace_s.data is not None:
            raw["misfire_grace_s"] = self.misfire_grace_s.data
        if kept.get("task") == raw["task"]:
            raw["func"] = kept.get("func")
        if self.jobstore.data or "jobstore" in kept:  # with one store only, the form does not ask
            raw["jobstore"] = self.jobstore.data or kept["jobstore"]
        return raw

    def _retry(self) -> dict[str, Any]:
        fields = self.retry.form
        attempts = _number(fields.max_attempts.data)
        if attempts in (None, 1):
            return {}
        retry = {"max_attempts": attempts, "delay_s": fields.delay_s.data or 0, "backoff": fields.backoff.data}
        only_on = _words(fields.only_on.data)
        return {**retry, "only_on": only_on} if only_on else retry


def _words(text: str | None) -> list[str]:
    """The parts of a text between spaces and commas."""
    return [part for part in re.split(r"[\s,]+", text or "") if part]


def _number(text: str | None) -> int | str | None:
    """A whole number if the text is one, else the text itself: services say what is wrong with it."""
    stripped = (text or "").strip()
    if not stripped:
        return None
    return int(stripped) if _WHOLE.fullmatch(stripped) else stripped
