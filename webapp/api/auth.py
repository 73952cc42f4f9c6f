"""Who asks: a Bearer token, or a user's name and password by HTTP Basic. Cookies never count here, which is why the
API needs no CSRF token; a Basic login that a browser adds by itself to another site's form is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import Request, g
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from webapp.api import throttle
from webapp.domain.errors import Forbidden
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import logins, tokens
from webapp.services.actors import Actor
from webapp.store.models import User

REALM = "Authentication Required"
REMEMBERED_FOR = timedelta(seconds=60)
REMEMBERED_MAX = 512
HEADER_MAX = 8192
LOCAL_ACTOR = "carillon.actor"
"""Where a command of this installation says who it is. No request can: its headers are all named ``HTTP_...``."""


def admit(request: Request, role: Role, *, now: datetime) -> None:
    """Let the request pass if the one who sent it has at least this role; the views then ask ``caller``.

    Raises as ``identify``, and Forbidden.
    """
    actor = identify(request, now=now)
    actor.require(role)
    g.api_actor = actor


def caller() -> Actor:
    """The one who sent the present request, after ``admit``."""
    actor: Actor = g.api_actor
    return actor


def identify(request: Request, *, now: datetime) -> Actor:
    """The one who sent this request. Raises 401, 429 after too many failures, Forbidden for another site's form."""
    actor = request.environ.get(LOCAL_ACTOR)
    if isinstance(actor, Actor):
        return actor
    header = request.headers.get("Authorization", "")
    scheme, _, value = header.partition(" ")
    address = request.remote_addr or "unknown"
    if len(header) > HEADER_MAX:
        raise _unauthorized("The Authorization header is too long.")
    if scheme.lower() == "bearer":
        return _by_token(value.strip(), address, now)
    if scheme.lower() == "basic":
        _refuse_other_sites(request)
        return _by_password(value.strip(), address, now)
    raise _unauthorized("Log in with a Bearer token, or with HTTP Basic.")


def _by_token(plain: str, address: str, now: datetime) -> Actor:
    found = tokens.authenticate(plain, now=now)
    if found is None:
        throttle.check(address, None)
        throttle.failed(address, None)
        raise _unauthorized("The token is unknown, expired or revoked.")
    user, role = found
    return Actor(user.name, role, "api", address, user.id)


def _by_password(value: str, address: str, now: datetime) -> Actor:
    name, password = _credentials(value)
    user = _remembered.user(name, password, now)
    if user is None:
        throttle.check(address, name)
        user = logins.log_in(name, password, via="api", address=address, now=now)
        if user is None:
            throttle.failed(address, name)
            raise _unauthorized("The name or the password is wrong.")
        _remembered.keep(name, password, user, now)
    return Actor(user.name, Role(user.role), "api", address, user.id)


def _credentials(value: str) -> tuple[str, str]:
    """Name and password in UTF-8, as RFC 7617 asks; in Latin-1, which older clients send, when it is not UTF-8."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _unauthorized("The Basic login cannot be read.") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    name, colon, password = text.partition(":")
    if not colon:
        raise _unauthorized("The Basic login cannot be read.")
    return name, password


def _refuse_other_sites(request: Request) -> None:
    """Browsers repeat a Basic login on their own, also with a form that another site sends."""
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = (
        site not in ("same-origin", "none")
        if site is not None
        else origin is not None and urlsplit(origin).netloc != request.host
    )
    if foreign:
        raise Forbidden("A browser sent this from another site. Use a Bearer token.")


def _unauthorized(message: str) -> Unauthorized:
    basic = WWWAuthenticate("basic", {"realm": REALM, "charset": "UTF-8"})
    return Unauthorized(message, www_authenticate=[basic, WWWAuthenticate("bearer", {"realm": REALM})])


@dataclass(frozen=True)
class _Entry:
    user_id: int
    password_hash: str
    since: datetime


class _Remembered:
    """Passwords that were right a moment ago, so that a script's every request does not cost a scrypt computation.

    Keys are keyed hashes that mean nothing outside this process. An entry serves only while the user's stored hash
    is the one it was checked against: a changed password or an inactive user ends it at once.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def user(self, name: str, password: str, now: datetime) -> User | None:
        with self._lock:
            entry = self._entries.get(self._key(name, password))
        if entry is None or not timedelta(0) <= now - entry.since < REMEMBERED_FOR:
            return None
        user = db.session.get(User, entry.user_id)
        if user is None or not user.active or user.password_hash != entry.password_hash:
            return None
        return user

    def keep(self, name: str, password: str, user: User, now: datetime) -> None:
        with self._lock:
            self._entries[self._key(name, password)] = _Entry(user.id, user.password_hash, now)
            while len(self._entries) > REMEMBERED_MAX:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _key(self, name: str, password: str) -> bytes:
        text = f"{len(name)}:{name}{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._secret, digest_size=32).digest()


_remembered = _Remembered()
