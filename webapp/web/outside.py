"""Who somebody is by the word of another: an OpenID Connect provider, or a proxy in front. Both off by default."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from flask import Request, flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import CarillonError, NotFound
from webapp.services import logins, oidc, users
from webapp.store.models import User
from webapp.web.access import enter, safe_target
from webapp.web.viewer import now, settings

KEPT = "carillon_oidc"


def begin() -> ResponseReturnValue:
    """Send the browser to the provider."""
    if not settings().oidc_issuer:
        raise NotFound("There is no other login.")
    try:
        url, attempt = oidc.begin(settings(), _back())
    except CarillonError as error:
        return _refused(str(error))
    session[KEPT] = {**attempt.kept(), "next": safe_target(request.args.get("next"), url_for("dashboard.index"))}
    return redirect(url, 303)


def back() -> ResponseReturnValue:
    """The browser comes back with a code, or with the provider's refusal."""
    if not settings().oidc_issuer:
        raise NotFound("There is no other login.")
    kept = dict(session.pop(KEPT, {}))
    target = safe_target(kept.pop("next", None), url_for("dashboard.index"))
    attempt = oidc.Attempt.read(kept)
    if attempt is None:
        return _refused("This login did not begin in this browser, or was given up. Try again.")
    try:
        name = oidc.finish(
            settings(), _back(), attempt, request.args.get("state", ""), request.args.get("code", ""), now=now()
        )
    except CarillonError as error:
        return _refused(str(error))
    user = logins.vouched(name, address=request.remote_addr, now=now())
    if user is None:
        return _refused("You have no account here. An admin can make one.")
    enter(user)
    return redirect(target, 303)


def proxied_name(asked: Request) -> str | None:
    """The name that a proxy vouches for; None from any address but the configured ones."""
    header = settings().proxy_user_header
    name = asked.headers.get(header) if header else None
    if not name:
        return None
    peer = asked.environ.get("werkzeug.proxy_fix.orig", asked.environ).get("REMOTE_ADDR", "")
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    trusted = (ip_network(each, strict=False) for each in settings().proxy_user_addresses)
    return name if any(address in network for network in trusted) else None


def proxied_user(asked: Request) -> User | None:
    """The active user whom the proxy names."""
    name = proxied_name(asked)
    user = users.named(name) if name is not None else None
    return user if user is not None and user.active else None


def _refused(text: str) -> ResponseReturnValue:
    flash(text, "bad")
    return redirect(url_for("login.show"), 303)


def _back() -> str:
    return url_for("outside.back", _external=True)
