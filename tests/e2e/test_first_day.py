"""A new user's first day, in a real browser: set up, make one job of each kind, see them run, and look after one."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ZONE, OpenPage, setup_link
from tests.server import Server

WAIT_MS = 20_000


def set_up(page: Page) -> None:
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Password", exact=True).fill("a long password")
    page.get_by_label("Password again").fill("a long password")
    page.get_by_role("button", name="Create the admin").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(page.get_by_text("Welcome, ada.")).to_be_visible()


def menu(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()


def due_soon() -> str:
    """Six seconds from now, as a field of the server's zone takes it."""
    return (datetime.now(ZoneInfo(ZONE)) + timedelta(seconds=6)).strftime("%Y-%m-%dT%H:%M:%S")


def every_second(page: Page) -> None:
    page.get_by_label("Minutes", exact=True).fill("")
    page.get_by_label("Seconds", exact=True).fill("1")


KINDS = {
    "interval": ("Every so often", every_second),
    "cron": ("By the calendar", lambda page: page.get_by_label("Crontab line", exact=True).fill("* * * * * *")),
    "date": ("Once", lambda page: page.get_by_label("Date and time").fill(due_soon())),
}  # fmt: skip


def make_job(page: Page, kind: str, js: bool) -> None:
    """Fill in the form as a person does. Without JavaScript two buttons bring the fields."""
    menu(page, "Jobs")
    page.get_by_role("link", name=re.compile("New job|Schedule the first job")).first.click()
    page.get_by_label("Task", exact=True).select_option("demo.echo")
    if not js:
        page.get_by_role("button", name="Show its fields").click()
    page.get_by_label("Name", exact=True).fill(f"My {kind} job")
    page.get_by_label("message", exact=True).fill(f"Good morning from {kind}")
    choice, fill = KINDS[kind]
    page.get_by_label(choice, exact=True).check()
    if not js:
        page.get_by_role("button", name="Show the fields").click()
    fill(page)
    page.get_by_role("button", name="Schedule it").click()
    expect(page.get_by_role("heading", name=f"My {kind} job")).to_be_visible()
    expect(page.get_by_text(f"My {kind} job is scheduled.")).to_be_visible()


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_made_in_the_browser_runs_and_its_run_appears_live(
    fresh_server: Server, open_page: OpenPage, kind: str
) -> None:
    page = open_page(setup_link(fresh_server))
    set_up(page)
    make_job(page, kind, js=True)
    page.evaluate("window.stillTheSamePage = true")
    run = page.locator("#job tbody tr[id^=row-]", has_text="succeeded").first
    expect(run).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("window.stillTheSamePage") is True
    run.get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile(r"Run \d+"))).to_be_visible()
    expect(page.locator(".log")).to_contain_text(f"Good morning from {kind}")
    expect(page.locator("#run .state--big")).to_have_text("succeeded")


def test_looking_after_a_job(fresh_server: Server, open_page: OpenPage) -> None:
    look_after_a_job(open_page(setup_link(fresh_server)), js=True)


def test_looking_after_a_job_without_javascript(fresh_server: Server, open_page: OpenPage) -> None:
    look_after_a_job(open_page(setup_link(fresh_server), js=False), js=False)


def look_after_a_job(page: Page, js: bool) -> None:
    """Edit, pause, resume, run now, open the log, delete."""
    set_up(page)
    for kind in ("interval", "cron", "date"):
        make_job(page, kind, js)
    menu(page, "Jobs")
    page.get_by_role("link", name="My cron job", exact=True).click()

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Name", exact=True).fill("Renamed")
    page.get_by_label("Crontab line", exact=True).fill("0 0 1 1 *")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    expect(page.locator(".sub")).to_contain_text("1st of January")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".state--big")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".state--big")).to_have_text("active")

    page.get_by_role("button", name="Run now").click()
    wait_for_run(page, "by hand", js)
    page.locator("tr[id^=row-]", has_text="by hand").first.get_by_role("link").click()
    expect(page.locator(".log")).to_contain_text("Good morning from cron")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert "Good morning from cron" in download.value.path().read_text()

    page.get_by_role("link", name="Renamed", exact=True).click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete this job?")).to_be_visible()
    page.get_by_role("button", name="Delete this job").click()
    expect(page.get_by_text("Renamed is deleted.")).to_be_visible()
    expect(page.get_by_role("link", name="Renamed")).to_have_count(0)
    menu(page, "Runs")
    expect(page.locator("tr[id^=row-]", has_text="Renamed").first).to_be_visible()


def wait_for_run(page: Page, words: str, js: bool) -> None:
    """With JavaScript the row comes by itself; without, one reloads."""
    done = page.locator("tr[id^=row-]", has_text=words).filter(has_text="succeeded")
    for _ in range(1 if js else 40):
        try:
            expect(done.first).to_be_visible(timeout=WAIT_MS if js else 300)
            return
        except AssertionError:
            if js:
                raise
            page.reload()
    raise AssertionError("the run did not succeed")
