"""Shared calendars over the API, and jobs that name them."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.services import calendars
from webapp.services.calendar_content import definition
from webapp.store.models import Calendar

HOLIDAYS = {
    "name": "Public holidays",
    "days": ["2026-06-04", "2026-12-24/2026-12-25"],
    "yearly": ["01-01"],
    "weekdays": ["sun"],
    "hours": [{"from": "22:00", "to": "06:00", "weekdays": ["fri"]}],
    "windows": [{"start": "2026-07-01T10:00", "end": "2026-07-01T12:00"}],
    "timezone": "Europe/Berlin",
    "labels": {"2026-06-04": "Corpus Christi", "2026-07-01T10:00": "Move"},
}
PATH = "/calendars/Public%20holidays"
DAILY = {"trigger": "combined", "any": [{"kind": "cron", "crontab": "0 9 * * *"}], "timezone": "Europe/Berlin"}
FILE = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//x//EN\r
BEGIN:VEVENT\r
UID:1\r
DTSTART;VALUE=DATE:20261003\r
RRULE:FREQ=YEARLY;COUNT=2\r
SUMMARY:Unity Day\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture
def holidays(api: Any) -> Any:
    answer = api.post("/calendars", HOLIDAYS)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_calendar_is_created_and_shown_in_its_normal_form(api: Any, holidays: Any) -> None:
    shown = api.get(PATH).json
    assert shown == holidays
    assert shown["days"] == ["2026-06-04", "2026-12-24", "2026-12-25"]
    assert shown["windows"] == [{"start": "2026-07-01T08:00:00+00:00", "end": "2026-07-01T10:00:00+00:00"}]
    assert shown["labels"] == {"2026-06-04": "Corpus Christi", "2026-07-01T08:00:00+00:00": "Move"}
    assert (shown["revision"], shown["jobs"], shown["updated_by"]) == (1, [], "admin")
    assert shown["next"][0] == {"start": "2026-06-04T00:00:00+02:00", "end": "2026-06-05T00:00:00+02:00"}
    (row,) = api.get("/calendars").json
    assert row["holds"].startswith("“Public holidays” (3 days, 1 yearly day, Sundays")
    assert "days" not in row


def test_what_was_got_can_be_sent_back_and_makes_the_same_calendar_under_another_name(api: Any, holidays: Any) -> None:
    answer = api.patch(PATH, holidays)
    assert (answer.status_code, answer.json["revision"], answer.json["jobs_changed"]) == (200, 1, 0)
    copy = api.post("/calendars", {**holidays, "name": "Copy"}).json
    entries = ("days", "yearly", "weekdays", "hours", "windows", "timezone", "labels")
    assert {key: copy[key] for key in entries} == {key: holidays[key] for key in entries}


def test_only_the_keys_that_are_sent_change(api: Any, holidays: Any) -> None:
    changed = api.patch(PATH, {"days": ["2026-06-05"], "labels": {"2026-06-05": "Bridge"}}).json
    assert (changed["days"], changed["yearly"], changed["revision"]) == (["2026-06-05"], ["01-01"], 2)
    assert changed["labels"] == {"2026-06-05": "Bridge"}
    assert api.patch(PATH, {"timezone": None}).json["timezone"] is None


def test_a_job_names_calendars_and_comes_back_as_it_was_sent(api: Any, holidays: Any) -> None:
    own = {"name": "Stocktaking", "days": ["2026-06-03"]}
    added = api.add(minutes=None, **DAILY, calendars=["Public holidays", own])
    assert added.status_code == 200, added.text
    job = api.get("/jobs/job1").json
    assert job["calendars"] == ["Public holidays", own]
    assert job["next_run_time"] == "2026-06-02T09:00:00+02:00"
    assert api.patch("/jobs/job1", job).json == job
    assert api.post("/jobs", {**job, "id": "copy"}).json["calendars"] == job["calendars"]
    assert api.get(PATH).json["jobs"] == ["copy", "job1"]


def test_the_calendars_of_a_job_can_be_changed_alone(api: Any, holidays: Any) -> None:
    api.add(minutes=None, **DAILY)
    assert api.patch("/jobs/job1", {"calendars": ["Public holidays"]}).json["calendars"] == ["Public holidays"]
    assert api.get(PATH).json["jobs"] == ["job1"]
    assert "calendars" not in api.patch("/jobs/job1", {"calendars": None}).json
    assert api.get(PATH).json["jobs"] == []
    api.add(id="plain")
    refused = api.patch("/jobs/plain", {"calendars": ["Public holidays"]})
    assert refused.json["errors"] == {"calendars": ["A schedule of kind interval has no such setting."]}


def test_a_stored_schedule_tells_what_its_calendars_leave_out(api: Any, holidays: Any) -> None:
    api.add(minutes=None, **DAILY, calendars=["Public holidays"])
    told = api.get("/jobs/job1/schedule?count=3").json
    assert told["calendars"] == ["Public holidays"]
    assert told["dropped"][0]["because"] == ["Public holidays"]
    day = api.get("/jobs/job1/schedule?simulate=2026-06-04").json["simulated"]
    assert (day["count"], [row["dropped"] for row in day["rows"]]) == (0, [True])


def test_editing_a_calendar_moves_the_next_due_times_of_its_jobs(api: Any, holidays: Any) -> None:
    api.add(minutes=None, **DAILY, calendars=["Public holidays"])
    changed = api.patch(PATH, {"days": ["2026-06-02/2026-06-05"]}).json
    assert (changed["jobs_changed"], changed["notes"]) == (1, [])
    job = api.get("/jobs/job1").json
    assert (job["next_run_time"], job["revision"]) == ("2026-06-06T09:00:00+02:00", 2)


def test_renaming_a_calendar_renames_it_in_its_jobs(api: Any, holidays: Any) -> None:
    api.add(minutes=None, **DAILY, calendars=["Public holidays"])
    assert api.patch(PATH, {"name": "Feiertage"}).json["name"] == "Feiertage"
    assert api.get(PATH).status_code == 404
    assert api.get("/jobs/job1").json["calendars"] == ["Feiertage"]


def test_an_unknown_calendar_is_refused_where_it_stands(api: Any) -> None:
    answer = api.add(minutes=None, **DAILY, calendars=["Nowhere"])
    assert answer.status_code == 400
    assert answer.json["errors"] == {"calendars.0": ["There is no calendar “Nowhere”."]}
    assert api.post("/preview", {**DAILY, "calendars": ["Nowhere"]}).json["errors"] == answer.json["errors"]
    assert api.add(minutes=None, **DAILY, calendars=[7]).json["errors"] == {
        "calendars": ["This must be text or an object."]
    }


def test_a_preview_tells_what_calendars_leave_out(api: Any, holidays: Any) -> None:
    told = api.post("/preview", {**DAILY, "calendars": ["Public holidays"], "count": 3}).json
    assert told["next_run_times"] == [f"2026-06-0{day}T09:00:00+02:00" for day in (2, 3, 5)]
    assert told["dropped"] == [
        {
            "first": "2026-06-04T09:00:00+02:00",
            "last": "2026-06-04T09:00:00+02:00",
            "count": 1,
            "because": ["Public holidays"],
        }
    ]
    plain = api.post("/preview", {"trigger": "interval", "minutes": 1}).json
    assert plain["dropped"] == []


def test_a_calendar_in_use_is_not_deleted(api: Any, holidays: Any) -> None:
    api.add(minutes=None, **DAILY, calendars=["Public holidays"])
    answer = api.delete(PATH)
    assert answer.status_code == 409
    assert "is used by “job1”" in answer.json["error_message"]
    api.delete("/jobs/job1")
    assert api.delete(PATH).status_code == 204
    assert api.get(PATH).status_code == 404


def test_two_scripts_cannot_overwrite_each_other_unseen(api: Any, holidays: Any) -> None:
    assert api.get(PATH).headers["ETag"] == '"1"'
    assert api.patch(PATH, {"days": []}, headers={"If-Match": '"1"'}).headers["ETag"] == '"2"'
    assert api.patch(PATH, {"days": ["2026-06-09"]}, headers={"If-Match": '"1"'}).status_code == 412
    assert api.delete(PATH, headers={"If-Match": '"1"'}).status_code == 412
    assert api.patch(PATH, {"days": ["2026-06-09"], "revision": 1}).status_code == 409
    assert api.get(PATH).json["days"] == []


def test_a_file_fills_a_calendar_and_comes_out_again(api: Any) -> None:
    made = api.post("/calendars/Feiertage/import", FILE)
    assert made.status_code == 200, made.text
    assert (made.json["days"], made.json["labels"]) == (
        ["2026-10-03", "2027-10-03"],
        {"2026-10-03": "Unity Day", "2027-10-03": "Unity Day"},
    )
    out = api.get("/calendars/Feiertage/ics")
    assert (out.status_code, out.mimetype) == (200, "text/calendar")
    again = api.post("/calendars/Again/import", out.data).json
    assert (again["days"], again["labels"]) == (made.json["days"], made.json["labels"])


def test_an_import_replaces_or_adds(api: Any, holidays: Any) -> None:
    added = api.post(f"{PATH}/import?add=1", FILE.encode()).json
    assert added["days"] == ["2026-06-04", "2026-10-03", "2026-12-24", "2026-12-25", "2027-10-03"]
    assert added["timezone"] == "Europe/Berlin"
    assert added["labels"]["2026-06-04"] == "Corpus Christi"
    replaced = api.post(f"{PATH}/import", {"ics": FILE}).json
    assert (replaced["days"], replaced["yearly"]) == (["2026-10-03", "2027-10-03"], [])
    assert replaced["revision"] == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ics": "hello"}, "ics"),
        ({"ics": FILE.replace("YEARLY", "SOMETIMES")}, "ics"),
        ({"ics": FILE, "timezone": "Mars/Olympus"}, "timezone"),
        ({"text": FILE}, "text"),
        (b"BEGIN:VCALENDAR\r\nrubbish", "ics"),
    ],
)
def test_what_cannot_be_imported_is_said_and_changes_nothing(api: Any, body: Any, field: str) -> None:
    answer = api.post("/calendars/x/import", body)
    assert answer.status_code == 400
    assert field in answer.json["errors"]
    assert api.get("/calendars").json == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x", "days": ["soon"]}, "days"),
        ({"name": "x", "days": "2026-12-25"}, "days"),
        ({"name": "x", "hours": [{"from": "25:00", "to": "06:00"}]}, "hours"),
        ({"name": "x", "weekdays": ["7"]}, "weekdays"),
        ({"name": "x", "day": ["2026-12-25"]}, "day"),
        ({"name": "a/b"}, "name"),
        ({"name": "x", "labels": {"2026-12-25": 5}}, "labels"),
    ],
)
def test_what_cannot_be_a_calendar_is_refused_by_key(api: Any, body: Any, field: str) -> None:
    answer = api.post("/calendars", body)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [field]


def test_names_are_taken_once_and_may_be_in_any_script(api: Any, holidays: Any) -> None:
    assert api.post("/calendars", {"name": "Public holidays"}).status_code == 409
    assert api.post("/calendars", {"name": "休日 & Feiertage"}).status_code == 200
    assert api.get("/calendars/休日 & Feiertage").json["name"] == "休日 & Feiertage"


@pytest.mark.parametrize("name", ["import", "ics", "calendars"])
def test_a_calendar_may_be_called_like_a_part_of_an_address(api: Any, name: str) -> None:
    api.post("/calendars", {"name": name})
    assert api.get(f"/calendars/{name}").json["name"] == name
    assert api.post(f"/calendars/{name}/import", FILE).json["revision"] == 2


def test_a_stored_calendar_of_the_pages_is_the_same_here(api: Any, holidays: Any) -> None:
    stored: Calendar = calendars.get("Public holidays")
    assert definition(stored) == {key: holidays[key] for key in definition(stored)}
