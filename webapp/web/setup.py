"""The one-time page that makes the first admin."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, Forbidden, Invalid
from webapp.services import setup
from webapp.web.access import enter as begin_session
from webapp.web.forms.base import first_bad, put_errors
from webapp.web.forms.doors import SetupForm
from webapp.web.viewer import now


def show() -> ResponseReturnValue:
    if not setup.needed():
        return redirect(url_for("login.show"), 303)
    token = request.args.get("token", "")
    return _page(SetupForm(formdata=None, token=token), has_token=bool(token))


def create() -> ResponseReturnValue:
    form = SetupForm()
    if not form.validate():
        return _page(form), 422
    try:
        user = setup.redeem(
            form.token.data or "", form.name.data, form.password.data, now=now(), address=request.remote_addr
        )
    except Invalid as error:
        put_errors(form, error)
        return _page(form), 422
    except Forbidden as error:
        return _page(form, problem=str(error)), 403
    except Conflict as error:
        flash(str(error), "warn")
        return redirect(url_for("login.show"), 303)
    begin_session(user)
    flash(f"Welcome, {user.name}. This house is yours.", "good")
    return redirect(url_for("dashboard.index"), 303)


def _page(form: SetupForm, *, has_token: bool = True, problem: str = "") -> str:
    form.password.data = form.repeat.data = ""
    return render_template(
        "door/setup.html", form=form, has_token=has_token, problem=problem, first_bad=first_bad(form)
    )
