"""The JSON API's reference: its OpenAPI document as a page, and as the file that it is."""

from __future__ import annotations

import json
from typing import Any, cast

from flask import Response, current_app, render_template, request
from flask.typing import ResponseReturnValue

from webapp.web.presenters import reference


def index() -> ResponseReturnValue:
    return render_template("reference/index.html", reference=reference.read(_document()), host=request.host_url)


def document() -> ResponseReturnValue:
    headers = {"Content-Disposition": 'attachment; filename="carillon-openapi.json"'}
    return Response(json.dumps(_document(), indent=1), mimetype="application/json", headers=headers)


def _document() -> dict[str, Any]:
    """The API room makes it; web only knows that it is there."""
    return cast("dict[str, Any]", current_app.extensions["carillon_openapi"]())
