"""A real server and a real browser. What a page writes to the console, or what the policy blocks, fails the test."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.server import Server

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
NAME, PASSWORD = "admin", "correct horse"
ZONE = "Europe/Berlin"

OpenPage = Callable[..., Page]

HARMLESS = {"htmx:afterRequest", "htmx:sendAbort"}
"""What htmx writes when one leaves a page in the middle of a poll and the browser ends the request."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)


def chromium() -> str | None:
    """The browser's program: CARILLON_CHROMIUM, or the first of the usual names on the path."""
    given = os.environ.get("CARILLON_CHROMIUM")
    return given or next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        reason = "there is no Chromium on this machine (set CARILLON_CHROMIUM)"
        if os.environ.get("CARILLON_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an admin, that many tests share; each works with jobs of its own."""
    stores = '{"quick": {"type": "memory"}}'
    folder = tmp_path_factory.mktemp("served")
    more = {"CARILLON_LOGIN_RATE": "1000 per minute", "SCHEDULER_JOBSTORES": stores}
    server = Server(folder, CARILLON_TIMEZONE=ZONE, **more)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def fresh_server(browser: Browser, tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has set up yet."""
    server = Server(tmp_path, CARILLON_TIMEZONE=ZONE, CARILLON_ADMIN_USER="", CARILLON_ADMIN_PASSWORD="")
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What pages complained about; a test that provokes something removes it from the list itself."""
    found: list[str] = []
    yield found
    assert not found


def note(complaints: list[str], message: ConsoleMessage) -> None:
    if message.type == "error" and message.text not in HARMLESS:
        complaints.append(message.text)


def forgive(complaints: list[str], *texts: str) -> None:
    """Forget complaints that hold one of these texts: the browser notes every answer that is an error by design."""
    complaints[:] = [each for each in complaints if not any(text in each for text in texts)]


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[OpenPage]:
    """Open a page in a browser of its own; ``js`` false: without JavaScript."""
    contexts: list[BrowserContext] = []

    def open_page(url: str, *, js: bool = True, width: int = 1280, theme: Any = "light", **options: Any) -> Page:
        context = browser.new_context(
            java_script_enabled=js, viewport={"width": width, "height": 860}, color_scheme=theme, timezone_id=ZONE,
            reduced_motion="reduce", **options,
        )  # fmt: skip
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: note(complaints, message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def logged_in(open_page: OpenPage, server: Server) -> OpenPage:
    """Open a page of the shared server as its admin."""

    def open_logged_in(path: str = "/", **options: Any) -> Page:
        page = open_page(f"{server.url}/login?next={path}", **options)
        log_in(page)
        return page

    return open_logged_in


def log_in(page: Page, name: str = NAME, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"^(?!.*/login)"))


def setup_link(server: Server) -> str:
    found = re.search(r"http://\S+/setup\?token=\S+", server.log.read_text())
    assert found is not None, server.log.read_text()
    return found.group(0)


def has_sideways_scroll(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
