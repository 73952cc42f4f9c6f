"""What all forms share: CSRF by Flask-WTF, and messages from services put at their fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import Field, FormField
from wtforms.fields.choices import SelectChoice
from wtforms.form import BaseForm
from wtforms.widgets import html_params

from webapp.domain.errors import Invalid


class Form(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types
    """A form that is posted. Whether its token is right is checked before any view (CSRFProtect)."""


def attributes(**values: Any) -> Markup:
    """HTML attributes, escaped by WTForms (which gives them as plain text)."""
    return Markup(html_params(**values))  # noqa: S704


def options(*pairs: tuple[str, str]) -> list[SelectChoice]:
    """(value, label) pairs as WTForms wants them."""
    return [SelectChoice(str(value), label) for value, label in pairs]


def leaves(form: BaseForm) -> Iterable[Field]:
    """Every field of a form, also those of forms inside it."""
    for field in form:
        if isinstance(field, FormField):
            yield from leaves(field.form)
        else:
            yield field


def put_errors(form: BaseForm, error: Invalid) -> list[str]:
    """Put each message of ``error`` at the field of that name; return those that belong to no field of this form."""
    fields = {field.name: field for field in leaves(form)}
    rest: list[str] = []
    for name, texts in error.fields.items():
        field = fields.get(name)
        if field is None:
            rest += [f"{name}: {text}" if name else text for text in texts]
        else:
            field.errors = [*field.errors, *(_sentence(_without_name(text, field)) for text in texts)]
    return rest


def error_lines(form: BaseForm, rest: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """(id, label, message) for a summary over the form; what belongs to no field comes first, without an id."""
    lines = [("", "", text) for text in rest]
    for field in leaves(form):
        lines += [(field.id, str(field.label.text), str(text)) for text in field.errors]
    return lines


def first_bad(form: BaseForm) -> Any:
    """The first field with a message, where the cursor should go."""
    return next((field for field in leaves(form) if field.errors), None)


def _without_name(text: str, field: Field) -> str:
    """A message without the name of its own field: "Hour: 99 is outside 0 to 23" stands at the hour already."""
    name, colon, rest = text.partition(": ")
    own = field.name.rpartition(".")[2].replace("_", " ")
    return rest if colon and name.lower() in (own, str(field.label.text).lower()) else text


def _sentence(text: str) -> str:
    """Services say "must not be empty"; at a field it reads as a sentence."""
    text = text.strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else text
