"""The pages of shared calendars: list, one, form, preview, iCalendar in and out, who may do what."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from tests.conftest import CODE, NOW
from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.extensions import db
from webapp.services import calendars, jobs
from webapp.services.calendar_content import definition
from webapp.store.models import Calendar, Job

RAW: dict[str, Any] = {
    "name": "Public holidays",
    "days": ["2026-06-04", "2026-12-23/2026-12-24", "2026-12-31"],
    "yearly": ["12-25", "01-01"],
    "weekdays": ["sun"],
    "hours": [{"from": "22:00", "to": "06:00", "weekdays": ["fri", "sat"]}, {"from": "12:00", "to": "13:00"}],
    "windows": [
        {"start": "2026-07-01T10:00", "end": "2026-07-01T12:00"},
        {"start": "2026-10-25T02:30+01:00", "end": "2026-10-25T04:00:30+01:00"},
    ],
    "timezone": "Europe/Berlin",
    "labels": {
        "2026-06-04": "Corpus Christi", "2026-12-23": "Shutdown", "2026-12-24": "Shutdown", "12-25": "Christmas Day",
        "2026-07-01T10:00": "Data centre move",
    },
}  # fmt: skip
DAILY = {"kind": "combined", "any": [{"kind": "cron", "crontab": "0 9 * * *"}], "timezone": "Europe/Berlin"}
FILE = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nX-WR-CALNAME:Feiertage\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    b"DTSTART;VALUE=DATE:20261003\r\nSUMMARY:Unity Day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
def holidays(app: Any) -> Calendar:
    return calendars.create(RAW, actor=CODE, now=NOW)


@pytest.fixture
def daily(holidays: Calendar, make_job: Any) -> Job:
    job: Job = make_job(id="report", name="Morning report", trigger={**DAILY, "calendars": ["Public holidays"]})
    return job


def stored() -> Calendar:
    db.session.rollback()
    db.session.expire_all()
    return db.session.query(Calendar).one()


def values(page: Any) -> dict[str, Any]:
    """What a browser would send back if the form were submitted as it stands."""
    sent: dict[str, Any] = {}
    for control in page.select("#calendar-form input[name], #calendar-form textarea[name]"):
        if control.get("type") == "checkbox" and not control.has_attr("checked"):
            continue
        value = control.text.lstrip("\r\n") if control.name == "textarea" else control.get("value", "")
        sent.setdefault(control["name"], []).append(value.replace("\n", "\r\n"))
    return sent


def error(page: Any, name: str) -> str:
    return text(page.find(id=f"{name}-err"))


# ---------------------------------------------------------------- list and page


def test_the_list_tells_what_each_holds_and_excludes_next(admin_client: PageClient, daily: Job) -> None:
    calendars.create({"name": "Empty"}, actor=CODE, now=NOW)
    calendars.create({"name": "Now", "days": ["2026-06-01"], "timezone": "UTC"}, actor=CODE, now=NOW)
    page = admin_client.page("/calendars")
    table = [[text(cell) for cell in row.select("td, th")] for row in page.select("tbody tr")]
    assert [row[0] for row in table] == ["Empty", "Now", "Public holidays"]
    assert [row[2] for row in table] == ["nothing", "Mon 1 Jun", "Tue 2 Jun 12:00 – 13:00"]
    assert [row[3] for row in table] == ["", "now", "in 22 h"]
    assert [row[4] for row in table] == ["–", "–", "1"]
    assert page.select_one("nav a[aria-current]")["href"] == "/jobs"  # type: ignore[index]


def test_without_any_the_list_says_what_they_are_for(admin_client: PageClient) -> None:
    page = admin_client.page("/calendars")
    assert "No calendars yet" in text(page.select_one(".empty"))
    assert [link["href"] for link in page.select(".empty .actions a")] == ["/calendars/new", "/calendars/import"]


def test_the_page_tells_what_is_excluded_what_it_holds_and_who_uses_it(
    admin_client: PageClient, daily: Job, holidays: Calendar
) -> None:
    page = admin_client.page(f"/calendars/{holidays.id}")
    rows = [text(row) for row in page.select("[aria-labelledby=next-title] tbody tr")]
    assert "Thu 4 Jun Corpus Christi Corpus Christi in 2 d 10 h" in rows
    facts = {text(each.dt): text(each.dd) for each in page.select("[aria-labelledby=holds-title] .facts > div")}
    assert facts["Days"].startswith("Thu 4 Jun 2026, Corpus Christi Wed 23 Dec 2026, Shutdown")
    assert facts["Each year"] == "1 January 25 December, Christmas Day"
    assert facts["Hours"] == "22:00 – 06:00 on Fridays and Saturdays 12:00 – 13:00 every day"
    assert facts["Windows"].startswith("Wed 1 Jul 2026 10:00 – 12:00, Data centre move")
    assert text(page.select_one("[aria-labelledby=jobs-title] tbody")) == "Morning report Tue 2 Jun 07:00"
    assert "those of Europe/Berlin" in text(page.select_one(".sub"))


def test_a_calendar_that_runs_out_warns(admin_client: PageClient, app: Any) -> None:
    for name, day in (("Soon", "2026-07-01"), ("Over", "2026-05-01"), ("Later", "2026-12-25")):
        calendars.create({"name": name, "days": [day]}, actor=CODE, now=NOW)
    warnings = {}
    for calendar in calendars.every():
        notice = admin_client.page(f"/calendars/{calendar.id}").select_one(".notice--warn")
        warnings[calendar.name] = text(notice) if notice else ""
    assert "is Wed 1 Jul 2026" in warnings["Soon"]
    assert "was Fri 1 May 2026" in warnings["Over"]
    assert warnings["Later"] == ""


def test_a_calendar_without_end_is_no_endless_table(admin_client: PageClient, app: Any) -> None:
    every_day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    made = calendars.create({"name": "Always", "weekdays": every_day}, actor=CODE, now=NOW)
    page = admin_client.page(f"/calendars/{made.id}")
    assert "without end" in text(page.select_one("[aria-labelledby=next-title]"))


def test_an_unknown_calendar_is_not_found(admin_client: PageClient) -> None:
    assert admin_client.get("/calendars/7").status_code == 404


# ---------------------------------------------------------------- form


def test_a_calendar_is_made_by_a_plain_post(admin_client: PageClient) -> None:
    form = {
        "name": "Freezes",
        "days": "2026-06-04 Corpus Christi\r\n\r\n2026-12-24/2026-12-26  Christmas ",
        "yearly": "05-01",
        "weekdays": ["sat", "sun"],
        "hours": "22:00-06:00 Fri, saturday\r\n12:00 to 13:00",
        "windows": "2026-07-01T22:00/2026-07-02T04:00 Data centre move",
        "timezone": "Europe/Berlin",
    }
    answer = admin_client.post("/calendars", data=form)
    made = stored()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/calendars/{made.id}")
    assert made.content == {
        "name": "Freezes",
        "days": ["2026-06-04", "2026-12-24", "2026-12-25", "2026-12-26"],
        "yearly": ["05-01"],
        "weekdays": ["sat", "sun"],
        "hours": [{"from": "22:00", "to": "06:00", "weekdays": ["fri", "sat"]}, {"from": "12:00", "to": "13:00"}],
        "windows": [{"start": "2026-07-01T20:00:00+00:00", "end": "2026-07-02T02:00:00+00:00"}],
        "timezone": "Europe/Berlin",
    }
    assert made.labels == {
        "2026-06-04": "Corpus Christi", "2026-12-24": "Christmas", "2026-12-25": "Christmas", "2026-12-26": "Christmas",
        "2026-07-01T20:00:00+00:00": "Data centre move",
    }  # fmt: skip
    assert made.created_by == "admin"


def test_saving_what_the_form_shows_changes_nothing(admin_client: PageClient, holidays: Calendar, daily: Job) -> None:
    before = definition(holidays)
    sent = values(admin_client.page(f"/calendars/{holidays.id}/edit"))
    assert sent["days"] == ["2026-06-04 Corpus Christi\r\n2026-12-23/2026-12-24 Shutdown\r\n2026-12-31"]
    assert "2026-10-25T02:30+01:00/2026-10-25T04:00:30" in sent["windows"][0]  # the second of two
    answer = admin_client.post(f"/calendars/{holidays.id}", data=sent)
    assert answer.status_code == 303
    assert (definition(stored()), stored().revision, jobs.get("report").revision) == (before, 1, 1)


def test_saving_moves_the_jobs_and_says_how_many(admin_client: PageClient, holidays: Calendar, daily: Job) -> None:
    sent = values(admin_client.page(f"/calendars/{holidays.id}/edit"))
    answer = admin_client.post(
        f"/calendars/{holidays.id}", data={**sent, "days": "2026-06-02/2026-06-05 Shutdown"}, headers=HTMX
    )
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"/calendars/{holidays.id}")
    assert "1 job now goes by it." in text(admin_client.page("/calendars").select_one("#notices"))
    assert stored().revision == 2
    assert jobs.get("report").next_due_at == datetime(2026, 6, 6, 7, tzinfo=UTC)


def test_a_job_that_loses_its_last_due_time_is_named(
    admin_client: PageClient, holidays: Calendar, make_job: Any
) -> None:
    once = {**DAILY, "any": [{"kind": "date", "run_date": "2026-06-02T09:00"}], "calendars": ["Public holidays"]}
    make_job(id="once", name="Just once", trigger=once)
    sent = values(admin_client.page(f"/calendars/{holidays.id}/edit"))
    admin_client.post(f"/calendars/{holidays.id}", data={**sent, "days": "2026-06-02"})
    page = admin_client.page(f"/calendars/{holidays.id}")
    assert "No due time is left for 1 job: “Just once”." in text(page.select_one("#notices .notice--warn"))


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": ""}, "name", "Give the calendar a name"),
        ({"name": "a/b"}, "name", "none of /"),
        ({"days": "2026-12-25\r\nsoon Party"}, "days", "“soon” is not a day"),
        ({"days": "2026-12-25/2026-12-24"}, "days", "must be in order"),
        ({"yearly": "13-01"}, "yearly", "“13-01” is not a month and day"),
        ({"hours": "evening"}, "hours", "“evening” is not a time"),
        ({"hours": "22:00-06:00 someday"}, "hours", "“someday” is not one of mon"),
        ({"windows": "2026-07-01T22:00"}, "windows", "not an ISO 8601 time"),
        ({"windows": "2026-07-01T22:00/2026-07-01T21:00"}, "windows", "later than the start"),
        ({"timezone": "Mars/Olympus"}, "timezone", "IANA"),
        ({"weekdays": ["someday"]}, "weekdays", "not one of mon"),
    ],
)
def test_what_is_wrong_comes_back_at_its_field_with_what_was_typed(
    admin_client: PageClient, changes: dict[str, Any], field: str, message: str
) -> None:
    form = {"name": "X", "days": "2026-06-04 Corpus Christi", **changes}
    answer = admin_client.post("/calendars", data=form)
    assert answer.status_code == 422
    page = soup(answer)
    assert message in error(page, field)
    assert page.select_one(f'.summary a[href="#{field}"]') is not None
    if field == "yearly":
        assert text(page.select_one("#days")) == "2026-06-04 Corpus Christi"
    assert db.session.query(Calendar).count() == 0


def test_a_name_that_is_taken_is_said_at_the_name(admin_client: PageClient, holidays: Calendar) -> None:
    answer = admin_client.post("/calendars", data={"name": "Public holidays"})
    assert answer.status_code == 409
    assert "already a calendar" in error(soup(answer), "name")
    assert admin_client.post("/calendars", data={"name": "Public holidays"}, headers=HTMX).status_code == 422


def test_an_edit_by_somebody_else_meanwhile_is_not_overwritten(admin_client: PageClient, holidays: Calendar) -> None:
    sent = values(admin_client.page(f"/calendars/{holidays.id}/edit"))
    calendars.patch("Public holidays", {"days": []}, actor=CODE, now=NOW)
    answer = admin_client.post(f"/calendars/{holidays.id}", data={**sent, "days": "2026-06-09"})
    assert answer.status_code == 409
    assert "test saved revision 2" in text(soup(answer).select_one(".summary"))
    assert "days" not in stored().content


class TestPreview:
    def ask(self, client: PageClient, form: dict[str, Any], url: str = "/calendars/preview") -> Any:
        answer = client.post(url, data=form, headers=HTMX)
        assert answer.status_code == 200
        return soup(answer)

    def test_it_tells_what_is_typed(self, admin_client: PageClient) -> None:
        page = self.ask(admin_client, {"days": "2026-06-04 Corpus Christi", "weekdays": ["sun"], "timezone": "UTC"})
        assert text(page.select_one(".words")) == "1 day and Sundays"
        assert text(page.select_one("tbody tr")) == "Thu 4 Jun Corpus Christi in 2 d 12 h"

    @pytest.mark.parametrize("line", ["2026-", "x", "2026-12-25/", "2026-12-25/2026-12-01"])
    def test_half_typed_input_is_no_error_page(self, admin_client: PageClient, line: str) -> None:
        page = self.ask(admin_client, {"days": line})
        assert text(page.select_one(".words")) == "Not a calendar yet"
        assert page.select(".hazard--note")

    def test_it_tells_what_saving_would_do_to_the_jobs(
        self, admin_client: PageClient, holidays: Calendar, daily: Job, make_job: Any
    ) -> None:
        make_job(id="b", name="Paused", trigger={**DAILY, "calendars": ["Public holidays"]})
        jobs.pause("b", actor=CODE, now=NOW)
        url = f"/calendars/preview?calendar_id={holidays.id}"
        page = self.ask(admin_client, {"days": "2026-06-02/2026-06-03"}, url)
        changed, paused = page.select("table")[-1].select("tbody tr")
        assert text(changed) == "Morning report Tue 2 Jun 07:00 Thu 4 Jun 07:00"
        assert text(changed.s) == "Tue 2 Jun 07:00"
        assert paused.s is None
        same = self.ask(admin_client, {"days": "2026-06-04"}, url)
        assert same.select("table")[-1].s is None
        never = self.ask(admin_client, {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, url)
        assert "never again" in text(never.select("table")[-1])

    def test_the_first_page_has_it_too(self, admin_client: PageClient, holidays: Calendar) -> None:
        page = admin_client.page(f"/calendars/{holidays.id}/edit")
        assert "Corpus Christi" in text(page.select_one("#preview"))


# ---------------------------------------------------------------- iCalendar


def upload(client: PageClient, url: str, data: bytes = FILE, **form: str) -> Any:
    return client.post(url, data={"ics": (BytesIO(data), "x.ics"), **form}, content_type="multipart/form-data")


def test_a_file_makes_a_calendar_under_its_own_name(admin_client: PageClient) -> None:
    answer = upload(admin_client, "/calendars/import")
    made = stored()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/calendars/{made.id}")
    assert (made.name, made.content["days"], made.labels) == ("Feiertage", ["2026-10-03"], {"2026-10-03": "Unity Day"})
    assert upload(admin_client, "/calendars/import").status_code == 409
    assert upload(admin_client, "/calendars/import", name="Other").status_code == 303


@pytest.mark.parametrize(("mode", "days"), [("add", 5), ("replace", 1)])
def test_a_file_is_added_or_replaces(admin_client: PageClient, holidays: Calendar, mode: str, days: int) -> None:
    answer = upload(admin_client, f"/calendars/{holidays.id}/import", mode=mode)
    assert answer.status_code == 303
    assert len(stored().content["days"]) == days
    assert stored().name == "Public holidays"


def test_notes_of_an_import_are_shown(admin_client: PageClient) -> None:
    endless = FILE.replace(b"SUMMARY", b"RRULE:FREQ=MONTHLY\r\nSUMMARY")
    upload(admin_client, "/calendars/import", endless)
    notices = text(admin_client.page("/calendars").select_one("#notices"))
    assert "Feiertage is imported." in notices
    assert "written out up to 1 June 2036: 1 event." in notices


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        (b"", "ics", "Choose a file"),
        (b"hello", "ics", "not an iCalendar file"),
        (FILE.replace(b"20261003", b"soon"), "ics", "Unity Day"),
        (FILE.replace(b"X-WR-CALNAME:Feiertage\r\n", b""), "name", "Give the calendar a name"),
    ],
)
def test_a_file_that_cannot_be_taken_is_said_at_its_field(
    admin_client: PageClient, data: bytes, field: str, message: str
) -> None:
    answer = upload(admin_client, "/calendars/import", data)
    assert answer.status_code == 422
    assert message in error(soup(answer), field)
    assert db.session.query(Calendar).count() == 0


def test_a_calendar_is_exported_as_a_file_that_makes_the_same(admin_client: PageClient, holidays: Calendar) -> None:
    answer = admin_client.get(f"/calendars/{holidays.id}/ics")
    assert answer.mimetype == "text/calendar"
    assert 'filename="Public holidays.ics"' in answer.headers["Content-Disposition"]
    before = definition(holidays)
    answer = upload(admin_client, "/calendars/import", answer.data, name="Copy", timezone="Europe/Berlin")
    assert answer.status_code == 303
    db.session.rollback()
    assert definition(calendars.get("Copy")) == {**before, "name": "Copy"}


def test_a_file_with_an_odd_name_can_be_downloaded(admin_client: PageClient, app: Any) -> None:
    made = calendars.create({"name": 'Fé“ri"és; x'}, actor=CODE, now=NOW)
    answer = admin_client.get(f"/calendars/{made.id}/ics")
    assert answer.status_code == 200
    assert "filename*=UTF-8''" in answer.headers["Content-Disposition"]


# ---------------------------------------------------------------- deleting, restoring, roles


def test_a_calendar_in_use_offers_its_jobs_instead_of_deletion(
    admin_client: PageClient, holidays: Calendar, daily: Job
) -> None:
    page = admin_client.page(f"/calendars/{holidays.id}/delete")
    assert text(page.h1) == "This calendar is in use"
    assert [link["href"] for link in page.select("main li a")] == ["/jobs/report/edit"]
    assert page.select_one("#confirm") is None
    answer = admin_client.post(f"/calendars/{holidays.id}/delete")
    assert answer.status_code == 303
    assert stored().name == "Public holidays"


def test_an_unused_calendar_is_deleted_after_a_question(admin_client: PageClient, holidays: Calendar) -> None:
    page = admin_client.page(f"/calendars/{holidays.id}/delete")
    assert text(page.h1) == "Delete this calendar?"
    assert admin_client.post(f"/calendars/{holidays.id}/delete").headers["Location"] == "/calendars"
    db.session.rollback()
    assert db.session.query(Calendar).count() == 0


def test_an_earlier_revision_is_restored(admin_client: PageClient, holidays: Calendar) -> None:
    calendars.patch("Public holidays", {"days": []}, actor=CODE, now=NOW)
    page = admin_client.page(f"/calendars/{holidays.id}")
    assert [text(row.th) for row in page.select("[aria-labelledby=revisions-title] tbody tr")] == ["2", "1"]
    assert page.select_one("#restore-2") is None
    answer = admin_client.post(page.select_one("#restore-1").find_parent("form")["action"])  # type: ignore[union-attr]
    assert answer.status_code == 303
    assert (stored().revision, stored().content["days"][0]) == (3, "2026-06-04")


def test_the_revision_of_a_job_says_which_content_came(
    admin_client: PageClient, holidays: Calendar, daily: Job
) -> None:
    calendars.patch("Public holidays", {"days": []}, actor=CODE, now=NOW)
    page = admin_client.page("/jobs/report/revisions/2")
    assert "The calendar “Public holidays” was edited (its revision 2)." in text(page.select_one(".sub"))
    assert (
        text(page.select_one(".diff tbody")) == "Calendar “Public holidays” as of its revision 1 as of its revision 2"
    )


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("operator", False), ("editor", True)])
def test_everybody_sees_calendars_and_editors_change_them(
    client: PageClient, login_as: Any, holidays: Calendar, role: str, may: bool
) -> None:
    login_as(client, role)
    for url in ("/calendars", f"/calendars/{holidays.id}", f"/calendars/{holidays.id}/ics"):
        assert client.get(url).status_code == 200
    for url in ("/calendars/new", f"/calendars/{holidays.id}/edit", f"/calendars/{holidays.id}/import"):
        assert client.get(url).status_code == (200 if may else 403)
    page = client.page(f"/calendars/{holidays.id}")
    assert [each.get("id") for each in page.select(".page-head .actions .btn")] == (
        ["edit", "import", "export", "delete"] if may else ["export"]
    )
    assert (client.post(f"/calendars/{holidays.id}/delete").status_code == 303) is may
