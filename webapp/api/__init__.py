"""The JSON API for scripts: Flask-APScheduler's routes, guarded and completed. It calls the services that the pages
call, and holds no rule of its own about jobs or runs.
"""

from __future__ import annotations

from flask import Blueprint, Flask, request

from webapp.api import auth, commands, errors, openapi
from webapp.api.routes import ROLES, ROUTES
from webapp.clock import now
from webapp.extensions import csrf
from webapp.release import version
from webapp.settings import Settings


def init_app(app: Flask) -> None:
    """Put the API under the prefix that the settings name, closed to everyone who is not in the table of routes."""
    settings: Settings = app.config["CARILLON"]
    blueprint = Blueprint("scheduler", __name__, url_prefix=settings.api_prefix)
    for route in ROUTES:
        blueprint.add_url_rule(
            route.path,
            route.endpoint,
            route.view,
            methods=[route.method],
            strict_slashes=False,
            provide_automatic_options=False,
        )
    blueprint.before_request(_admit)
    blueprint.register_error_handler(Exception, errors.answer)
    csrf.exempt(blueprint)  # no cookie authenticates here, so there is nothing for another site to borrow
    app.register_blueprint(blueprint)
    app.cli.add_command(commands.commands)
    # Other rooms answer scripts too (health) and show the document: they find these here, without importing them.
    app.extensions["carillon_api_errors"] = errors.answer
    app.extensions["carillon_openapi"] = lambda: openapi.document(settings.api_prefix, version())
    app.extensions["carillon_api_identify"] = lambda request: auth.identify(request, now=now())


def _admit() -> None:
    """Who asks, and whether they may: before the body is looked at."""
    endpoint = (request.endpoint or "").removeprefix("scheduler.")
    auth.admit(request, ROLES[endpoint], now=now())
