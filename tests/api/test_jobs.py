"""What the API adds to jobs: revisions that guard edits, pages and filters of the list, more kinds of schedules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from webapp.api.schemas import JobFields
from webapp.extensions import db
from webapp.services import jobs
from webapp.services.definitions import FIELDS
from webapp.store.models import Job


def test_a_job_carries_its_revision_as_etag(api: Any) -> None:
    assert api.add().headers["ETag"] == '"1"'
    assert api.get("/jobs/job1").headers["ETag"] == '"1"'
    assert api.patch("/jobs/job1", {"name": "New"}).headers["ETag"] == '"2"'
    assert api.get("/jobs").headers.get("ETag") is None


def test_an_edit_of_an_older_revision_is_refused(api: Any) -> None:
    api.add()
    api.patch("/jobs/job1", {"name": "Theirs"})
    stale = {"If-Match": '"1"'}
    assert api.patch("/jobs/job1", {"name": "Mine"}, headers=stale).status_code == 412
    assert api.delete("/jobs/job1", headers=stale).status_code == 412
    assert api.get("/jobs/job1").json["name"] == "Theirs"
    assert api.patch("/jobs/job1", {"name": "Mine"}, headers={"If-Match": 'W/"2"'}).status_code == 412
    for good in ('"2"', "*", '"1", "3", "4"'):
        assert api.patch("/jobs/job1", {"name": good}, headers={"If-Match": good}).status_code == 200
    assert api.delete("/jobs/job1", headers={"If-Match": '"5"'}).status_code == 204


def test_the_revision_in_a_body_guards_an_edit_too(api: Any) -> None:
    mine = api.add().json
    api.patch("/jobs/job1", {"name": "Theirs"})
    answer = api.patch("/jobs/job1", {**mine, "description": "Mine"})
    assert answer.status_code == 409
    assert "revision 2" in answer.json["error_message"]


def test_an_edit_that_meets_another_one_is_made_on_top_of_it(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both change other keys, at the same moment, without naming a revision: neither is lost."""
    api.add()
    patch = jobs.patch

    def overtaken(*args: Any, **kwargs: Any) -> Job:
        monkeypatch.setattr(jobs, "patch", patch)
        patch("job1", {"name": "Theirs"}, actor=kwargs["actor"], now=kwargs["now"])
        return patch(*args, **kwargs)

    monkeypatch.setattr(jobs, "patch", overtaken)
    job = api.patch("/jobs/job1", {"description": "Mine"}).json
    assert (job["name"], job["description"], job["revision"]) == ("Theirs", "Mine", 3)


def test_an_edit_that_meets_another_one_is_refused_if_it_named_its_revision(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.add()
    patch = jobs.patch

    def overtaken(*args: Any, **kwargs: Any) -> Job:
        monkeypatch.setattr(jobs, "patch", patch)
        patch("job1", {"name": "Theirs"}, actor=kwargs["actor"], now=kwargs["now"])
        return patch(*args, **kwargs)

    monkeypatch.setattr(jobs, "patch", overtaken)
    assert api.patch("/jobs/job1", {"name": "Mine"}, headers={"If-Match": '"1"'}).status_code == 412
    assert api.get("/jobs/job1").json["name"] == "Theirs"


def test_the_list_is_whole_unless_a_limit_is_given(api: Any, make_job: Callable[..., Job]) -> None:
    for number in range(60):
        make_job(id=f"j{number:02}")
    assert len(api.get("/jobs").json) == 60
    seen, path = [], "/jobs?limit=25&sort=name&tag="
    for _ in range(5):
        answer = api.get(path)
        assert answer.headers["X-Total-Count"] == "60"
        seen += [job["id"] for job in answer.json]
        link = answer.headers.get("Link")
        if link is None:
            break
        path = link[1 : link.index(">")].removeprefix("/scheduler")
    assert seen == [f"j{number:02}" for number in range(60)]


def test_the_list_is_filtered(api: Any) -> None:
    api.add(id="a", tags=["red"])
    api.add(id="b", func="demo.echo", minutes=5)
    api.post("/jobs/b/pause")
    for query, ids in (("tag=red", ["a"]), ("state=paused", ["b"]), ("task=demo.echo", ["b"]), ("q=demo", ["b"])):
        assert [job["id"] for job in api.get(f"/jobs?{query}").json] == ids
    assert [job["id"] for job in api.get("/jobs?sort=-name").json] == ["b", "a"]
    assert api.get("/jobs?state=dancing").status_code == 400
    assert api.get("/jobs?_=1780000000").status_code == 200


def test_a_combined_schedule_goes_both_ways(api: Any) -> None:
    body = {
        "trigger": "combined",
        "any": [{"kind": "cron", "crontab": "0 9 * * *"}, {"kind": "cron", "hour": "17"}],
        "except": [{"kind": "cron", "crontab": "0 9 * * 0"}],
        "timezone": "Europe/Berlin",
    }
    added = api.add(minutes=None, **body)
    assert added.status_code == 200, added.text
    job = api.get("/jobs/job1").json
    assert job["any"][0]["crontab"] == "0 9 * * *"
    assert api.patch("/jobs/job1", job).json == job
    assert api.post("/jobs", {**job, "id": "copy"}).json["next_run_time"] == job["next_run_time"]
    wrong = api.add(id="x", minutes=None, trigger="combined", any=[{"kind": "interval", "minutes": -1}])
    assert wrong.status_code == 400
    assert list(wrong.json["errors"]) == ["any.0.minutes"]


def test_a_paused_job_is_copied_paused(api: Any) -> None:
    api.add()
    api.post("/jobs/job1/pause")
    job = api.get("/jobs/job1").json
    copy = api.post("/jobs", {**job, "id": "copy"}).json
    assert (copy["state"], copy["next_run_time"]) == ("paused", None)
    assert api.patch("/jobs/job1", job).json == job


def test_a_job_that_is_broken_is_shown_with_its_reason(api: Any) -> None:
    api.add()
    job = db.session.get(Job, "job1")
    assert job is not None
    job.state, job.state_reason, job.next_due_at = "quarantined", "Its task is gone.", None
    job.trigger, job.timezone = {"kind": "rubbish"}, "Mars/Olympus"
    db.session.commit()
    (shown,) = api.get("/jobs").json
    assert (shown["state"], shown["state_reason"], shown["trigger"]) == ("quarantined", "Its task is gone.", "rubbish")


def test_every_field_of_a_definition_goes_both_ways(api: Any) -> None:
    """A field that is added to jobs and forgotten here would be lost when a client copies a job."""
    api.add()
    shown = set(api.get("/jobs/job1").json)
    renamed = {"misfire_grace_s": "misfire_grace_time"}
    for field in set(FIELDS) - {"calendar_pins"}:  # these follow from the schedule and the calendars
        key = renamed.get(field, field)
        assert key in shown
        assert key in JobFields.model_fields or key == "id"


def test_what_follows_a_run_is_taken_and_shown(api: Any) -> None:
    api.add(id="after")
    rules = {
        "chains": [{"job_id": "after", "on": "failure"}],
        "group": "disk",
        "auto_pause_after": 3,
        "retry": {"max_attempts": 2, "delay_s": 1.0, "backoff": "fixed", "only_on": ["ConnectionError"]},
    }
    added = api.add(**rules)
    assert added.status_code == 200, added.text
    job = api.get("/jobs/job1").json
    assert {key: job[key] for key in rules} == rules
    assert api.patch("/jobs/job1", job).json == job
    assert api.add(id="x", chains=[{"job_id": "none"}]).status_code == 400
    assert list(api.add(id="x", chains=[{"id": "after"}]).json["errors"]) == ["chains"]


def test_a_job_is_paused_until_a_moment(api: Any, clock: Any) -> None:
    api.add(timezone="Europe/Berlin")
    job = api.post("/jobs/job1/pause", {"until": "2026-06-02T09:00"}).json
    assert (job["state"], job["resume_at"]) == ("paused", "2026-06-02T09:00:00+02:00")
    assert api.patch("/jobs/job1", job).json == job
    copy = api.post("/jobs", {**job, "id": "copy"}).json
    assert (copy["state"], copy["resume_at"]) == ("paused", "2026-06-02T09:00:00+02:00")
    for wrong in ("soon", "2020-01-01T00:00Z", "9999-12-31T23:59"):
        answer = api.post("/jobs/job1/pause", {"until": wrong})
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["until"])
    clock.shift(86_400)
    assert api.post("/jobs", {**job, "id": "late"}).json["state"] == "active"


def test_retries_are_a_number_or_a_rule(api: Any) -> None:
    job = api.add(retries=3).json
    assert (job["retries"], job["retry"]["max_attempts"]) == (3, 4)
    job = api.patch("/jobs/job1", {"retry": {"max_attempts": 2, "delay_s": 5, "backoff": "fixed"}}).json
    assert (job["retries"], job["retry"]) == (1, {"max_attempts": 2, "delay_s": 5.0, "backoff": "fixed"})
    job = api.patch("/jobs/job1", {"retries": 4}).json
    assert job["retry"] == {"max_attempts": 5, "delay_s": 5.0, "backoff": "fixed"}
    assert api.patch("/jobs/job1", {"retries": 0}).json["retry"] == {}


def test_a_key_is_taken_away_with_null(api: Any) -> None:
    api.add(name="Nightly", end_date="2027-01-01T00:00:00", timeout_s=5, description="x", misfire_grace_time=60)
    job = api.patch(
        "/jobs/job1",
        {"end_date": None, "timeout_s": None, "description": None, "misfire_grace_time": None, "name": None},
    ).json
    assert job["name"] == "job1"
    assert "end_date" not in job
    assert (job["timeout_s"], job["description"], job["misfire_grace_time"]) == (None, "", None)


def test_names_are_shown_as_they_were_given(api: Any) -> None:
    for number, name in enumerate(['<b>"x"</b>', "日本語 🔔", "=1+1", "' OR 1=1 --"]):
        assert api.add(id=f"j{number}", name=name, description=name).json["name"] == name
        assert api.get(f"/jobs/j{number}").json["description"] == name


def test_tasks_are_listed_with_their_parameters(api: Any) -> None:
    tasks = {task["key"]: task for task in api.get("/tasks").json["tasks"]}
    notify = tasks["sample.notify"]
    assert notify["func"].endswith(":notify")
    assert notify["enabled"] is True
    parameters = {parameter["name"]: parameter for parameter in notify["parameters"]}
    assert (parameters["channel"]["required"], parameters["channel"]["secret"]) == (True, False)
    assert parameters["password"]["secret"] is True
    assert parameters["note"]["default"] == ""
    assert tasks["shell.run"]["enabled"] is False
    assert tasks["shell.run"]["disabled_reason"]


def test_a_schedule_is_previewed_and_not_stored(api: Any) -> None:
    answer = api.post(
        "/preview", {"trigger": "cron", "crontab": "30 2 * * *", "timezone": "America/New_York", "count": 3}
    )
    assert answer.status_code == 200, answer.text
    body = answer.json
    assert body["next_run_times"] == [f"2026-06-0{day}T02:30:00-04:00" for day in (2, 3, 4)]
    assert body["words"]
    assert (body["trigger"], body["crontab"], body["timezone"]) == ("cron", "30 2 * * *", "America/New_York")
    hazard = next(hazard for hazard in body["hazards"] if hazard["code"] == "clock_change")
    assert hazard["date"] == "2026-11-01" or hazard["date"] == "2027-03-14"
    assert api.get("/jobs").json == []


def test_a_day_of_a_schedule_is_simulated_with_what_the_clock_change_does(api: Any) -> None:
    body = {"trigger": "cron", "crontab": "30 0-4 * * *", "timezone": "Europe/Berlin"}
    day = api.post("/preview", {**body, "simulate": "2027-03-28"}).json["simulated"]
    assert (day["date"], day["hours"], day["count"]) == ("2027-03-28", 23, 4)
    assert [row["local"][11:16] for row in day["rows"] if not row["skipped"]] == ["00:30", "01:30", "03:30", "04:30"]
    assert sum(row["skipped"] for row in day["rows"]) == 1
    assert api.post("/jobs", {**body, "id": "night", "func": "sample.job1"}).status_code == 200
    stored = api.get("/jobs/night/schedule?simulate=2027-03-28&count=2").json
    assert stored["simulated"] == day
    assert (stored["words"], len(stored["next_run_times"])) == (api.post("/preview", body).json["words"], 2)


@pytest.mark.parametrize("day", ["tomorrow", "2027-02-30", "1999-12-31", "2027-3-1x"])
def test_a_day_that_is_none_is_refused(api: Any, day: str) -> None:
    answer = api.post("/preview", {"trigger": "interval", "minutes": 1, "simulate": day})
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["simulate"])


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "trigger"),
        ({"trigger": "cron", "crontab": "x"}, "crontab"),
        ({"trigger": "interval", "seconds": 0}, "seconds"),
        ({"trigger": "interval", "seconds": 5, "count": 101}, "count"),
        ({"trigger": "interval", "seconds": 5, "func": "x"}, "func"),
    ],
)
def test_a_preview_that_cannot_be_made_says_why(api: Any, body: dict[str, Any], key: str) -> None:
    answer = api.post("/preview", body)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [key]


def test_an_error_inside_shows_nothing_of_the_inside(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("/secret/path.py: SELECT * FROM users")

    monkeypatch.setattr(jobs, "get", broken)
    answer = api.get("/jobs/job1")
    assert answer.status_code == 500
    assert set(json.loads(answer.text)) == {"error_message"}
    assert "secret" not in answer.text


def test_answers_are_not_kept_by_caches(api: Any, stranger: Any) -> None:
    for answer in (api.get("/jobs"), api.get("/jobs/none"), stranger.get("/jobs"), api.get("/nowhere")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.mimetype == "application/json"
