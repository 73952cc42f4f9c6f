"""Small forms about one job: a run with changed arguments, a pause with an end."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from wtforms import StringField

from webapp.domain.errors import Invalid
from webapp.web.forms.base import Form


class RunForm(Form):
    """Nothing but CSRF: its fields are the task's parameters."""


class PauseForm(Form):
    """When the pause ends by itself."""

    until = StringField(
        "Until",
        description="In your time zone. Then the job goes on by itself. Empty: until somebody resumes it.",
        render_kw={"type": "datetime-local", "autocomplete": "off"},
    )

    def moment(self, zone: ZoneInfo) -> datetime | None:
        """The end that was typed, aware; None: no end. Raises Invalid at ``until``."""
        text = (self.until.data or "").strip()
        if not text:
            return None
        try:
            local = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid({"until": "This is not a date and time such as 2026-12-01T10:00."}) from None
        return local if local.tzinfo else local.replace(tzinfo=zone)
