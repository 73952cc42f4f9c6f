"""Every error below the API's prefix as JSON: ``{"error_message": ..., "errors": {field: [message, ...]}}``.

``error_message`` is the key that Flask-APScheduler's clients read. No answer holds a path, a traceback or SQL.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from flask import Response, current_app, json
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from webapp.domain.errors import CarillonError, Conflict, Forbidden, Invalid, NotFound, Unavailable

log = logging.getLogger(__name__)


class Stale(Conflict):
    """The job has changed since the revision that the client named."""


_STATUS: tuple[tuple[type[CarillonError], int], ...] = (
    (Invalid, 400),
    (NotFound, 404),
    (Stale, 412),
    (Conflict, 409),
    (Forbidden, 403),
    (Unavailable, 503),
)

_SENTENCES = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This method is not allowed at this address.",
    413: "The body is too large.",
    429: "Too many failed logins. Try again later.",
}


def answer(error: Exception) -> Response:
    """The one translation of an error into an API response; also what the app calls for errors of routing."""
    if isinstance(error, CarillonError):
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        return problem(status, str(error), error.fields if isinstance(error, Invalid) else None)
    if isinstance(error, HTTPException):
        return _http(error)
    if isinstance(error, DBAPIError):
        log.error("The database refused a request of the API", exc_info=error)
        return problem(503, "The database does not answer. Try again later.")
    log.error("A request of the API failed", exc_info=error)
    return problem(500, "Something went wrong here. The server's log says what.")


def problem(status: int, message: str, fields: Mapping[str, Sequence[str]] | None = None) -> Response:
    body: dict[str, object] = {"error_message": message}
    if fields is not None:
        body["errors"] = {name: list(messages) for name, messages in fields.items()}
    response = current_app.response_class(json.dumps(body), status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _http(error: HTTPException) -> Response:
    """An error of HTTP itself, with its headers (Allow, Retry-After, WWW-Authenticate); redirects pass unchanged."""
    original = error.get_response()
    status = error.code or 500
    if status < 400:
        return current_app.make_response(original)
    custom = error.description if error.description != type(error).description else None
    response = problem(status, custom or _SENTENCES.get(status, f"{error.name}."))
    for name, value in original.headers.items():
        if name.lower() not in ("content-type", "content-length", "location"):
            response.headers.add(name, value)
    return response
