"""Logging in at an OpenID Connect provider: authorization code with PKCE, state and nonce; the ID token is checked.

The provider says who somebody is; whether they have an account here, and its role, is an admin's decision. Needs the
extra ``oidc``.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import httpx

from webapp.domain.errors import Forbidden, Unavailable
from webapp.settings import Settings

ALGORITHMS = ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
TIMEOUT_S = 10.0
LEEWAY_S = 60


@dataclass(frozen=True)
class Attempt:
    """What the browser's session keeps between going to the provider and coming back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def read(cls, kept: Any) -> Attempt | None:
        """From what ``kept`` gave; None when it is something else."""
        if isinstance(kept, dict) and set(kept) == {"state", "nonce", "verifier"}:
            return cls(**{name: str(value) for name, value in kept.items()})
        return None

    def kept(self) -> dict[str, str]:
        return asdict(self)


def begin(settings: Settings, back: str) -> tuple[str, Attempt]:
    """The provider's address to send the browser to, and what to keep until it comes to ``back``.

    Raises Unavailable when the provider does not answer.
    """
    attempt = Attempt(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": settings.oidc_client_id,
        "redirect_uri": back,
        "scope": "openid profile email",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with httpx.Client(timeout=TIMEOUT_S) as client:
        address = httpx.URL(_discovered(settings, client)["authorization_endpoint"])
    return str(address.copy_merge_params(asked)), attempt


def finish(settings: Settings, back: str, attempt: Attempt, state: str, code: str, *, now: datetime) -> str:
    """The name that the provider vouches for. Raises Forbidden when anything does not fit, Unavailable."""
    if not code or not secrets.compare_digest(state.encode(), attempt.state.encode()):
        raise Forbidden("This login did not begin in this browser, or was given up. Try again.")
    with httpx.Client(timeout=TIMEOUT_S) as client:
        found = _discovered(settings, client)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": attempt.verifier,
        }
        try:
            answer = client.post(found["token_endpoint"], data=form, auth=_credentials(settings))
            if answer.is_client_error:
                raise Forbidden("The login provider refused this login.")
            token = answer.raise_for_status().json().get("id_token", "")
            keys = client.get(found["jwks_uri"]).raise_for_status().json()
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise Unavailable("The login provider does not answer as it should.") from error
    claims = _claims(settings, str(token), keys, attempt.nonce, now)
    name = claims.get(settings.oidc_claim)
    if not isinstance(name, str) or not name:
        raise Forbidden(f"The login provider says no {settings.oidc_claim}.")
    return name


def _claims(settings: Settings, token: str, keys: Any, nonce: str, now: datetime) -> dict[str, Any]:
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        rules = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        rules.validate(decoded.claims)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise Forbidden("The login provider's answer cannot be trusted.") from error
    audience = decoded.claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and decoded.claims.get("azp") != settings.oidc_client_id:
        raise Forbidden("The login provider's answer is meant for somebody else.")
    return dict(decoded.claims)


def _discovered(settings: Settings, client: httpx.Client) -> dict[str, str]:
    """The provider's own description, which must be of the issuer that was asked for."""
    address = f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        found: dict[str, str] = client.get(address).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable("The login provider does not answer.") from error
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if found.get("issuer") != settings.oidc_issuer or not all(isinstance(found.get(name), str) for name in needed):
        raise Unavailable("The login provider describes itself as another one than CARILLON_OIDC_ISSUER.")
    return found


def _credentials(settings: Settings) -> httpx.BasicAuth:
    """Id and secret, encoded as RFC 6749 (2.3.1) asks before they go into a Basic header."""
    secret = settings.oidc_client_secret.get_secret_value()
    return httpx.BasicAuth(quote_plus(settings.oidc_client_id), quote_plus(secret))
