"""Who may open what. Closed by default: a page that is not in the table of addresses cannot be opened by anyone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from flask import Flask, Request, Response, current_app, redirect, request, session, url_for
from flask_login import current_user, login_user, logout_user

from webapp.domain.errors import Forbidden
from webapp.domain.states import Role
from webapp.extensions import login
from webapp.services import sessions, setup, users
from webapp.services.actors import Actor
from webapp.store.models import User
from webapp.web import htmx
from webapp.web.viewer import now, settings

PUBLIC = frozenset({"static", "assets.htmx"})
SESSION_KEY = "carillon_session"


def init_app(
    app: Flask,
    roles: Mapping[str, Role | None],
    proxied_name: Callable[[Request], str | None],
    proxied_user: Callable[[Request], User | None],
) -> None:
    """Guard every page. ``roles`` maps an endpoint to the least role it needs; None: no login at all.

    Whom a trusted proxy names is that user, whatever a cookie says.
    """

    def load(cookie: str) -> User | None:
        return _load(cookie) if proxied_name(request) is None else None

    login.user_loader(load)
    login.request_loader(proxied_user)
    login.unauthorized_handler(to_login)

    def guard() -> Response | None:
        endpoint = request.endpoint
        if endpoint is None or endpoint in PUBLIC or is_api_path():
            return None
        if endpoint in roles and roles[endpoint] is None:
            return None
        if is_health_path():
            _admit_script(roles[endpoint])
            return None
        if not current_user.is_authenticated:
            return to_login()
        needed = roles.get(endpoint)
        if needed is None:
            raise Forbidden("This page is not open to anyone.")
        actor().require(needed)
        return None

    app.before_request(guard)


def is_api_path() -> bool:
    """Whether the request is the JSON API's, which has an authentication of its own."""
    prefix = settings().api_prefix
    return request.path == prefix or request.path.startswith(prefix + "/")


def is_health_path() -> bool:
    """Whether a monitor asks: it may log in as scripts do, and never wants to see a login page."""
    return request.path.startswith("/health/")


def answers_json() -> bool:
    """Whether the one who asks reads JSON and no pages."""
    return is_api_path() or is_health_path()


def _admit_script(role: Role | None) -> None:
    """Let in who has logged in here, or sends what the API takes. Raises Unauthorized, Forbidden."""
    asks = actor() if current_user.is_authenticated else current_app.extensions["carillon_api_identify"](request)
    asks.require(role or Role.ADMIN)


def _load(cookie: str) -> User | None:
    """The user of this browser's session, while the session goes on."""
    name = session_id()
    found = sessions.find(name) if name is not None else None
    if found is None:
        return None
    row, user = found
    if users.load(cookie) is not user or not sessions.is_open(row, now=now()):
        return None
    if sessions.note_use(row, now()):
        session.modified = True  # the cookie lasts as long as the session does
    return user


def session_id() -> str | None:
    """Which session of the user this browser's cookie names."""
    found = session.get(SESSION_KEY)
    return found if isinstance(found, str) else None


def actor() -> Actor:
    """The logged-in user as the one who asks."""
    return Actor(
        name=current_user.name,
        role=Role(current_user.role),
        via="web",
        address=request.remote_addr,
        user_id=current_user.id,
    )


def enter(user: User) -> None:
    """Begin a new browser session for ``user``; nothing of an earlier one survives, so none can be fixed in advance."""
    sessions.close(session_id())
    session.clear()
    session.permanent = True
    session[SESSION_KEY] = sessions.begin(user, address=request.remote_addr, agent=_agent(), now=now())
    login_user(user)


def leave() -> None:
    """End this browser's session, here and in the database."""
    sessions.close(session_id())
    logout_user()
    session.clear()


def _agent() -> str:
    return request.headers.get("User-Agent", "")


def to_login() -> Response:
    """Send the browser to the login (or to the setup while there is nobody to log in), and back here afterwards."""
    if setup.needed():
        target = url_for("setup.show")
    elif request.method == "GET" and not htmx.is_htmx():
        wanted = request.full_path.rstrip("?")
        target = url_for("login.show", next=wanted) if wanted != "/" else url_for("login.show")
    else:
        target = url_for("login.show")
    if htmx.is_htmx():
        return Response(status=401, headers={"HX-Redirect": target})
    response: Response = redirect(target, 303)  # type: ignore[assignment]
    return response


def safe_target(text: str | None, fallback: str) -> str:
    """``text`` if it is a path of this site, else ``fallback``: ``?next=`` must never lead elsewhere."""
    if not text or not text.startswith("/") or not text.isprintable() or "\\" in text:
        return fallback
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or text.startswith("//"):
        return fallback
    return text
