"""Small choices of one browser, kept in a cookie."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from webapp.web.access import safe_target
from webapp.web.assets import YEAR_S
from webapp.web.viewer import THEMES, settings


def theme() -> ResponseReturnValue:
    """Light, dark, or as the system says."""
    chosen = request.form.get("theme", "")
    response = redirect(safe_target(request.form.get("next"), url_for("dashboard.index")), 303)
    if chosen in THEMES:
        response.set_cookie("carillon_theme", chosen, max_age=YEAR_S, samesite="Lax", secure=settings().secure_cookies)
    return response
