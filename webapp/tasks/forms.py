"""Between a task's arguments and the texts of a form: pure, without any form library.

One field for each parameter, named like it. Reading is forgiving about spelling and leaves the judgement to
``Task.validate``: a text that is no number stays a text and is refused there with its message.

- **list**: one item per line, or a JSON list. **mapping**: one ``name=value`` or ``name: value`` per line (the first
  of the two signs counts), or a JSON object. **json**: JSON; where any value is allowed, other text is kept as text.
- A field left as it was shown keeps what the job stores; a default that nobody touched is not stored, so that the
  job follows the code.
- An emptied field means: nothing (None) where that is allowed; else an empty text, list or mapping if there is a
  default; else "not given". So an empty text cannot be typed where a text is required or may be nothing.
- The field of what is kept from view is shown empty, so leaving it empty keeps the stored value; a field
  ``<name>.clear`` with any text removes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webapp.domain.errors import Invalid
from webapp.tasks.definition import Task
from webapp.tasks.references import is_reference
from webapp.tasks.signature import Parameter
from webapp.tasks.texts import Unreadable, coerce_form, text_of

HELP = {
    "list": "One per line.",
    "mapping": "One name=value per line.",
    "json": "JSON.",
}
"""What to add to a parameter's help so that people know how to type it."""


def parameters_from_form(
    task: Task, form: Mapping[str, Sequence[str]], stored: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The keyword arguments that a sent form means; ``stored`` are those of the job being edited.

    Not validated yet, but for texts that cannot be read at all: then Invalid holds their messages together with what
    ``task.validate`` says of the other fields.
    """
    before = stored or {}
    shown = form_values(task, before)
    kwargs: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for parameter in task.parameters:
        kept = _stored(task, parameter, before)
        text = _sent_text(parameter, form)
        if text is None or (parameter.is_secret and f"{parameter.name}.clear" in form):
            continue
        if text == _unix(shown[parameter.name]):
            kwargs.update(kept)
            continue
        try:
            kwargs.update(_read(task, parameter, text))
        except Unreadable as error:
            errors[parameter.name] = [str(error)]
    if errors:
        raise Invalid(_with_other_errors(task, kwargs, errors))
    return kwargs


def form_values(task: Task, kwargs: Mapping[str, Any]) -> dict[str, str]:
    """The text for each field: the given value, else the default. Of a secret, the reference to it.

    A tick box holds "true" or "false", or "" if it has no value yet.
    """
    return {parameter.name: _field_text(task, parameter, kwargs) for parameter in task.parameters}


def _sent_text(parameter: Parameter, form: Mapping[str, Sequence[str]]) -> str | None:
    """What the form says in this field; None if it has none. A tick box that is not ticked is not sent at all."""
    texts = [_unix(text) for text in form.get(parameter.name, ())]
    if parameter.shape.reading == "boolean":
        return "true" if texts and coerce_form(parameter.shape, texts[-1]) is True else "false"
    if parameter.shape.reading == "list" and len(texts) > 1:  # a field that can be sent several times
        return "\n".join(texts)
    return texts[-1] if texts else None


def _read(task: Task, parameter: Parameter, text: str) -> dict[str, Any]:
    shape = parameter.shape
    if shape.reading == "boolean":
        return {parameter.name: text == "true"}
    is_free_text = shape.reading == "text" and shape.takes_empty
    if not (text if is_free_text else text.strip()):
        return _emptied(parameter)
    value = coerce_form(shape, text)
    if not parameter.is_extra:
        return {parameter.name: value}
    own = sorted({each.name for each in task.parameters if not each.is_extra} & set(value))
    if own:
        raise Unreadable(f"{', '.join(own)} has a field of its own")
    return dict(value)


def _emptied(parameter: Parameter) -> dict[str, Any]:
    if parameter.is_extra:
        return {}
    if parameter.shape.nullable:
        return {parameter.name: None}
    if parameter.required or not parameter.shape.takes_empty:
        return {}
    empty: dict[str, Any] = {"list": [], "mapping": {}}
    return {parameter.name: empty.get(parameter.shape.reading, "")}


def _stored(task: Task, parameter: Parameter, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the arguments that this field stands for."""
    if not parameter.is_extra:
        return {parameter.name: kwargs[parameter.name]} if parameter.name in kwargs else {}
    own = {each.name for each in task.parameters if not each.is_extra}
    return {name: value for name, value in kwargs.items() if name not in own}


def _field_text(task: Task, parameter: Parameter, kwargs: Mapping[str, Any]) -> str:
    given = _stored(task, parameter, kwargs)
    if not given and (parameter.required or parameter.is_extra):
        return ""
    if parameter.is_secret:
        text = given.get(parameter.name)
        return text if not parameter.is_extra and isinstance(text, str) and is_reference(text) else ""
    value = given if parameter.is_extra else given.get(parameter.name, parameter.default)
    return text_of(parameter.shape, value)


def _unix(text: str) -> str:
    """Browsers send the line ends of a text field as carriage return and newline."""
    return text.replace("\r\n", "\n")


def _with_other_errors(task: Task, kwargs: Mapping[str, Any], errors: dict[str, list[str]]) -> dict[str, list[str]]:
    try:
        task.validate([], kwargs)
    except Invalid as invalid:
        return {**invalid.fields, **errors}
    return errors
