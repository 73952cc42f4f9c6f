"""The browser's room: pages, forms, presenters. It asks services and shows the answers; it decides nothing."""

from __future__ import annotations

from flask import Flask

from webapp.web import access, assets, context, errors, headers, htmx, outside, urls


def init_app(app: Flask) -> None:
    """Give the app its pages, guards, headers and error pages."""
    htmx.init_app(app)
    context.init_app(app)
    headers.init_app(app)
    access.init_app(app, urls.roles(), outside.proxied_name, outside.proxied_user)
    errors.init_app(app)
    app.register_blueprint(assets.blueprint)
    for blueprint in urls.blueprints():
        app.register_blueprint(blueprint)
