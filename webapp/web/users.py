"""The accounts, for admins: add, change the role, reset the password, switch off, end sessions, delete."""

from __future__ import annotations

from flask import flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, Invalid
from webapp.services import people, sessions, tokens, users
from webapp.web import htmx
from webapp.web.access import actor, session_id
from webapp.web.forms.base import first_bad, put_errors
from webapp.web.forms.users import ResetForm, RoleForm, UserForm
from webapp.web.viewer import now


def index() -> ResponseReturnValue:
    return _page(UserForm(formdata=None))


def create() -> ResponseReturnValue:
    form = UserForm()
    try:
        if not form.validate():
            return _page(form), 422
        user = users.create(form.name.data, form.password.data, form.role.data, actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _page(form), 422
    except Conflict as error:
        form.name.errors = [str(error)]
        return _page(form), 422
    flash(f"{user.name} may log in as {user.role}.", "good")
    return htmx.go(url_for("users.index"))


def show(user_id: int) -> ResponseReturnValue:
    return _one(user_id)


def role(user_id: int) -> ResponseReturnValue:
    form = RoleForm()
    try:
        user = people.set_role(user_id, form.role.data or "", actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _one(user_id, role_form=form), 422
    flash(f"{user.name} is now {user.role}.", "good")
    return htmx.go(url_for("users.show", user_id=user_id))


def password(user_id: int) -> ResponseReturnValue:
    form = ResetForm()
    try:
        if not form.validate():
            return _one(user_id, reset_form=form), 422
        user = users.set_password(user_id, None, form.new.data, actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _one(user_id, reset_form=form), 422
    flash(f"{user.name} has a new password, and their sessions have ended.", "good")
    return htmx.go(url_for("users.show", user_id=user_id))


def disable(user_id: int) -> ResponseReturnValue:
    user = people.set_active(user_id, False, actor=actor(), now=now())
    flash(f"{user.name} can no longer log in; their sessions and tokens have stopped.", "warn")
    return htmx.go(url_for("users.show", user_id=user_id))


def enable(user_id: int) -> ResponseReturnValue:
    user = people.set_active(user_id, True, actor=actor(), now=now())
    flash(f"{user.name} may log in again.", "good")
    return htmx.go(url_for("users.show", user_id=user_id))


def delete(user_id: int) -> ResponseReturnValue:
    people.delete(user_id, actor=actor(), now=now())
    flash("The account is deleted. What it did stays in the audit.", "good")
    return htmx.go(url_for("users.index"))


def end_session(user_id: int, key: str) -> ResponseReturnValue:
    sessions.end(key, actor=actor(), now=now())
    flash("The session has ended.", "good")
    return htmx.go(url_for("users.show", user_id=user_id))


def _page(form: UserForm) -> str:
    form.password.data = ""
    counts = people.counts()
    rows = [(user, *counts.get(user.id, (0, 0))) for user in people.every()]
    return render_template("users/index.html", rows=rows, form=form, first_bad=first_bad(form))


def _one(user_id: int, *, role_form: RoleForm | None = None, reset_form: ResetForm | None = None) -> str:
    user = users.get(user_id)
    reset = reset_form or ResetForm(formdata=None)
    reset.new.data = ""
    change = role_form or RoleForm(formdata=None, role=user.role)
    return render_template(
        "users/show.html",
        user=user,
        role_form=change,
        reset_form=reset,
        first_bad=first_bad(reset) or first_bad(change),
        sessions=sessions.of(user, now=now()),
        here_id=session_id(),
        tokens=tokens.of(user),
        is_self=actor().user_id == user.id,
    )
