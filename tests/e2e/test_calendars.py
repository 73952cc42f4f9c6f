"""Calendars in a real browser: made, imported, ticked in a job; with and without JavaScript, accessible, on phones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NAME, PASSWORD, ZONE, OpenPage, forgive, has_sideways_scroll
from tests.e2e.test_pages import check
from tests.server import Server

LONG = "Freezes and maintenance that somebody put into one calendar without a thought for phones"
FILE = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nX-WR-CALNAME:Feiertage\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    "DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:New Year\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def day(ahead: int) -> str:
    """So many days from today, where the browser is: there it may be tomorrow already."""
    return (datetime.now(ZoneInfo(ZONE)).date() + timedelta(days=ahead)).isoformat()


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/scheduler", auth=(NAME, PASSWORD), timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def content(api: httpx.Client) -> None:
    """Calendars with everything in them, and a job that goes by one."""
    full = {
        "name": LONG, "days": [f"{day(2)}/{day(4)}"], "yearly": ["12-25"], "weekdays": ["sun"],
        "hours": [{"from": "22:00", "to": "06:00", "weekdays": ["fri"]}],
        "windows": [{"start": f"{day(5)}T10:00", "end": f"{day(6)}T12:00"}], "timezone": "Europe/Berlin",
        "labels": {day(2): "Words-that-never-end-" + "x" * 100},
    }  # fmt: skip
    for body in (full, {"name": "Over", "days": ["2020-01-01"]}):
        answer = api.post("/calendars", json=body)
        assert answer.status_code == 200, answer.text
    job = {
        "id": "goes-by-it", "name": "Goes by it", "func": "demo.echo", "trigger": "combined", "calendars": [LONG],
        "any": [{"kind": "cron", "crontab": "0 9 * * *"}, {"kind": "interval", "hours": 7}],
        "except": [{"kind": "cron", "crontab": "* 12 * * *"}],
    }  # fmt: skip
    assert api.post("/jobs", json=job).status_code == 200


def pages(page: Page, server: Server) -> list[str]:
    """The addresses of every page that shows calendars."""
    page.goto(f"{server.url}/calendars")
    full, over = (page.get_by_role("link", name=name).get_attribute("href") for name in (LONG, "Over"))
    paths = [
        "/calendars", "/calendars/new", "/calendars/import", f"{full}", f"{full}/edit", f"{full}/import",
        f"{full}/delete", f"{over}", f"{over}/delete", "/jobs/goes-by-it", "/jobs/goes-by-it/edit",
    ]  # fmt: skip
    return [server.url + path for path in paths]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_passes_axe(logged_in: OpenPage, server: Server, content: None, theme: str) -> None:
    page = logged_in("/", theme=theme)
    found = {}
    for url in pages(page, server):
        page.goto(url)
        if violations := check(page):
            found[url] = violations
    assert not found


@pytest.mark.parametrize("width", [360, 800])
def test_no_page_scrolls_sideways(logged_in: OpenPage, server: Server, content: None, width: int) -> None:
    page = logged_in("/", width=width)
    wide = []
    for url in pages(page, server):
        page.goto(url)
        if has_sideways_scroll(page):
            wide.append(url)
    assert not wide


def test_a_calendar_is_typed_and_a_job_leaves_it_out(
    logged_in: OpenPage, server: Server, complaints: list[str]
) -> None:
    page = logged_in("/calendars/new")
    page.get_by_label("Name").fill("Shutdown")
    page.get_by_label("Days", exact=True).fill("2026-02-30")
    expect(page.locator("#preview")).to_contain_text("is not a day")
    page.get_by_label("Days", exact=True).fill(f"{day(1)}/{day(3)} Move to the new office")
    expect(page.locator("#preview")).to_contain_text("Move to the new office")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shutdown")
    page.goto(server.url + "/jobs/new?task=demo.echo")
    page.get_by_label("By the calendar").check()
    page.get_by_role("combobox", name="Crontab line").fill("0 0 * * *")
    page.get_by_label("Shutdown").check()
    struck = page.locator("#preview s")
    expect(struck).to_contain_text(f"{day(1)} 00:00 to {day(3)} 00:00 (3 times)")
    page.get_by_label("Shutdown").uncheck()
    expect(struck).to_have_count(0)
    page.get_by_label("Several", exact=True).check()
    expect(page.get_by_role("textbox", name="Schedules")).to_have_value("0 0 * * *")
    page.get_by_role("textbox", name="Schedules").fill("0 0 * * *\nevery fortnight")
    expect(page.locator("#preview")).to_contain_text("Line 2: “every fortnight” is not understood")
    page.get_by_role("textbox", name="Schedules").fill("0 0 * * *\nevery 12 hours")
    page.get_by_label("Shutdown").check()
    page.get_by_label("message").fill("Hello")
    page.get_by_role("button", name="Schedule it").click()
    expect(page.locator("main")).to_contain_text("not within “Shutdown”")
    forgive(complaints, "status of 422")


def test_without_javascript_a_file_is_imported_and_ticked(logged_in: OpenPage, server: Server) -> None:
    page = logged_in("/calendars/import", js=False)
    page.get_by_label("iCalendar file").set_input_files(
        {"name": "holidays.ics", "mimeType": "text/calendar", "buffer": FILE.encode()}
    )
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Feiertage")
    expect(page.locator("main")).to_contain_text("1 January, New Year")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Saturday").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notices")).to_contain_text("Feiertage is saved.")
    page.goto(server.url + "/jobs/new?task=demo.echo")
    page.get_by_label("Every so often").check()
    page.get_by_label("message").fill("Hello")
    page.get_by_label("Name", exact=True).fill("Ticked without script")
    page.get_by_label("Feiertage").check()
    page.get_by_role("button", name="Schedule it").click()
    expect(page.locator("main")).to_contain_text("not within “Feiertage” (1 yearly day and Saturdays)")


def test_a_calendar_can_be_ticked_with_the_keyboard(logged_in: OpenPage, content: None) -> None:
    page = logged_in("/jobs/new?task=demo.echo")
    box = page.get_by_label("Over")
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    expect(page.locator("#preview .words")).to_contain_text("not within “Over”")
