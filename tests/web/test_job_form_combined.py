"""The job form's combined schedules: calendars to tick, several schedules as lines, what the preview strikes out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import CODE, NOW
from tests.web.conftest import HTMX, PageClient, soup, text
from tests.web.test_job_form import CRON, DATE, INTERVAL, error, only_job, values
from webapp.extensions import db
from webapp.services import calendars, jobs
from webapp.web.forms import combined

HOLIDAYS = {"name": "Public holidays", "days": ["2026-06-03"]}
LINES = {**INTERVAL, "trigger.kind": "combined", "trigger.parts": "0 9 * * 1-5\r\n\r\nevery 90 min"}
del LINES["trigger.minutes"]


@pytest.fixture
def shared(app: Any) -> None:
    calendars.create(HOLIDAYS, actor=CODE, now=NOW)
    calendars.create({"name": "Weekends", "weekdays": ["sat", "sun"]}, actor=CODE, now=NOW)


def preview(client: PageClient, form: dict[str, Any]) -> Any:
    answer = client.post("/jobs/preview", data=form, headers=HTMX)
    assert answer.status_code == 200
    return soup(answer)


def ticks(page: Any) -> dict[str, bool]:
    """The calendars that are offered, and whether each is ticked."""
    boxes = page.select('input[name="trigger.calendars"]')
    return {text(box.find_parent("label")): box.has_attr("checked") for box in boxes}


# ---------------------------------------------------------------- calendars


def test_calendars_are_offered_to_every_kind_of_schedule(admin_client: PageClient, shared: None) -> None:
    assert ticks(admin_client.page("/jobs/new")) == {"Public holidays": False, "Weekends": False}
    for form in (INTERVAL, CRON, DATE, LINES):
        part = soup(
            admin_client.post("/jobs/form?of=schedule", data={**form, "trigger.calendars": "Weekends"}, headers=HTMX)
        )
        assert ticks(part) == {"Public holidays": False, "Weekends": True}


def test_without_calendars_the_form_says_where_to_make_one(admin_client: PageClient) -> None:
    page = admin_client.page("/jobs/new")
    assert ticks(page) == {}
    assert "Make a calendar" in text(page.select_one("#schedule a[href='/calendars']"))


@pytest.mark.parametrize(("form", "kind"), [(INTERVAL, "interval"), (CRON, "cron"), (DATE, "date")])
def test_ticking_a_calendar_leaves_it_out(
    admin_client: PageClient, shared: None, form: dict[str, str], kind: str
) -> None:
    sent = {
        **form,
        "trigger.calendars": ["Public holidays", "Weekends"],
        "trigger.jitter": "30" if kind != "date" else "",
    }
    answer = admin_client.post("/jobs", data=sent)
    assert answer.status_code == 303, text(soup(answer).select_one(".summary"))
    trigger = only_job().trigger
    assert (trigger["kind"], trigger["calendars"], trigger["any"][0]["kind"]) == (
        "combined", ["Public holidays", "Weekends"], kind,
    )  # fmt: skip
    assert trigger["jitter"] == (30 if kind != "date" else 0)
    assert trigger["timezone"] == "Europe/Berlin"


def test_a_schedule_with_calendars_is_shown_as_what_it_is_and_saving_it_changes_nothing(
    admin_client: PageClient, shared: None
) -> None:
    admin_client.post("/jobs", data={**CRON, "trigger.calendars": "Public holidays", "trigger.spread": "60"})
    job = only_job()
    page = admin_client.page(f"/jobs/{job.id}/edit")
    assert page.select_one('input[name="trigger.kind"][checked]')["value"] == "cron"  # type: ignore[index]
    assert page.select_one('input[name="trigger.crontab"]')["value"] == "0 9 * * 1-5"  # type: ignore[index]
    assert page.select_one('input[name="trigger.spread"]')["value"] == "60"  # type: ignore[index]
    assert ticks(page) == {"Public holidays": True, "Weekends": False}
    admin_client.post(f"/jobs/{job.id}", data=values(page))
    assert only_job().revision == 1
    untick = {**values(page), "trigger.calendars": []}
    admin_client.post(f"/jobs/{job.id}", data=untick)
    assert (only_job().trigger["kind"], only_job().trigger["spread"], only_job().calendar_pins) == ("cron", 60, None)


def test_one_more_tick_keeps_the_rest_of_the_schedule(admin_client: PageClient, shared: None) -> None:
    admin_client.post("/jobs", data={**INTERVAL, "trigger.calendars": "Public holidays"})
    before = only_job().trigger
    page = admin_client.page(f"/jobs/{only_job().id}/edit")
    admin_client.post(f"/jobs/{only_job().id}", data={**values(page), "trigger.calendars": ["Weekends"]})
    assert only_job().trigger == {**before, "calendars": ["Weekends"]}


def test_a_calendar_of_the_jobs_own_is_kept_or_dropped_by_its_tick(
    admin_client: PageClient, shared: None, make_job: Any
) -> None:
    own = {"name": "Stocktaking", "days": ["2026-06-05"]}
    spec = {"kind": "combined", "any": [{"kind": "cron", "crontab": "0 9 * * *"}], "calendars": [own, "Weekends"]}
    job = make_job(trigger=spec)
    page = admin_client.page(f"/jobs/{job.id}/edit")
    assert ticks(page) == {"Public holidays": False, "Weekends": True, "Stocktaking": True}
    sent = values(page)
    admin_client.post(f"/jobs/{job.id}", data={**sent, "name": "Renamed"})
    assert only_job().trigger["calendars"] == [own, "Weekends"]
    sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
    admin_client.post(f"/jobs/{job.id}", data={**sent, "trigger.calendars": ["own:0", "Public holidays"]})
    assert only_job().trigger["calendars"] == [own, "Public holidays"]
    sent = values(admin_client.page(f"/jobs/{job.id}/clone"))
    assert admin_client.post("/jobs", data={**sent, "id": "copy"}).status_code == 303
    db.session.rollback()
    assert jobs.get("copy").trigger["calendars"] == ["Public holidays", own]


def test_a_calendar_that_was_deleted_meanwhile_is_said_and_stays_to_be_unticked(
    admin_client: PageClient, shared: None
) -> None:
    answer = admin_client.post("/jobs", data={**CRON, "trigger.calendars": ["Gone", "Weekends"]})
    assert answer.status_code == 422
    page = soup(answer)
    assert "There is no calendar “Gone”" in error(page, "trigger.calendars")
    assert ticks(page) == {"Public holidays": False, "Weekends": True, "Gone (deleted)": True}


def test_what_is_wrong_with_the_schedule_stays_at_its_field_when_calendars_are_ticked(
    admin_client: PageClient, shared: None
) -> None:
    page = soup(
        admin_client.post("/jobs", data={**CRON, "trigger.crontab": "99 * * * *", "trigger.calendars": "Weekends"})
    )
    assert "Minute: 99" in error(page, "trigger.crontab")
    page = soup(
        admin_client.post("/jobs", data={**CRON, "trigger.jitter": "99999999", "trigger.calendars": "Weekends"})
    )
    assert "at most" in error(page, "trigger.jitter")
    page = soup(
        admin_client.post("/jobs", data={**CRON, "trigger.crontab": "0 9 * * sat", "trigger.calendars": "Weekends"})
    )
    assert "This never fires again." in error(page, "trigger.calendars")


def test_the_preview_strikes_out_what_calendars_leave_out(admin_client: PageClient, shared: None) -> None:
    page = preview(admin_client, {**CRON, "trigger.calendars": "Public holidays"})
    assert "not within “Public holidays” (1 day)" in text(page.select_one(".words"))
    assert "As fields:" in text(page.select_one(".echo"))
    rows = page.select(".due-times tbody tr")
    assert text(rows[1].s) == "2026-06-03 09:00"
    assert text(rows[1].select_one(".under")) == "left out: “Public holidays”"
    assert len([row for row in rows if row.s is None]) == 10
    assert preview(admin_client, CRON).select_one(".due-times s") is None


def test_the_jobs_page_strikes_them_out_as_well(admin_client: PageClient, shared: None) -> None:
    admin_client.post("/jobs", data={**CRON, "trigger.calendars": "Public holidays"})
    page = admin_client.page(f"/jobs/{only_job().id}")
    assert text(page.select_one(".due-times s")) == "2026-06-03 09:00"


# ---------------------------------------------------------------- several schedules


def test_several_schedules_are_lines_of_text(admin_client: PageClient) -> None:
    form = {**LINES, "trigger.excepts": "* 12 * * *", "trigger.mode": "any", "trigger.jitter": "20"}
    answer = admin_client.post("/jobs", data=form)
    assert answer.status_code == 303, text(soup(answer).select_one(".summary"))
    trigger = only_job().trigger
    assert [part["kind"] for part in trigger["any"]] == ["cron", "interval"]
    assert (trigger["any"][1]["minutes"], trigger["except"][0]["crontab"], trigger["jitter"]) == (90, "* 12 * * *", 20)


def test_all_of_them_at_once(admin_client: PageClient) -> None:
    form = {**LINES, "trigger.mode": "all", "trigger.parts": "every 2 hours from 2026-06-01T00:00\r\n* * * * sat,sun"}
    admin_client.post("/jobs", data=form)
    assert len(only_job().trigger["all"]) == 2
    assert only_job().next_due_at.isoformat() == "2026-06-05T22:00:00+00:00"  # type: ignore[union-attr]


PARTS: list[dict[str, Any]] = [
    {"kind": "cron", "crontab": "0 9 * * 1-5"},
    {"kind": "cron", "day": "last fri", "hour": 18},
    {"kind": "cron", "week": "1-10", "hour": 3},
    {"kind": "cron", "crontab": "30 2 * * *", "gap": "end"},
    {"kind": "cron", "crontab": "0 4 * * *", "timezone": "Asia/Tokyo"},
    {"kind": "interval", "hours": 1, "minutes": 30, "start_date": "2026-01-01T00:00:10"},
    {"kind": "interval", "days": 1, "start_date": "2026-01-01T00:00", "end_date": "2027-01-01T00:00"},
    {"kind": "date", "run_date": "2026-12-24T18:00"},
    {"kind": "date", "run_date": "2026-10-25T02:30", "fold": 1},
]


def test_whatever_was_combined_is_kept_line_by_line(admin_client: PageClient, make_job: Any) -> None:
    spec = {"kind": "combined", "any": PARTS, "except": PARTS[2:5], "timezone": "Europe/Berlin", "spread": 5}
    job = make_job(trigger=spec)
    before = dict(job.trigger)
    sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
    lines = sent["trigger.parts"][0].strip().split("\n")
    assert len(lines) == len(PARTS)
    assert lines[0] == "0 9 * * 1-5"
    assert lines[4] == "At 04:00 every day (Asia/Tokyo)"
    assert lines[5] == "every 1 hour 30 minutes from 2026-01-01T00:00:10"
    assert lines[8] == "2026-10-25T02:30+01:00"
    sent["trigger.parts"] = "\r\n".join(lines)
    sent["trigger.excepts"] = sent["trigger.excepts"][0].strip().replace("\n", "\r\n")
    admin_client.post(f"/jobs/{job.id}", data=sent)
    assert only_job().revision == 1
    changed = {**sent, "trigger.parts": "\r\n".join(["0 7 * * *", *lines[4:]])}
    admin_client.post(f"/jobs/{job.id}", data=changed)
    trigger = only_job().trigger
    assert trigger["any"][0]["crontab"] == "0 7 * * *"
    assert trigger["any"][1:] == before["any"][4:]
    assert (trigger["except"], trigger["spread"]) == (before["except"], 5)


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        ("every 90 min", {"minutes": "90"}),
        ("Every hour", {"hours": "1"}),
        ("every 1 h and 30 m", {"hours": "1", "minutes": "30"}),
        ("every 2 weeks, 3 days", {"weeks": "2", "days": "3"}),
        ("every 45s from 2026-06-01T12:00", {"seconds": "45", "start_date": "2026-06-01T12:00"}),
    ],
)
def test_an_interval_may_be_written_as_people_do(line: str, spec: dict[str, str]) -> None:
    (part,), _ = combined.parts_of(line, [], "UTC")
    assert part == {"kind": "interval", **spec}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("0 9 * * *\r\n\r\n99 * * * *", "Line 3: Minute: 99"),
        ("every fortnight", "Line 1: “every fortnight” is not understood"),
        ("every 1 h 2 h", "Line 1: “every 1 h 2 h” is not understood"),
        ("2026-12-24", "Line 1: “2026-12-24” is not an ISO 8601 time"),
        ("0 9 * * *\r\nevery 0 min", "Line 2: "),
        ("", "Give at least one schedule"),
        ("2020-01-01T00:00", "This never fires again"),
        ("0 9 * * *\r\n" * 11, "at most 10"),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(admin_client: PageClient, parts: str, message: str) -> None:
    answer = admin_client.post("/jobs", data={**LINES, "trigger.parts": parts})
    assert answer.status_code == 422
    assert message in error(soup(answer), "trigger.parts")
    shown = preview(admin_client, {**LINES, "trigger.parts": parts})
    assert message in text(shown.select_one(".hazard--note"))


def test_an_exception_that_is_wrong_is_said_at_the_exceptions(admin_client: PageClient) -> None:
    answer = admin_client.post("/jobs", data={**LINES, "trigger.excepts": "x"})
    assert "Line 1: " in error(soup(answer), "trigger.excepts")


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (CRON, "0 9 * * 1-5"),
        (INTERVAL, "every 15 minutes"),
        (DATE, "2026-12-24T18:00"),
        (
            {**CRON, "trigger.written": "fields", "trigger.crontab": "", "trigger.day": "last", "trigger.hour": "18"},
            "0 18 L * *",
        ),
    ],
)
def test_choosing_several_begins_with_the_one_that_stood_there(
    admin_client: PageClient, form: dict[str, str], line: str
) -> None:
    part = soup(admin_client.post("/jobs/form?of=schedule", data={**form, "trigger.kind": "combined"}, headers=HTMX))
    assert text(part.select_one('textarea[name="trigger.parts"]')) == line


def test_without_javascript_a_button_shows_the_fields(admin_client: PageClient, shared: None) -> None:
    answer = admin_client.post("/jobs", data={**CRON, "trigger.kind": "combined", "do": "refresh"})
    assert answer.status_code == 200
    page = soup(answer)
    assert text(page.select_one('textarea[name="trigger.parts"]')) == "0 9 * * 1-5"
    assert page.select_one(".due-times") is not None
