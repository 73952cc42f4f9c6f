"""What every template may use: the page's moment and zones, the navigation, addresses of files, filters."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import Flask, request, url_for

from webapp.domain.states import Role
from webapp.release import version
from webapp.services import secrets
from webapp.web import assets, filters, htmx, viewer

NAVIGATION = (
    ("dashboard.index", "Dashboard"),
    ("jobs.index", "Jobs"),
    ("runs.index", "Runs"),
    ("tasks.index", "Tasks"),
    ("system.index", "System"),
)
FOR_ADMINS = (("users.index", "Admin"),)
PART_OF = {"calendars": "jobs", "reference": "tasks", "secrets": "users", "audit": "users"}
"""Groups of pages without an entry of their own."""


@dataclass(frozen=True)
class Item:
    """An entry of the main navigation."""

    label: str
    url: str
    is_here: bool


def init_app(app: Flask) -> None:
    app.context_processor(_variables)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(filters.FILTERS)
    app.jinja_env.globals.update(
        asset_url=assets.asset_url,
        htmx_url=assets.htmx_url,
        htmx_config=htmx.CONFIG,
        version=version(),
        may=viewer.may,
        utc=ZoneInfo("UTC"),
        shown_range=filters.shown_range,
        zone_names=viewer.zone_names,
        secret_names=secrets.names,
    )


def _variables() -> dict[str, object]:
    return {
        "now": viewer.now(),
        "viewer_zone": viewer.zone(),
        "server_zone": viewer.settings().zone,
        "theme": viewer.theme(),
        "here": viewer.here(),
        "navigation": _navigation(),
    }


def _navigation() -> list[Item]:
    group = (request.endpoint or "").partition(".")[0]
    group = PART_OF.get(group, group)
    shown = NAVIGATION + FOR_ADMINS if viewer.may(Role.ADMIN) else NAVIGATION
    return [Item(label, url_for(endpoint), endpoint.partition(".")[0] == group) for endpoint, label in shown]
