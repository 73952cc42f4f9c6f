"""A client of the API as scripts are: JSON without a Content-Type, a token of some role, and a clock that stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from tests.api import conformance
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import tokens, users
from webapp.services.actors import Actor
from webapp.store.models import User
from webapp.tasks import SecretRef, registry

CHEAP = "scrypt:1024:8:1"


def job1(x: int = 0) -> None:
    """The function of the old clients' examples."""


def notify(channel: str, password: SecretRef, note: str = "") -> None:
    """A task with a secret."""


@pytest.fixture(autouse=True)
def clock(now: datetime) -> Iterator[time_machine.Traveller]:
    """The server's clock stands at ``now``; ``clock.shift(seconds)`` moves it."""
    with time_machine.travel(now, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords are not what is tested here, so their hashes need not be slow."""
    monkeypatch.setattr(users, "generate_password_hash", lambda text, method: generate_password_hash(text, CHEAP))
    users._dummy_hash.cache_clear()
    yield
    users._dummy_hash.cache_clear()


@pytest.fixture(autouse=True)
def sample_tasks(app: Flask) -> Iterator[None]:
    with registry.temporary():
        registry.register(job1, key="sample.job1")
        registry.register(notify, key="sample.notify")
        yield


class Api:
    """One client with one token; paths stand below the prefix, bodies are sent as bare JSON.

    Every answer must be one that the OpenAPI document announces, down to its keys.
    """

    def __init__(self, client: FlaskClient, token: str | None) -> None:
        self.client = client
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> TestResponse:
        data = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        answer = self.client.open(
            "/scheduler" + path, method=method, data=data, headers={**self.headers, **(headers or {})}
        )
        conformance.check(self.client.application, answer)
        return answer

    def get(self, path: str = "", **more: Any) -> TestResponse:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.ask("POST", path, body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> TestResponse:
        return self.ask("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.ask("DELETE", path, **more)

    def add(self, **overrides: Any) -> TestResponse:
        """Add the job of the old clients' examples, changed as told; None leaves a key out."""
        body = {"id": "job1", "func": "sample.job1", "trigger": "interval", "minutes": 10, **overrides}
        return self.post("/jobs", {name: value for name, value in body.items() if value is not None})


@pytest.fixture
def api_as(client: FlaskClient, make_user: Callable[..., User], now: datetime) -> Callable[[Role | str], Api]:
    """An API client of a role."""

    def make(role: Role | str) -> Api:
        user = db.session.query(User).filter_by(name=str(role)).first() or make_user(role)
        actor = Actor(user.name, Role(role), "web", user_id=user.id)
        _, plain = tokens.create(user, "test", Role(role), None, actor=actor, now=now)
        return Api(client, plain)

    return make


@pytest.fixture
def api(api_as: Callable[[Role | str], Api]) -> Api:
    """A client that may do everything."""
    return api_as(Role.ADMIN)


@pytest.fixture
def stranger(client: FlaskClient) -> Api:
    """A client without any credentials."""
    return Api(client, None)
