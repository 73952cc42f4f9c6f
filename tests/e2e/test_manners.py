"""How live pages behave: they keep what one is doing, rest when told to, and say when the connection is lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.e2e.conftest import NAME, PASSWORD, OpenPage, forgive
from tests.server import Server
from webapp.web.presenters import times


@pytest.fixture(scope="module")
def api(server: Server) -> Any:
    with httpx.Client(base_url=f"{server.url}/scheduler", auth=(NAME, PASSWORD), timeout=20) as client:
        for job_id in ("m-one", "m-two"):
            job = {"id": job_id, "name": f"Manners {job_id}", "func": "demo.echo", "trigger": "interval", "hours": 9}
            assert client.post("/jobs", json=job).status_code == 200
        yield client


def polls(page: Page) -> list[str]:
    """Addresses of fragments asked for from now on."""
    seen: list[str] = []

    def note(request: Request) -> None:
        if "/fragment" in request.url:
            seen.append(request.url)

    page.on("request", note)
    return seen


def test_a_refresh_keeps_typed_text_focus_and_scroll(logged_in: OpenPage, api: httpx.Client) -> None:
    page = logged_in("/jobs")
    page.evaluate("document.body.style")  # the page is there
    button = page.locator("#run-m-one")
    button.focus()
    before = page.locator("#job-list").get_attribute("hx-get")
    api.post("/jobs/m-two/run")
    expect(page.locator("#job-list")).not_to_have_attribute("hx-get", before or "", timeout=15_000)
    assert page.evaluate("document.activeElement.id") == "run-m-one"
    page.get_by_label("Search").fill("Manners m-tw")
    expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=Manners"))
    before = page.locator("#job-list").get_attribute("hx-get")
    api.post("/jobs/m-one/run")
    expect(page.locator("#job-list")).not_to_have_attribute("hx-get", before or "", timeout=15_000)
    expect(page.get_by_label("Search")).to_have_value("Manners m-tw")
    expect(page.get_by_label("Search")).to_be_focused()


def test_nothing_is_swapped_while_nothing_changes(logged_in: OpenPage, api: httpx.Client) -> None:
    page = logged_in("/tasks")
    page.goto(page.url.replace("/tasks", "/runs?q=nobody-is-called-so"))
    page.evaluate("document.querySelector('#run-list').mark = true")
    with page.expect_response(lambda answer: "/runs/fragment" in answer.url, timeout=15_000) as answer:
        pass
    assert answer.value.status in (200, 204)
    if answer.value.status == 204:
        assert page.evaluate("document.querySelector('#run-list').mark") is True


def test_live_off_sends_nothing(logged_in: OpenPage, api: httpx.Client) -> None:
    page = logged_in("/runs")
    page.get_by_role("switch", name="Live on").click()
    expect(page.get_by_role("switch", name="Live off")).to_be_visible()
    seen = polls(page)
    page.wait_for_timeout(6_500)
    assert seen == []


def test_a_hidden_page_rests_and_asks_at_once_when_it_is_seen_again(logged_in: OpenPage, api: httpx.Client) -> None:
    page = logged_in("/runs")
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.isAway === true, configurable: true})")
    page.evaluate("window.isAway = true; document.dispatchEvent(new Event('visibilitychange'))")
    seen = polls(page)
    page.wait_for_timeout(6_500)
    assert seen == []
    with page.expect_request("**/runs/fragment*", timeout=1_500):
        page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_lost_connection_is_said_and_the_page_stays(
    logged_in: OpenPage, api: httpx.Client, complaints: list[str]
) -> None:
    page = logged_in("/jobs")
    rows = page.locator("table.jobs tbody tr").count()

    def fail(route: Route) -> None:
        route.abort()

    page.route("**/jobs/fragment*", fail)
    expect(page.locator("#signal")).to_contain_text("Connection lost", timeout=15_000)
    assert page.locator("table.jobs tbody tr").count() == rows
    page.unroute("**/jobs/fragment*", fail)
    expect(page.locator("#signal")).to_be_hidden(timeout=15_000)
    forgive(complaints, "ERR_FAILED", "htmx:sendError")


def test_the_session_s_end_leads_the_whole_page_to_the_login(logged_in: OpenPage, complaints: list[str]) -> None:
    page = logged_in("/jobs")
    page.context.clear_cookies(name="carillon")
    expect(page).to_have_url(re.compile(r"/login"), timeout=15_000)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    forgive(complaints, "status of 401", "Error Code 401")


def test_a_row_s_button_swaps_its_row_and_says_what_it_did(logged_in: OpenPage, api: httpx.Client) -> None:
    page = logged_in("/jobs?q=m-one")
    page.evaluate("window.stillTheSamePage = true")
    page.get_by_role("button", name="Pause Manners m-one").click()
    expect(page.locator("#notices")).to_contain_text("Manners m-one is paused.")
    expect(page.locator("#job-m-one .state").first).to_have_text("paused")
    page.get_by_role("button", name="Resume Manners m-one").click()
    expect(page.locator("#notices")).to_contain_text("is back on its schedule")
    assert page.evaluate("window.stillTheSamePage") is True


def test_a_refused_button_says_why_and_keeps_the_row(
    logged_in: OpenPage, api: httpx.Client, complaints: list[str]
) -> None:
    job = {
        "id": "busy",
        "name": "Busy",
        "func": "demo.sleep",
        "kwargs": {"seconds": 60},
        "trigger": "interval",
        "hours": 9,
    }
    api.post("/jobs", json=job)
    api.post("/jobs/busy/run")
    page = logged_in("/jobs?q=busy")
    page.get_by_role("button", name="Run Busy now").click()
    expect(page.locator("#notices")).to_contain_text("had not ended yet")
    expect(page.locator("#job-busy")).to_be_visible()
    forgive(complaints, "status of 409", "Error Code 409")


def test_a_running_run_tells_its_progress_and_can_be_aborted(logged_in: OpenPage, api: httpx.Client) -> None:
    job = {
        "id": "slow", "name": "Slow", "func": "demo.sleep", "kwargs": {"seconds": 60, "steps": 120},
        "trigger": "interval", "hours": 9,
    }  # fmt: skip
    api.post("/jobs", json=job)
    api.post("/jobs/slow/run")
    page = logged_in("/runs?job_id=slow")
    page.locator("tr[id^=row-] a.clock").first.click()
    expect(page.locator("#run progress")).to_be_visible(timeout=15_000)
    expect(page.locator("#run .said")).to_contain_text("of 120")
    page.get_by_role("button", name="Abort").click()
    expect(page.locator("#run .state--big")).to_have_text("cancelled", timeout=15_000)
    seen = polls(page)
    page.wait_for_timeout(2_500)
    assert seen == []


def test_the_form_answers_while_one_types(logged_in: OpenPage) -> None:
    page = logged_in("/jobs/new")
    words = page.locator("#preview .words")
    expect(words).to_contain_text("Every 15 minutes")
    page.get_by_label("Minutes", exact=True).fill("20")
    expect(words).to_contain_text("Every 20 minutes")
    page.get_by_label("By the calendar", exact=True).check()
    expect(words).to_have_text("Not a schedule yet")
    page.get_by_label("Crontab line", exact=True).fill("30 2 * * 0")
    expect(words).to_contain_text("At 02:30 every Sunday")
    expect(page.locator("#preview tbody tr")).to_have_count(10)
    expect(page.locator("#preview .hazard").first).to_be_visible()
    page.get_by_label("eight fields", exact=True).check()
    expect(page.get_by_label("Weekday", exact=True)).to_have_value("sun")
    page.get_by_label("Weekday", exact=True).fill("fri")
    expect(page.locator("#preview .echo")).to_have_text("As a crontab line: 30 2 * * fri")
    page.get_by_label("a crontab line", exact=True).check()
    expect(page.get_by_label("Crontab line", exact=True)).to_have_value("30 2 * * fri")


def test_a_refused_form_keeps_the_page_and_puts_the_cursor_at_the_first_mistake(
    logged_in: OpenPage, complaints: list[str]
) -> None:
    page = logged_in("/jobs/new?task=demo.sleep")
    page.evaluate("window.stillTheSamePage = true")
    page.get_by_label("Name", exact=True).fill("Keep this")
    page.get_by_label("steps", exact=True).fill("many")
    page.get_by_label("Minutes", exact=True).fill("-5")
    page.get_by_role("button", name="Schedule it").click()
    expect(page.locator(".summary li")).to_have_count(2)
    expect(page.get_by_label("Minutes", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Keep this")
    page.locator(".summary a", has_text="steps").click()
    expect(page.get_by_label("steps", exact=True)).to_be_focused()
    assert page.evaluate("window.stillTheSamePage") is True
    forgive(complaints, "status of 422")


def test_the_theme_changes_at_once_and_stays(logged_in: OpenPage) -> None:
    page = logged_in("/jobs")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ground) != light


def test_the_browser_s_zone_is_used_and_the_clock_ticks(
    open_page: OpenPage, server: Server, logged_in: OpenPage
) -> None:
    page = logged_in("/jobs")
    clock = page.locator("#clocks time").first
    before = clock.text_content()
    expect(clock).not_to_have_text(before or "", timeout=3_000)
    expect(page.locator(".foot")).to_contain_text("Europe/Berlin")


def test_times_tick_in_the_browser_exactly_as_the_server_writes_them(logged_in: OpenPage) -> None:
    page = logged_in("/account?live=0")
    now = datetime.fromisoformat(page.evaluate("document.documentElement.dataset.now"))
    distances = [-700_000, -90_061, -86_400, -7_320, -3_601, -3_599, -61, -30, 45, 75, 3_700, 40_000, 90_100, 2_000_000]
    # Half a minute or more from every change of the text, so that the seconds of the test do not matter.
    moments = [now + timedelta(seconds=d * 1 if abs(d) < 60 else d + (20 if d > 0 else -20)) for d in distances]
    shown = page.evaluate(
        """async (moments) => {
             const added = moments.map((at) => {
               const element = document.createElement("time");
               element.dateTime = at; element.dataset.relative = ""; document.body.append(element); return element;
             });
             await new Promise((done) => setTimeout(done, 2100));
             const clock = Date.parse(document.documentElement.dataset.now);
             return [performance.timeOrigin, added.map((element) => element.textContent)];
           }""",
        [times.iso(moment) for moment in moments],
    )[1]
    for moment, words in zip(moments, shown, strict=True):
        possible = {times.relative(moment, now + timedelta(seconds=later)) for later in range(0, 30)}
        assert words in possible, (moment - now, words, possible)


def test_one_second_units_are_told_from_the_server_s_clock_not_this_computer_s(browser: Any, server: Server) -> None:
    context = browser.new_context(timezone_id="UTC")
    page = context.new_page()
    page.clock.install(time=datetime.now(UTC) - timedelta(days=400))
    page.goto(f"{server.url}/login")
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#clocks time")
    page.clock.run_for(1500)
    shown = page.locator("#clocks time").first.text_content() or ""
    assert re.fullmatch(r"\d\d:\d\d:\d\d", shown)
    hour = datetime.now(UTC).astimezone(__import__("zoneinfo").ZoneInfo("Europe/Berlin")).hour
    assert int(shown[:2]) in (hour, (hour + 1) % 24, (hour - 1) % 24)
    context.close()
