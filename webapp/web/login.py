"""Log in and out."""

from __future__ import annotations

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter import RequestLimit
from flask_login import current_user

from webapp.extensions import limiter
from webapp.services import logins, setup
from webapp.web.access import actor, safe_target
from webapp.web.access import enter as begin_session
from webapp.web.access import leave as end_session
from webapp.web.forms.doors import LoginForm
from webapp.web.viewer import now, settings

WRONG = "This name and password do not belong together."
TOO_MANY = "Too many attempts. Wait a minute, then try again."


def show() -> ResponseReturnValue:
    target = safe_target(request.args.get("next"), url_for("dashboard.index"))
    if current_user.is_authenticated:
        return redirect(target, 303)
    if setup.needed():
        return redirect(url_for("setup.show"), 303)
    return _page(LoginForm(formdata=None, next=request.args.get("next", "")))


def _rate() -> str:
    return settings().login_rate


def _account() -> str:
    return "account:" + request.form.get("name", "")[:80].casefold()


def _failed(response: Response) -> bool:
    """Only failed attempts count, so that nobody is locked out by logging in often."""
    return response.status_code == 422


def _too_many(limit: RequestLimit) -> Response:
    form = LoginForm()
    form.name.errors = [TOO_MANY]
    response = Response(_page(form), 429)
    response.headers["Retry-After"] = "60"
    return response


@limiter.limit(_rate, deduct_when=_failed, on_breach=_too_many)
@limiter.limit(_rate, key_func=_account, deduct_when=_failed, on_breach=_too_many)
def enter() -> ResponseReturnValue:
    form = LoginForm()
    if not form.validate():
        return _page(form), 422
    user = logins.log_in(form.name.data, form.password.data, via="web", address=request.remote_addr, now=now())
    if user is None:
        form.name.errors = [WRONG]
        return _page(form), 422
    begin_session(user)
    return redirect(safe_target(form.next.data, url_for("dashboard.index")), 303)


def leave() -> ResponseReturnValue:
    logins.log_out(actor=actor(), now=now())
    end_session()
    flash("You are logged out.", "good")
    return redirect(url_for("login.show"), 303)


def _page(form: LoginForm) -> str:
    form.password.data = ""
    return render_template("door/login.html", form=form, has_oidc=bool(settings().oidc_issuer))
