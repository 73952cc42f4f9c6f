"""Logins by the word of another: an OpenID Connect provider on the loopback address, and a proxy's header."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import PageClient, soup, text
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import logins, people, users
from webapp.settings import Settings, SettingsError, load
from webapp.store.models import AuditEntry

KEY = RSAKey.generate_key(2048, {"kid": "1"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "1"})


class Provider(ThreadingHTTPServer):
    """A small OpenID Connect provider: it believes everybody, but checks the client, the code and PKCE."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.asked: dict[str, str] = {}
        self.claims: dict[str, Any] = {}
        self.key = KEY

    def token(self) -> str:
        at = int(NOW.timestamp())
        claims = {
            "iss": self.issuer, "aud": "carillon", "sub": "1", "iat": at, "exp": at + 300,
            "nonce": self.asked.get("nonce"), "preferred_username": "ada", **self.claims,
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key, algorithms=["RS256"])


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        issuer = self.server.issuer
        self._say(
            {"keys": [KEY.as_dict(private=False)]} if self.path == "/keys" else {
                "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/keys",
            }
        )  # fmt: skip

    def do_POST(self) -> None:
        form = {name: values[0] for name, values in parse_qs(
            self.rfile.read(int(self.headers["Content-Length"])).decode()
        ).items()}  # fmt: skip
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = "Basic " + base64.b64encode(b"carillon:client-secret").decode()
        good = (
            self.headers["Authorization"] == basic
            and form["code"] == "the-code"
            and challenge == self.server.asked["code_challenge"]
            and form["redirect_uri"] == self.server.asked["redirect_uri"]
        )
        self._say(
            {"access_token": "x", "token_type": "Bearer", "id_token": self.server.token()}
            if good
            else {"error": "invalid_grant"},
            200 if good else 400,
        )

    def _say(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    if "provider" in request.fixturenames:
        settings.oidc_issuer = request.getfixturevalue("provider").issuer
        settings.oidc_client_id, settings.oidc_client_secret = "carillon", SecretStr("client-secret")
    return settings


@pytest.fixture
def ada(app: Flask) -> Any:
    return users.create("ada", PASSWORD, Role.EDITOR, actor=CODE, now=NOW)


def go(client: PageClient, provider: Provider, path: str = "/login/oidc") -> dict[str, str]:
    """To the provider; what it is asked."""
    answer = client.get(path)
    assert answer.status_code == 303
    url = urlsplit(answer.headers["Location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{provider.issuer}/authorize"
    provider.asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    return provider.asked


def come_back(client: PageClient, **changes: str) -> Any:
    return client.get("/login/oidc/back", query_string={"code": "the-code", **changes})


def refusal(client: PageClient, answer: Any) -> str:
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    return text(soup(client.get("/login")).select_one(".notice--bad"))


def test_a_person_with_an_account_comes_in_through_the_provider(
    client: PageClient, ada: Any, provider: Provider
) -> None:
    assert client.page("/login?next=/runs").select_one("#oidc")["href"] == "/login/oidc?next=/runs"  # type: ignore[index]
    asked = go(client, provider, "/login/oidc?next=/runs")
    assert asked["redirect_uri"] == "http://localhost/login/oidc/back"
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    answer = come_back(client, state=asked["state"])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/runs")
    assert client.get("/jobs/new").status_code == 200
    db.session.rollback()
    assert db.session.query(AuditEntry).filter_by(action=logins.SUCCEEDED, actor="ada").count() == 1


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "another"}, {"aud": "somebody"}, {"iss": "http://evil.example"}, {"exp": int(NOW.timestamp()) - 90},
     {"preferred_username": None}, {"aud": ["carillon", "other"]}, {"exp": None}],
    ids=str,
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_refused(
    client: PageClient, ada: Any, provider: Provider, claims: dict[str, Any]
) -> None:
    asked = go(client, provider)
    provider.claims = claims
    assert "login provider" in refusal(client, come_back(client, state=asked["state"]))
    assert client.get("/jobs").status_code == 303


def test_a_foreign_signature_state_or_code_is_refused(client: PageClient, ada: Any, provider: Provider) -> None:
    provider.key = OTHER_KEY
    assert "cannot be trusted" in refusal(client, come_back(client, state=go(client, provider)["state"]))
    provider.key = KEY
    go(client, provider)
    assert "did not begin in this browser" in refusal(client, come_back(client, state="made up"))
    assert "refused" in refusal(client, come_back(client, state=go(client, provider)["state"], code="guessed"))
    state = go(client, provider)["state"]
    assert come_back(client, state=state).headers["Location"] == "/"
    client.post("/logout")
    assert "did not begin" in refusal(client, come_back(client, state=state)), "a code is used once"


def test_who_has_no_account_or_one_that_is_off_stays_outside(client: PageClient, ada: Any, provider: Provider) -> None:
    people.set_active(ada.id, False, actor=CODE, now=NOW)
    for name in ("ada", "stranger"):
        asked = go(client, provider)
        provider.claims = {"preferred_username": name}
        assert "no account here" in refusal(client, come_back(client, state=asked["state"]))
    assert db.session.query(AuditEntry).filter_by(action=logins.FAILED).count() == 2


def test_a_provider_that_is_away_is_said(client: PageClient, ada: Any, settings: Settings, app: Flask) -> None:
    settings.oidc_issuer, settings.oidc_client_id = "http://127.0.0.1:9", "carillon"
    assert "does not answer" in refusal(client, client.get("/login/oidc"))


def test_without_the_setting_there_is_no_such_login(client: PageClient, ada: Any) -> None:
    assert not client.page("/login").select("#oidc")
    assert client.get("/login/oidc").status_code == 404
    assert come_back(client, state="x").status_code == 404


# -- a proxy's header -------------------------------------------------------------------------------------------------


def by_proxy(client: PageClient, name: str, peer: str = "10.1.2.3", **headers: str) -> int:
    all_headers = {"X-Remote-User": name, **headers}
    return client.get("/jobs", headers=all_headers, environ_base={"REMOTE_ADDR": peer}).status_code


def test_a_proxy_is_believed_only_from_its_addresses(client: PageClient, ada: Any, settings: Settings) -> None:
    assert by_proxy(client, "ada") == 303, "off by default"
    settings.proxy_user_header, settings.proxy_user_addresses = "X-Remote-User", ["10.1.0.0/16", "192.0.2.7"]
    assert by_proxy(client, "ada") == 200
    assert by_proxy(client, "ada", "192.0.2.7") == 200
    for peer in ("10.2.0.1", "127.0.0.1", "nonsense", ""):
        assert by_proxy(client, "ada", peer) == 303
    assert by_proxy(client, "ada", "127.0.0.1", **{"X-Forwarded-For": "10.1.2.3"}) == 303
    for name in ("nobody", "", "a:b"):
        assert by_proxy(client, name) == 303
    people.set_active(ada.id, False, actor=CODE, now=NOW)
    assert by_proxy(client, "ada") == 303


def test_the_proxys_word_goes_over_an_older_session(
    client: PageClient, login_as: Any, settings: Settings, ada: Any
) -> None:
    login_as(client, "viewer")
    settings.proxy_user_header, settings.proxy_user_addresses = "X-Remote-User", ["10.1.0.0/16"]
    base = {"REMOTE_ADDR": "10.1.0.1"}
    assert client.get("/jobs/new", environ_base=base).status_code == 403
    assert client.get("/jobs/new", headers={"X-Remote-User": "ada"}, environ_base=base).status_code == 200
    assert client.get("/jobs/new", headers={"X-Remote-User": "nobody"}, environ_base=base).status_code == 303


@pytest.mark.parametrize(
    "values",
    [{"proxy_user_header": "X-Remote-User"}, {"proxy_user_addresses": "not an address"}, {"oidc_issuer": "https://x.example"}],
)  # fmt: skip
def test_half_a_setting_is_refused_at_the_start(tmp_path: Any, values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        load(instance_path=tmp_path, _env_file=None, **values)
