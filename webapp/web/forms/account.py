"""The forms of the account page: password, time zone, API tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from webapp.domain.states import Role
from webapp.web.forms.base import Form, options

REQUIRED = InputRequired("Fill this in.")
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "no end"}


class PasswordForm(Form):
    old = PasswordField("Present password", [REQUIRED], render_kw={"autocomplete": "current-password"})
    new = PasswordField(
        "New password",
        [REQUIRED],
        description="At least 8 characters. Your other browser sessions end.",
        render_kw={"autocomplete": "new-password"},
    )
    repeat = PasswordField(
        "New password again",
        [REQUIRED, EqualTo("new", "The two passwords differ.")],
        render_kw={"autocomplete": "new-password"},
    )


class ZoneForm(Form):
    timezone = StringField(
        "Show times in",
        description="An IANA name such as Europe/Berlin. Empty: the zone of your browser.",
        render_kw={"list": "zones", "autocomplete": "off", "spellcheck": "false", "placeholder": "as my browser"},
    )


class TokenForm(Form):
    name = StringField(
        "Name",
        [REQUIRED, Length(max=80, message="At most 80 characters.")],
        description="What uses it: a script, a machine.",
    )
    role = SelectField("May do as much as", description="Never more than you may do yourself.")
    days = SelectField("Valid for", choices=options(*LIFETIMES.items()), default="365")

    def offer_roles(self, own: Role) -> None:
        """The roles up to the user's own."""
        self.role.choices = options(*((role.value, role.value) for role in Role if own.includes(role)))

    def expires_at(self, now: datetime) -> datetime | None:
        """When the token ends; None: never."""
        return now + timedelta(days=int(self.days.data)) if self.days.data else None
