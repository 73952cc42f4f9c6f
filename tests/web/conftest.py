"""Fixtures for tests of pages: a client that is as far from the test as a browser is, and a clock that stands still."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import NOW
from webapp import clock
from webapp.extensions import limiter

HTMX = {"HX-Request": "true"}


class PageClient(FlaskClient):
    """A client whose every request has an application context of its own, also while a test is inside one.

    Otherwise ``flask.g``, and with it the logged-in user, would live on from one request to the next.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return contextvars.Context().run(super().open, *args, **kwargs)

    def page(self, url: str, **kwargs: Any) -> BeautifulSoup:
        """The page at ``url``, which must be there."""
        answer = self.get(url, **kwargs)
        assert answer.status_code == 200, f"{url}: {answer.status_code}"
        return soup(answer)


def soup(answer: TestResponse) -> BeautifulSoup:
    return BeautifulSoup(answer.text, "html.parser")


def text(node: Any) -> str:
    """The words of an element, with single spaces."""
    assert isinstance(node, Tag)
    return " ".join(node.get_text(" ").split())


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture(autouse=True)
def no_earlier_attempts(app: Flask) -> None:
    """Rate limits count from zero in every test."""
    limiter.reset()


@pytest.fixture
def client(app: Flask) -> PageClient:
    app.test_client_class = PageClient
    client = app.test_client()
    assert isinstance(client, PageClient)
    return client


@pytest.fixture
def admin_client(client: PageClient, login_as: Any) -> PageClient:
    login_as(client, "admin")
    return client
