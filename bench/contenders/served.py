"""A served Carillon from outside: ``python app.py`` on a free port, and a browser of the poorest kind."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

from tests.server import Server

NAME, PASSWORD = "admin", "correct horse"


class Browser:
    """Keeps cookies and follows redirects."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> float:
        """Seconds until the page is here, whole."""
        began = time.perf_counter()
        with self._opener.open(f"{self._url}{path}", timeout=30) as answer:
            answer.read()
        return time.perf_counter() - began

    def log_in(self) -> None:
        with self._opener.open(f"{self._url}/login", timeout=30) as answer:
            token = re.search(r'name="csrf-token" content="([^"]+)"', answer.read().decode())
        assert token is not None
        form = urlencode({"name": NAME, "password": PASSWORD, "csrf_token": token[1]}).encode()
        self._opener.open(f"{self._url}/login", form, timeout=30).close()


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Server]:
    """A served Carillon in ``folder``; killed at the end."""
    server = Server(folder, CARILLON_ADMIN_USER=NAME, CARILLON_ADMIN_PASSWORD=PASSWORD, **environment)
    try:
        yield server
    finally:
        server.close()
