"""Everything can be reached and done with the keyboard alone."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import NAME, PASSWORD, OpenPage
from tests.server import Server


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def tab_to(page: Page, target: str, most: int = 80) -> None:
    """Press Tab until the focus is on the element with this id or text."""
    for _ in range(most):
        if focused(page) == target:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached; the focus is on {focused(page)}")


def test_from_the_login_to_a_scheduled_job(open_page: OpenPage, server: Server) -> None:
    page = open_page(f"{server.url}/login")
    tab_to(page, "name")
    page.keyboard.type(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the page"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"

    page.goto(f"{server.url}/jobs/new")
    tab_to(page, "task")
    page.keyboard.type("Echo")
    expect(page.locator("[id='kwargs.message']")).to_be_visible()
    tab_to(page, "name")
    page.keyboard.type("By keyboard")
    tab_to(page, "trigger.kind-0")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Crontab line", exact=True)).to_be_visible()
    tab_to(page, "trigger.crontab")
    page.keyboard.type("0 3 * * *")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By keyboard")).to_be_visible()

    tab_to(page, "pause")
    page.keyboard.press("Enter")
    expect(page.locator(".state--big")).to_have_text("paused")


def test_the_account_menu_opens_and_closes(logged_in: OpenPage) -> None:
    page = logged_in("/jobs")
    page.get_by_role("button", name="Account menu").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Account and API tokens")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Account and API tokens")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/account"))


def test_what_has_the_focus_can_be_seen(logged_in: OpenPage) -> None:
    page = logged_in("/jobs/new")
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """() => { const e = document.activeElement; const l = e.closest("label") || e;
                       return [getComputedStyle(e), getComputedStyle(l)].some((s) => s.outlineStyle !== "none"); }"""
        )
        assert outline, focused(page)
