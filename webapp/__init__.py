"""Carillon: a web console for scheduled work. ``create_app`` is its table of contents."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy import Engine
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import settings as settings_module
from webapp.settings import PROJECT_ROOT, Settings, SettingsError


def create_app(settings: Settings | None = None) -> Flask:
    """Build the app. Nothing runs and nothing is written but the session key: serving starts the scheduler, not this.

    Raises SettingsError for settings that cannot be used.
    """
    from webapp import api, cli, serving, web
    from webapp.engine.extension import Scheduler
    from webapp.extensions import csrf, db, limiter, login, migrate
    from webapp.store.database import engine_options, prepare
    from webapp.tasks import registry

    settings = settings or settings_module.load()
    app = Flask(
        "webapp",
        instance_path=str(settings.instance_path.resolve()),
        root_path=str(PROJECT_ROOT),
        template_folder="templates",
        static_folder="static",
    )
    app.config.update(
        CARILLON=settings,
        SECRET_KEY=settings.signing_key,
        SQLALCHEMY_DATABASE_URI=settings.database,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database),
        MAX_CONTENT_LENGTH=settings.max_request_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_request_bytes,
        TRUSTED_HOSTS=settings.trusted_hosts or None,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_NAME="carillon",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.session_hours),
        SESSION_REFRESH_EACH_REQUEST=False,  # web.access sends the cookie anew when the session's use is noted
        RATELIMIT_STORAGE_URI=settings.rate_limit_storage,
        RATELIMIT_HEADERS_ENABLED=True,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=True,
    )
    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    db.init_app(app)
    with app.app_context():
        prepare(_engine(settings))
    migrate.init_app(app, db, directory=str(PROJECT_ROOT / "webapp" / "store" / "migrations"), render_as_batch=True)
    csrf.init_app(app)
    login.init_app(app)
    limiter.init_app(app)
    registry.configure(shell_enabled=settings.shell_enabled, databases=settings.sql_databases)
    registry.load(settings.task_modules)
    Scheduler().init_app(app)
    web.init_app(app)
    api.init_app(app)
    cli.init_app(app)
    serving.init_app(app)
    return app


def _engine(settings: Settings) -> Engine:
    """The app's database engine, which nothing has connected yet."""
    from webapp.extensions import db

    try:
        return db.engine
    except ModuleNotFoundError as error:
        raise SettingsError(f"CARILLON_DATABASE_URL: the driver {error.name} is not installed") from None
