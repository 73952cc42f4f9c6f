"""One's own account: password, time zone, API tokens."""

from __future__ import annotations

from zoneinfo import available_timezones

from flask import flash, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from webapp.domain.errors import Conflict, Invalid
from webapp.domain.states import Role
from webapp.services import sessions, tokens, users
from webapp.web import htmx
from webapp.web.access import actor, session_id
from webapp.web.access import enter as begin_session
from webapp.web.forms.account import PasswordForm, TokenForm, ZoneForm
from webapp.web.forms.base import Form, first_bad, put_errors
from webapp.web.viewer import now


def show() -> ResponseReturnValue:
    return _page()


def password() -> ResponseReturnValue:
    form = PasswordForm()
    if not form.validate():
        return _page(password_form=form), 422
    try:
        user = users.set_password(current_user.id, form.old.data, form.new.data, actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _page(password_form=form), 422
    begin_session(user)
    flash("Your password is changed. Other browser sessions have ended.", "good")
    return htmx.go(url_for("account.show"))


def timezone() -> ResponseReturnValue:
    form = ZoneForm()
    try:
        users.set_timezone(current_user.id, (form.timezone.data or "").strip() or None, actor=actor(), now=now())
    except Invalid as error:
        put_errors(form, error)
        return _page(zone_form=form), 422
    flash("Your time zone is saved.", "good")
    return htmx.go(url_for("account.show"))


def end_session(key: str) -> ResponseReturnValue:
    sessions.end(key, actor=actor(), now=now())
    flash("The session has ended.", "good")
    return htmx.go(url_for("account.show"))


def create_token() -> ResponseReturnValue:
    """Make a token. Its text stands on this one answer and nowhere else: no redirect, no session, no log."""
    form = TokenForm()
    form.offer_roles(Role(current_user.role))
    if not form.validate():
        return _page(token_form=form), 422
    try:
        token, plain = tokens.create(
            current_user, form.name.data, form.role.data, form.expires_at(now()), actor=actor(), now=now()
        )
    except Invalid as error:
        put_errors(form, error)
        return _page(token_form=form), 422
    except Conflict as error:
        form.name.errors = [str(error)]
        return _page(token_form=form), 422
    return _page(new_token=token.name, plain=plain)


def revoke_token(token_id: int) -> ResponseReturnValue:
    tokens.revoke(token_id, actor=actor(), now=now())
    flash("The token is revoked; it stopped working at once.", "good")
    return htmx.go(url_for("account.show"))


def _page(
    *,
    password_form: PasswordForm | None = None,
    zone_form: ZoneForm | None = None,
    token_form: TokenForm | None = None,
    new_token: str = "",
    plain: str = "",
) -> str:
    if token_form is None:
        token_form = TokenForm(formdata=None)
        token_form.offer_roles(Role(current_user.role))
    forms: list[Form] = [
        password_form or PasswordForm(formdata=None),
        zone_form or ZoneForm(formdata=None, timezone=current_user.timezone or ""),
        token_form,
    ]
    return render_template(
        "account/show.html",
        password_form=forms[0],
        zone_form=forms[1],
        token_form=token_form,
        first_bad=next((bad for form in forms if (bad := first_bad(form)) is not None), None),
        tokens=tokens.of(current_user),
        sessions=sessions.of(current_user, now=now()),
        here_id=session_id(),
        new_token=new_token,
        plain=plain,
        zones=sorted(available_timezones()),
    )
