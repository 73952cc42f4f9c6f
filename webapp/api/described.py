"""The API's own description as a route; ``openapi`` makes it."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app

from webapp.api.answers import respond


def get_openapi() -> Response:
    """This API as an OpenAPI 3.1 document."""
    return respond(document())


def document() -> dict[str, Any]:
    """The document as it stands for this server."""
    found: dict[str, Any] = current_app.extensions["carillon_openapi"]()
    return found
