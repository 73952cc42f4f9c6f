"""Every error as a page that says what happened and what to do; as JSON where scripts ask."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, Response, current_app, flash, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException, SecurityError

from webapp.domain.errors import CarillonError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from webapp.extensions import login
from webapp.web import htmx
from webapp.web.access import answers_json, safe_target
from webapp.web.viewer import settings

log = logging.getLogger(__name__)

STATUS: dict[type[CarillonError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
}

TITLES = {
    400: "This request cannot be read",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible now",
    413: "Too large",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available now",
}

TEXTS = {
    400: "The address or the form holds something that Carillon does not understand. Go back and try again.",
    403: "Your role does not allow this. An admin can change it.",
    404: "There is nothing at this address. It may have been deleted, or the address is mistyped.",
    405: "This address exists, but not for this kind of request.",
    413: "What was sent is larger than this server accepts.",
    429: "Wait a moment, then try again.",
    500: "The fault is Carillon's, and it is written in the server's log.",
    503: "A part that Carillon stands on does not answer. Try again in a moment.",
}


def init_app(app: Flask) -> None:
    app.register_error_handler(CarillonError, _refused)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OperationalError, _no_database)
    app.register_error_handler(InterfaceError, _no_database)
    app.register_error_handler(Exception, _crash)


def page(status: int, text: str | None = None, reference: str = "") -> Response:
    """An error as a whole page. It must not need the database: that may be what failed."""
    has_user = status < 500 and _knows_user()
    if not has_user:
        g._login_user = login.anonymous_user()  # where Flask-Login looks first, before it would ask the database
    body = render_template(
        "errors/page.html",
        status=status,
        title=TITLES.get(status, "Error"),
        text=text or TEXTS.get(status, ""),
        reference=reference,
        has_user=has_user,
    )
    return Response(body, status)


def _knows_user() -> bool:
    try:
        return bool(current_user.is_authenticated)
    except Exception:
        log.warning("the error page is shown without a user", exc_info=True)
        return False


def _refused(error: CarillonError) -> ResponseReturnValue:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    if answers_json():
        return _api(error)
    if htmx.is_htmx():
        return htmx.say("", str(error), "bad", status)
    if request.method == "POST" and isinstance(error, Conflict):
        # A button on a page that is behind the times: back to the page, which now shows the present state.
        flash(str(error), "bad")
        return htmx.go(safe_target(request.form.get("next") or _referrer(), url_for("dashboard.index")))
    return page(status, str(error))


def _referrer() -> str | None:
    """The path of the page that the form stood on, if it was one of ours."""
    text = request.referrer or ""
    return text.removeprefix(request.host_url.rstrip("/")) if text.startswith(request.host_url) else None


def _no_database(error: DBAPIError) -> ResponseReturnValue:
    """The database is away or locked: say so, also where the page itself would have needed it."""
    log.warning("the database does not answer at %s %s: %s", request.method, request.path, error.orig)
    text = "The database does not answer. Due times wait until it is back; Carillon goes on asking."
    if settings().memory_fallback:
        text += " Meanwhile the jobs that the code declares run from memory, and only they."
    return _refused(Unavailable(text))


def _stale_form(error: CSRFError) -> ResponseReturnValue:
    if answers_json():
        return _api(error)
    if htmx.is_htmx():
        return htmx.refresh(400)
    return page(400, "The form was open for too long, or was not one of ours. Go back, reload the page and try again.")


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:  # a redirect that routing asks for
        return error
    if isinstance(error, SecurityError):  # a host that is not ours: there are no addresses to build a page with
        return _unknown_host()
    if error.response is not None:  # a view has its own answer (the login, when it is throttled)
        return cast(ResponseReturnValue, error.response)
    if answers_json():
        return _api(error)
    if htmx.is_htmx():
        return htmx.say("", TEXTS.get(error.code, error.description or ""), "bad", error.code)
    response = page(error.code)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response


def _unknown_host() -> Response:
    """The host's name is not repeated: it is whatever the asker wrote."""
    text = "This host name is not served here. CARILLON_TRUSTED_HOSTS names those that are."
    if answers_json():
        response = jsonify(error_message=text)
        response.status_code = 400
        return response
    return Response(text, 400, mimetype="text/plain")


def _crash(error: Exception) -> ResponseReturnValue:
    """What nobody foresaw: into the log with a number that the page shows too."""
    reference = secrets.token_hex(4)
    log.error("error %s at %s %s", reference, request.method, request.path, exc_info=error)
    if answers_json():
        return _api(error)
    if current_app.config.get("PROPAGATE_EXCEPTIONS"):
        raise error
    return page(500, reference=reference)


def _api(error: Exception) -> ResponseReturnValue:
    """The API room's own answer; web only knows that it is there."""
    answer = cast("Callable[[Exception], Any]", current_app.extensions["carillon_api_errors"])
    return cast(ResponseReturnValue, answer(error))
