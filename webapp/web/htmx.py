"""The one door to htmx: what a request says about itself, and the answers that only htmx understands."""

from __future__ import annotations

import json
from typing import Any, cast

from flask import Flask, Response, redirect, request
from htmx_flask import Htmx, make_response

CONFIG = json.dumps(
    {
        "includeIndicatorStyles": False,
        "allowEval": False,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "selfRequestsOnly": True,
        "responseHandling": [
            {"code": "204", "swap": False},
            {"code": "304", "swap": False},
            {"code": "[23]..", "swap": True},
            {"code": "422", "swap": True},
            {"code": "[45]..", "swap": False, "error": True},
        ],
    }
)


def init_app(app: Flask) -> None:
    Htmx().init_app(app)


def is_htmx() -> bool:
    """Whether htmx asks, and not the browser for a whole page."""
    return bool(cast(Any, request).htmx)


def go(url: str) -> Response:
    """Show another page: 303 for a browser; 204 with HX-Redirect for htmx, which would paste a redirect's page."""
    if is_htmx():
        return cast(Response, make_response("", 204, redirect=url))
    return cast(Response, redirect(url, 303))


def unchanged() -> Response:
    """Tell a poll that what it shows is still true; htmx then swaps nothing."""
    return Response(status=204)


def say(body: str, text: str, kind: str = "good", status: int = 200) -> Response:
    """A fragment with a sentence for the page's notice line; ``kind``: good, bad, warn or info."""
    return cast(Response, make_response(body, status, trigger={"notice": {"text": text, "kind": kind}}))


def fragment(body: str, *, after_settle: str) -> Response:
    """A fragment, and an event for the page once it stands in its place."""
    return cast(Response, make_response(body, trigger_after_settle=after_settle))


def refresh(status: int) -> Response:
    """Have htmx load the whole page anew: what it shows can no longer be acted on."""
    return cast(Response, make_response("", status, refresh=True))
