"""The forms of the secrets: a new one, another value."""

from __future__ import annotations

from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired

from webapp.web.forms.base import Form

REQUIRED = InputRequired("Fill this in.")
_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
_VALUE = {**_PLAIN, "rows": "2", "class": "mono veiled"}


class _ValueForm(Form):
    """What both have; a browser's line ends become plain newlines."""

    def plain(self) -> str:
        text: str = self.value.data or ""
        return text.replace("\r\n", "\n")


class SecretForm(_ValueForm):
    name = StringField(
        "Name", [REQUIRED], description="Letters, digits and . _ - : jobs refer to it by this name.", render_kw=_PLAIN
    )
    value = TextAreaField(
        "Value",
        [REQUIRED],
        description="At least 4 characters. It is encrypted and never shown again.",
        render_kw=_VALUE,
    )
    about = StringField("About", description="What it opens, and who knows more. Not secret.", render_kw=_PLAIN)


class ReplaceForm(_ValueForm):
    value = TextAreaField("New value", description="Leave this empty to keep the value.", render_kw=_VALUE)
    about = StringField("About", render_kw=_PLAIN)
