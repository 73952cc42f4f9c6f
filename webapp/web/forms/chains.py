"""Which jobs run when a run of this one has ended: a few rows of a job's id and a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from wtforms import Field

from webapp.web.forms.base import attributes

CONDITIONS = {"success": "after success", "failure": "after failure", "always": "in any case"}
BLANK_ROWS = 2


class ChainsWidget:
    """Each row is an input ``<name>.job_id`` and a select ``<name>.on``; the n-th of both belong together."""

    def __call__(self, field: ChainsField, **extra: Any) -> Markup:
        rows = enumerate(field.rows())
        return Markup("").join(self._row(field, place, link, {} if place else extra) for place, link in rows)

    def _row(self, field: ChainsField, place: int, link: Mapping[str, str], extra: Mapping[str, Any]) -> Markup:
        job = {
            "id": f"{field.id}-{place}" if place else field.id,
            "aria_label": f"Job to run next, {place + 1}",
            "list": "jobs",
            "autocomplete": "off",
            "spellcheck": "false",
            "placeholder": "id of a job",
            **extra,
        }
        options = Markup("").join(
            Markup('<option value="{}"{}>{}</option>').format(
                value, Markup(" selected") if value == link["on"] else "", words
            )
            for value, words in CONDITIONS.items()
        )
        return Markup('<span class="unit unit--wide"><input {}><select {}>{}</select></span>').format(
            attributes(name=f"{field.name}.job_id", value=link["job_id"], **job),
            attributes(name=f"{field.name}.on", aria_label=f"When, {place + 1}"),
            options,
        )


class ChainsField(Field):  # type: ignore[misc]
    """``data`` is a list of {"job_id", "on"}; rows without a job are left out."""

    widget = ChainsWidget()

    def process(self, formdata: Any, data: Any = None, **options: Any) -> None:
        super().process(None, data or [], **options)
        if formdata and f"{self.name}.job_id" in formdata:
            jobs, conditions = formdata.getlist(f"{self.name}.job_id"), formdata.getlist(f"{self.name}.on")
            pairs = zip(jobs, conditions, strict=False)
            self.data = [{"job_id": job.strip(), "on": on} for job, on in pairs if job.strip()]

    def rows(self) -> Sequence[Mapping[str, str]]:
        return [*self.data, *({"job_id": "", "on": "success"} for _ in range(BLANK_ROWS))]
