"""Every page, with content: accessible in both themes, no sideways scrolling on a phone, nothing in the console."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NAME, PASSWORD, OpenPage, forgive, has_sideways_scroll
from tests.server import Server

LONG = "A job with a rather long name that somebody gave it in a hurry and without any thought for narrow screens"


@pytest.fixture(scope="module")
def content(server: Server) -> dict[str, str]:
    """Jobs in several states with runs of several states; paths of the pages that show them."""
    with httpx.Client(base_url=f"{server.url}/scheduler", auth=(NAME, PASSWORD), timeout=20) as api:

        def add(job_id: str, **job: Any) -> None:
            job = {"id": job_id, "func": "demo.echo", "trigger": "interval", **job}
            if job["trigger"] == "interval":
                job["hours"] = 5
            answer = api.post("/jobs", json=job)
            assert answer.status_code == 200, answer.text

        add(
            "plain",
            name=LONG,
            kwargs={"message": "<b>&\"' and words-that-never-end-" + "x" * 200},
            tags=["shop", "night"],
        )
        add("fails", name="Fails", func="demo.flaky", kwargs={"failure_rate": 1})
        add("talks", name="Talks", func="demo.log", kwargs={"lines": 600, "interval_s": 0})
        add("sleeps", name="Sleeps", func="demo.sleep", kwargs={"seconds": 300, "steps": 100})
        add("yearly", name="Yearly", trigger="cron", month=3, day="last sun", hour=4, minute=30)
        for job_id in ("plain", "fails", "talks", "sleeps"):
            assert api.post(f"/jobs/{job_id}/run").status_code == 200
        api.post("/jobs/yearly/pause")
        runs = wait_for_ends(api, 3)
    return {
        "dashboard": "/", "jobs": "/jobs", "runs": "/runs", "tasks": "/tasks", "system": "/system",
        "account": "/account", "audit": "/audit", "entry": "/audit/2", "secrets": "/secrets",
        "users": "/users", "user": "/users/1",
        "new": "/jobs/new?task=http.request",
        "job": "/jobs/plain", "paused": "/jobs/yearly",
        "edit": "/jobs/yearly/edit", "clone": "/jobs/plain/clone", "delete": "/jobs/plain/delete",
        "run with": "/jobs/plain/run", "pause": "/jobs/plain/pause", "revision": "/jobs/plain/revisions/1",
        "succeeded": f"/runs/{runs['plain']}", "failed": f"/runs/{runs['fails']}", "log": f"/runs/{runs['talks']}",
        "search": f"/runs/{runs['talks']}?q=7", "running": f"/runs/{runs['sleeps']}", "nothing": "/runs?q=zzzz",
        "missing": "/nothing-here", "reference": "/api-reference",
    }  # fmt: skip


def wait_for_ends(api: httpx.Client, number: int) -> dict[str, int]:
    """The newest run of each job, once so many have ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        runs = api.get("/runs?limit=50").json()["runs"]
        if sum(run["finished_at"] is not None for run in runs) >= number:
            return {run["job_id"]: run["id"] for run in reversed(runs)}
        time.sleep(0.1)
    raise AssertionError("the runs did not end")


PAGES = (
    "dashboard", "jobs", "runs", "tasks", "system", "account", "new", "job", "paused", "edit", "clone", "delete",
    "run with", "pause", "revision", "succeeded", "failed", "log", "search", "running", "nothing", "missing",
    "audit", "entry", "secrets", "users", "user", "reference",
)  # fmt: skip


def check(page: Page) -> list[str]:
    found = Axe().run(page)
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found.response["violations"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_passes_axe(
    logged_in: OpenPage, server: Server, content: dict[str, str], complaints: list[str], theme: str
) -> None:
    page = logged_in("/", theme=theme)
    found = {}
    for name in PAGES:
        page.goto(server.url + content[name])
        violations = check(page)
        if violations:
            found[name] = violations
    forgive(complaints, "status of 404")
    assert not found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_doors_pass_axe(
    open_page: OpenPage, server: Server, fresh_server: Server, complaints: list[str], theme: str
) -> None:
    page = open_page(f"{server.url}/login", theme=theme)
    assert not check(page)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".error").first).to_be_visible()
    assert not check(page)
    for url in (f"{fresh_server.url}/setup", f"{fresh_server.url}/setup?token=x"):
        page.goto(url)
        assert not check(page)
    forgive(complaints, "status of 422")


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_no_page_scrolls_sideways(
    logged_in: OpenPage, server: Server, content: dict[str, str], complaints: list[str], width: int
) -> None:
    page = logged_in("/", width=width)
    wide = []
    for name in PAGES:
        page.goto(server.url + content[name])
        if has_sideways_scroll(page):
            wide.append(name)
    forgive(complaints, "status of 404")
    assert not wide


def test_every_page_works_without_javascript(
    logged_in: OpenPage, server: Server, content: dict[str, str], complaints: list[str]
) -> None:
    page = logged_in("/", js=False, width=360)
    for name in PAGES:
        page.goto(server.url + content[name])
        expect(page.locator("h1")).to_be_visible()
        assert not has_sideways_scroll(page), name
    forgive(complaints, "status of 404")


def test_errors_of_the_form_pass_axe(logged_in: OpenPage, complaints: list[str]) -> None:
    page = logged_in("/jobs/new")
    page.get_by_label("Minutes", exact=True).fill("soon")
    page.get_by_role("button", name="Schedule it").click()
    expect(page.locator(".summary")).to_be_visible()
    assert not check(page)
    forgive(complaints, "status of 422")


def test_a_thousand_lines_of_log_stay_in_their_box(logged_in: OpenPage, content: dict[str, str]) -> None:
    page = logged_in(content["log"])
    box = page.locator(".log").bounding_box()
    assert box is not None
    assert box["height"] < 700
    assert page.locator(".log tr[id^=L]").count() == 400
    page.get_by_role("link", name="Earlier lines").click()
    expect(page.locator("#L1")).to_be_attached()
