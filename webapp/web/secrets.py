"""Secrets: their names and who uses them; add, replace, delete. No page ever shows a value."""

from __future__ import annotations

from flask import flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, Invalid
from webapp.services import secrets
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.forms.base import first_bad, put_errors
from webapp.web.forms.secrets import ReplaceForm, SecretForm
from webapp.web.viewer import now


def index() -> ResponseReturnValue:
    return _page(SecretForm(formdata=None))


def create() -> ResponseReturnValue:
    form = SecretForm()
    try:
        if not form.validate():
            return _page(form), 422
        secret = secrets.create(form.name.data, form.plain(), form.about.data or "", actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _page(form), 422
    except Conflict as error:
        form.name.errors = [str(error)]
        return _page(form), 422
    flash(f"The secret {secret.name} is stored. Its value is not shown again.", "good")
    return htmx.go(url_for("secrets.index"))


def show(name: str) -> ResponseReturnValue:
    secret = secrets.get(name)
    return _one(name, ReplaceForm(formdata=None, about=secret.about))


def update(name: str) -> ResponseReturnValue:
    form = ReplaceForm()
    try:
        secrets.replace(name, form.plain() or None, form.about.data or "", actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _one(name, form), 422
    flash("Saved. The next run that starts gets it.", "good")
    return htmx.go(url_for("secrets.index"))


def delete(name: str) -> ResponseReturnValue:
    secrets.delete(name, actor=actor(), now=now())
    flash(f"The secret {name} is deleted.", "good")
    return htmx.go(url_for("secrets.index"))


def _page(form: SecretForm) -> str:
    form.value.data = ""
    rows = [(secret, len(secrets.users_of(secret.name))) for secret in secrets.every()]
    return render_template("secrets/index.html", rows=rows, form=form, first_bad=first_bad(form))


def _one(name: str, form: ReplaceForm) -> str:
    form.value.data = ""
    secret, jobs = secrets.get(name), secrets.users_of(name)
    return render_template("secrets/show.html", secret=secret, jobs=jobs, form=form, first_bad=first_bad(form))
