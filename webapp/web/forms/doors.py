"""The forms in front of the house: login and setup."""

from __future__ import annotations

from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired

from webapp.web.forms.base import Form

REQUIRED = InputRequired("Fill this in.")


class LoginForm(Form):
    """Name and password; ``next`` is where to go afterwards."""

    name = StringField(
        "Name", [REQUIRED], render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
    )
    password = PasswordField("Password", [REQUIRED], render_kw={"autocomplete": "current-password"})
    next = HiddenField()


class SetupForm(Form):
    """The first admin. ``token`` came with the one-time link."""

    token = HiddenField()
    name = StringField(
        "Your name",
        [REQUIRED],
        description="You log in with it.",
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = PasswordField(
        "Password",
        [REQUIRED],
        description="At least 8 characters; a sentence is better than a riddle.",
        render_kw={"autocomplete": "new-password"},
    )
    repeat = PasswordField(
        "Password again",
        [REQUIRED, EqualTo("password", "The two passwords differ.")],
        render_kw={"autocomplete": "new-password"},
    )
