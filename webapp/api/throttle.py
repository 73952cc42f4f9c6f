"""Counts failed logins through the API, by address and by account. Good logins are never counted."""

from __future__ import annotations

from flask import current_app
from limits import RateLimitItem
from limits import parse as parse_rate
from limits.errors import StorageError
from werkzeug.exceptions import TooManyRequests

from webapp.domain.errors import Unavailable
from webapp.extensions import limiter
from webapp.settings import Settings


def check(address: str, account: str | None) -> None:
    """Raise 429 with Retry-After when too many logins have failed."""
    if not _enabled():
        return
    for rate, key in _counters(address, account):
        try:
            allowed = limiter.limiter.test(rate, *key)
        except StorageError as error:
            raise Unavailable("The counts of failed logins cannot be read.") from error
        if not allowed:
            raise TooManyRequests(retry_after=rate.get_expiry())


def failed(address: str, account: str | None) -> None:
    """Count one failed login. ``account`` None: a token, which names nobody."""
    if not _enabled():
        return
    for rate, key in _counters(address, account):
        try:
            limiter.limiter.hit(rate, *key)
        except StorageError as error:
            raise Unavailable("The counts of failed logins cannot be kept.") from error


def _enabled() -> bool:
    return limiter.enabled and bool(current_app.config.get("RATELIMIT_ENABLED", True))


def _counters(address: str, account: str | None) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
    settings: Settings = current_app.config["CARILLON"]
    rate = parse_rate(settings.login_rate)
    counters: list[tuple[RateLimitItem, tuple[str, ...]]] = [(rate, ("api-login", "address", address))]
    if account is not None:
        counters.append((rate, ("api-login", "account", account[:80].casefold())))
    return counters
