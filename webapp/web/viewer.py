"""Who looks, and how: the request's one moment, the zone times are read in, the theme, what the viewer may do."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from flask import current_app, request
from flask_login import current_user

from webapp import clock
from webapp.domain.states import Role
from webapp.settings import Settings

THEMES = ("auto", "light", "dark")


def settings() -> Settings:
    """The settings of the running app."""
    found: Settings = current_app.config["CARILLON"]
    return found


def now() -> datetime:
    """The moment of this request; the same one everywhere on the page."""
    if "carillon.now" not in request.environ:
        request.environ["carillon.now"] = clock.now()
    moment: datetime = request.environ["carillon.now"]
    return moment


def zone() -> ZoneInfo:
    """The zone the viewer reads times in: their account's, else their browser's (a cookie), else the server's."""
    if "carillon.zone" not in request.environ:
        chosen = getattr(current_user, "timezone", None) or unquote(request.cookies.get("carillon_zone", ""))
        request.environ["carillon.zone"] = ZoneInfo(chosen) if chosen in _known_zones() else settings().zone
    found: ZoneInfo = request.environ["carillon.zone"]
    return found


def may(role: str) -> bool:
    """Whether the viewer's role includes ``role``."""
    return bool(current_user.is_authenticated) and Role(current_user.role).includes(Role(role))


def theme() -> str:
    chosen = request.cookies.get("carillon_theme", "auto")
    return chosen if chosen in THEMES else "auto"


def here() -> str:
    """This page's path and query, as a target to come back to."""
    return request.full_path.rstrip("?")


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def zone_names() -> list[str]:
    """Every IANA name, sorted, for lists to choose from."""
    return sorted(_known_zones())
