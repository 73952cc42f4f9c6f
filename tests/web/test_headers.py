"""What every answer tells the browser, and what no page may hold."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.web.conftest import HTMX, PageClient, soup
from webapp.web.assets import htmx_version
from webapp.web.headers import CONTENT_SECURITY_POLICY

PAGES = ("/", "/jobs", "/jobs/new", "/runs", "/tasks", "/system", "/account", "/nothing-here")


def test_the_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none';")


@pytest.mark.parametrize("url", PAGES)
def test_every_page_carries_the_policy_and_stays_out_of_caches(admin_client: PageClient, url: str) -> None:
    headers = admin_client.get(url).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert "HX-Request" in headers["Vary"]


@pytest.mark.parametrize("url", PAGES)
def test_no_page_holds_what_the_policy_would_block(admin_client: PageClient, make_job: Any, url: str) -> None:
    make_job(name="<script>alert(1)</script>")
    page = soup(admin_client.get(url))
    assert not page.select("style, [style], script:not([src]), iframe, object, embed")
    for element in page.find_all(True):
        assert not [name for name in element.attrs if name.startswith("on") or name.startswith("hx-on")]
        for name in ("src", "href", "action", "formaction"):
            assert not re.match(r"(https?:)?//|javascript:", str(element.attrs.get(name, "")))


def test_htmx_is_the_version_that_was_checked(admin_client: PageClient) -> None:
    assert htmx_version() == "2.0.3"


def test_htmx_may_be_kept_for_a_year(client: PageClient) -> None:
    answer = client.get("/assets/htmx-2.0.3.min.js")
    assert answer.status_code == 200
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/assets/htmx-2.0.4.min.js").status_code == 404


def test_our_own_files_may_be_kept_by_their_version(client: PageClient, admin: Any) -> None:
    href = str(client.page("/login").select_one("link[rel=stylesheet]")["href"])  # type: ignore[index]
    with client.get(href) as versioned, client.get(href.partition("?")[0]) as plain:
        assert "immutable" in versioned.headers["Cache-Control"]
        assert "immutable" not in plain.headers.get("Cache-Control", "")


def test_a_fragment_is_no_page(admin_client: PageClient) -> None:
    answer = admin_client.get("/runs/fragment", headers=HTMX)
    assert "<html" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
