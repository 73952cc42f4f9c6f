"""Any day of a schedule: on a page of the job, and beside the form."""

from __future__ import annotations

from typing import Any

from tests.conftest import NOW
from tests.web.conftest import HTMX, PageClient, soup, text

NIGHT = {"kind": "cron", "crontab": "30 0-4 * * *", "timezone": "Europe/Berlin"}


def test_the_page_shows_what_a_clock_change_does(admin_client: PageClient, make_job: Any) -> None:
    job = make_job(trigger=NIGHT)
    page = admin_client.page(f"/jobs/{job.id}/day?day=2027-03-28")
    assert "4 due times, a day of 23 hours" in text(page)
    rows = [row.get_text(" ", strip=True) for row in page.select("tbody th")]
    assert [row[:5] for row in rows if "02:30" not in row] == ["00:30", "01:30", "03:30", "04:30"]
    skipped = page.select_one("tr.is-skipped-time s")
    assert skipped is not None
    assert "02:30" in skipped.text


def test_without_a_day_it_is_today_in_the_jobs_zone(admin_client: PageClient, make_job: Any) -> None:
    job = make_job(trigger={**NIGHT, "timezone": "Pacific/Kiritimati"})  # 14 hours ahead of UTC
    field = admin_client.page(f"/jobs/{job.id}/day").select_one("#day")
    assert field is not None
    assert (NOW.day, field["value"]) == (1, "2026-06-02")


def test_a_day_that_is_none_is_said_at_the_field(admin_client: PageClient, make_job: Any) -> None:
    job = make_job(trigger=NIGHT)
    answer = admin_client.get(f"/jobs/{job.id}/day?day=2027-02-30")
    assert answer.status_code == 422
    error = soup(answer).select_one("#day-err")
    assert error is not None
    assert "is not a day" in error.text


def test_the_jobs_page_leads_there(admin_client: PageClient, make_job: Any) -> None:
    job = make_job(trigger=NIGHT)
    link = admin_client.page(f"/jobs/{job.id}").select_one("#any-day")
    assert link is not None
    assert link["href"] == f"/jobs/{job.id}/day"


def test_the_preview_beside_the_form_simulates_a_day(admin_client: PageClient) -> None:
    sent = {
        "trigger.kind": "cron", "trigger.written": "crontab", "trigger.crontab": "30 2 * * *",
        "trigger.timezone": "Europe/Berlin", "simulate": "2027-03-28",
    }  # fmt: skip
    page = soup(admin_client.post("/jobs/preview", data=sent, headers=HTMX))
    assert "Nothing is due" not in text(page)
    assert page.select_one(".day .is-skipped-time") is not None
    again = soup(admin_client.post("/jobs/preview", data={**sent, "simulate": "2027-03-"}, headers=HTMX))
    assert again.select_one(".day") is None
    assert again.select_one(".words") is not None
