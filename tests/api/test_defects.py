"""The defects of Flask-APScheduler's own API, one by one, and that this API does not have them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from tests.conftest import VALUE
from webapp import create_app
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import control, status, users
from webapp.services.actors import Actor
from webapp.services.status import SchedulerStatus
from webapp.settings import Settings
from webapp.store.models import AuditEntry, Job, User
from webapp.tasks import registry


def refused(answer: Any, status: int, *names: str) -> str:
    """The message of a refusal: JSON with ``error_message``, without internals, naming these keys."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    for internal in ("Traceback", "/work", "/usr", ".py", "site-packages", "SELECT", "__init__", "add_job"):
        assert internal not in answer.text
    assert answer.json["error_message"]
    if names:
        assert set(names) <= set(answer.json["errors"]), answer.text
    return str(answer.json["error_message"])


# 1. No authentication; any function of any module


def test_nothing_is_answered_without_credentials(stranger: Any) -> None:
    for method, path in (("GET", ""), ("GET", "/jobs"), ("POST", "/jobs"), ("POST", "/shutdown"), ("GET", "/runs")):
        answer = stranger.ask(method, path)
        refused(answer, 401)
        assert answer.headers.get_all("WWW-Authenticate")[0].startswith('Basic realm="Authentication Required"')


@pytest.mark.parametrize("func", ["os:system", "builtins:eval", "subprocess:Popen", "webapp.cli:main", "nothing"])
def test_only_registered_tasks_can_be_scheduled(api: Any, func: str, tmp_path: Path) -> None:
    target = tmp_path / "written"
    refused(api.add(func=func, args=[f"touch {target}"]), 400, "func")
    api.add()
    refused(api.patch("/jobs/job1", {"func": func}), 400, "func")
    assert api.get("/jobs/job1").json["func"] == "sample.job1"
    assert not target.exists()


# 2. Foreign sites


def test_a_login_cookie_does_not_authenticate_the_api(client: FlaskClient, stranger: Any, admin: User) -> None:
    client.set_cookie("carillon", "whatever")
    with client.session_transaction() as session:
        session["_user_id"] = admin.get_id()
        session["_fresh"] = True
    refused(stranger.get("/jobs"), 401)


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_basic_login_that_a_browser_adds_to_a_foreign_form_is_refused(
    stranger: Any, admin: User, headers: dict[str, str]
) -> None:
    mine = basic("admin", "correct horse")
    refused(stranger.post("/pause", headers={**mine, **headers}), 403)
    assert stranger.get(headers=mine).json["paused"] is False
    for own in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}):
        assert stranger.post("/pause", headers={**mine, **own}).status_code == 204


# 3. Wrong types and values


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"id": None}, ["id"]),
        ({"id": 5}, ["id"]),
        ({"func": None}, ["func"]),
        ({"func": 7}, ["func"]),
        ({"func": ["sample.job1"]}, ["func"]),
        ({"name": 3}, ["name"]),
        ({"args": "abc"}, ["args"]),
        ({"args": {"a": 1}}, ["args"]),
        ({"kwargs": [1]}, ["kwargs"]),
        ({"kwargs": {"unknown": 1}}, ["kwargs.unknown"]),
        ({"kwargs": {"x": "text"}}, ["kwargs.x"]),
        ({"trigger": "sometimes"}, ["trigger"]),
        ({"trigger": 5}, ["trigger"]),
        ({"trigger": {"minutes": 5}, "minutes": None}, ["trigger"]),
        ({"trigger": {"type": "interval", "minutes": 5}}, ["minutes"]),
        ({"trigger": {"type": "interval", "evil": 5}, "minutes": None}, ["trigger.evil"]),
        ({"minutes": "10"}, ["minutes"]),
        ({"minutes": True}, ["minutes"]),
        ({"minutes": -1}, ["minutes"]),
        ({"hour": 5}, ["hour"]),
        ({"timezone": "America"}, ["timezone"]),
        ({"timezone": "Mars/Olympus"}, ["timezone"]),
        ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"timezone": 3}, ["timezone"]),
        ({"start_date": "soon"}, ["start_date"]),
        ({"start_date": 5}, ["start_date"]),
        ({"jitter": 1.5}, ["jitter"]),
        ({"jitter": 600}, ["jitter"]),
        ({"max_instances": 0}, ["max_instances"]),
        ({"max_instances": "2"}, ["max_instances"]),
        ({"max_instances": True}, ["max_instances"]),
        ({"misfire_grace_time": 0}, ["misfire_grace_time"]),
        ({"misfire_grace_time": "1"}, ["misfire_grace_time"]),
        ({"coalesce": "false"}, ["coalesce"]),
        ({"coalesce": 1}, ["coalesce"]),
        ({"executor": "nope"}, ["executor"]),
        ({"jobstore": "nope"}, ["jobstore"]),
        ({"overlap": "nope"}, ["overlap"]),
        ({"timeout_s": -1}, ["timeout_s"]),
        ({"timeout_s": "1"}, ["timeout_s"]),
        ({"retry": {"max_attempts": "x"}}, ["retry.max_attempts"]),
        ({"retry": {"evil": 1}}, ["retry.evil"]),
        ({"retries": -1}, ["retries"]),
        ({"retries": 1, "retry": {"max_attempts": 5}}, ["retries"]),
        ({"tags": "a"}, ["tags"]),
        ({"tags": [1]}, ["tags"]),
        ({"description": 4}, ["description"]),
        ({"priority": 1.5}, ["priority"]),
        ({"state": "dancing"}, ["state"]),
        ({"next_run_time": "soon"}, ["next_run_time"]),
        ({"next_run_time": "2026-06-01T12:10:01+00:00"}, ["next_run_time"]),
        ({"mintues": 5}, ["mintues"]),
        ({"replace_existing": "yes"}, ["replace_existing"]),
    ],
)
def test_a_wrong_value_is_refused_by_its_key_and_nothing_is_stored(
    api: Any, change: dict[str, Any], names: list[str]
) -> None:
    refused(api.add(**change), 400, *names)
    assert api.get("/jobs").json == []


@pytest.mark.parametrize("body", ["[]", "null", "5", '"text"', "true", "", "   "])
def test_a_body_that_is_no_object_is_refused(api: Any, body: str) -> None:
    api.add()
    refused(api.post("/jobs", body), 400)
    refused(api.patch("/jobs/job1", body), 400)


# 4. HTML answers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/jobs/a/b/c", 404),
        ("GET", "/jobs/a%2Fb", 404),
        ("GET", "/runs/abc", 404),
        ("GET", "/runs/99999999999999999999999", 404),
        ("GET", "/runs/9223372036854775807", 404),
        ("GET", "/runs/0", 404),
        ("PUT", "/jobs", 405),
        ("DELETE", "/jobs", 405),
        ("POST", "/jobs/job1", 405),
        ("OPTIONS", "/jobs", 405),
    ],
)
def test_unknown_addresses_and_methods_answer_json(api: Any, method: str, path: str, status: int) -> None:
    answer = api.ask(method, path)
    refused(answer, status)
    if status == 405:
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("body", ["{", "{'id': 1}", "id=job1", b"\xff\xfe", '{"id": "a", "id": "b"}', '{"a": 1} x'])
def test_malformed_json_answers_json(api: Any, body: str | bytes) -> None:
    refused(api.post("/jobs", body), 400)


# 5. Nesting and size


def nested(levels: int) -> str:
    return "[" * levels + "1" + "]" * levels


@pytest.mark.parametrize("levels", [30, 900, 100_000])
def test_deep_nesting_is_refused(api: Any, levels: int) -> None:
    body = f'{{"id": "j", "func": "sample.job1", "trigger": "interval", "minutes": 1, "args": {nested(levels)}}}'
    assert "levels deep" in refused(api.post("/jobs", body), 400)
    assert "levels deep" in refused(api.post("/jobs", '{"a":' * levels + "1" + "}" * levels), 400)
    refused(api.post("/jobs", "[" * levels), 400)


def test_a_body_over_the_limit_is_refused(api: Any, settings: Any) -> None:
    body = json.dumps({"id": "j", "description": "x" * settings.max_request_bytes})
    refused(api.post("/jobs", body), 413)
    refused(api.patch("/jobs/j", {}), 404)
    assert api.get("/jobs").json == []


# 6. Numbers that are none


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_numbers_that_json_has_not_are_refused(api: Any, number: str) -> None:
    job = '"id": "j", "func": "demo.echo", "trigger": "interval", "minutes": 1'
    body = f'{{{job}, "kwargs": {{"values": {{"a": {number}}}}}}}'
    refused(api.post("/jobs", body), 400)
    assert api.get("/jobs").json == []


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_texts_that_no_database_stores_are_refused(api: Any, text: str) -> None:
    for key in ("id", "name", "description"):
        body = {"id": "j", "func": "demo.echo", "trigger": "interval", "minutes": 1, key: "@"}
        refused(api.post("/jobs", json.dumps(body).replace("@", f"a{text}b")), 400)


# 7. Arguments that are no JSON


@pytest.mark.only_on("sqlite")  # the servers themselves refuse to store this
def test_one_odd_job_does_not_cost_the_list(api: Any, make_job: Callable[..., Job]) -> None:
    make_job(id="odd")
    make_job(id="good")
    odd = db.session.get(Job, "odd")
    assert odd is not None
    db.session.execute(update(Job).where(Job.id == "odd").values(args=[float("nan")]))
    db.session.commit()
    db.session.expire_all()
    text = api.get("/jobs").text
    jobs = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert {job["id"]: job["args"] for job in jobs} == {"odd": ["nan"], "good": []}


# 8. What GET does not return


@pytest.mark.parametrize(
    "when",
    [
        {"trigger": "cron", "hour": 9, "minute": 5, "timezone": "America/New_York"},
        {"trigger": "cron", "crontab": "5 9 * * mon-fri", "timezone": "America/New_York", "gap": "end"},
        {"trigger": "cron", "day": "last", "hour": "*/2", "jitter": 30, "end_date": "2027-01-01T00:00:00"},
        {"trigger": "interval", "hours": 1, "minutes": 90, "jitter": 7, "start_date": "2026-01-01T00:17:00"},
        {"trigger": "interval", "days": 2, "timezone": "Asia/Tokyo", "end_date": "2030-01-01T00:00:00"},
        {"trigger": "date", "run_date": "2026-11-01T01:30:00-05:00", "timezone": "America/New_York"},
    ],
)
def test_what_get_returns_makes_the_same_job_under_another_id(api: Any, when: dict[str, Any]) -> None:
    rules = {
        "coalesce": False, "executor": "default", "jobstore": "default", "max_instances": 3, "overlap": "together",
        "misfire_grace_time": None, "timeout_s": 2.5, "retries": 2, "rerun_if_lost": True, "priority": 5,
        "tags": ["b", "a"], "description": "why", "args": [4], "name": "Nine o'clock",
    }  # fmt: skip
    added = api.add(**{"minutes": None, **when, **rules})
    assert added.status_code == 200, added.text
    first = api.get("/jobs/job1").json
    for key, value in {**when, **rules, "tags": ["a", "b"], "retry": {"max_attempts": 3}}.items():
        if key == "retry":
            assert first["retry"]["max_attempts"] == 3
        elif key not in ("hour", "minute", "start_date", "end_date", "misfire_grace_time"):
            assert first[key] == value
    copied = api.post("/jobs", {**first, "id": "job2"})
    assert copied.status_code == 200, copied.text
    second = api.get("/jobs/job2").json
    changing = {"id", "revision"} | ({"next_run_time"} if when.get("jitter") else set())
    assert {key: value for key, value in second.items() if key not in changing} == {
        key: value for key, value in first.items() if key not in changing
    }


def test_nine_oh_five_in_new_york_stays_there(api: Any) -> None:
    job = api.add(trigger="cron", minutes=None, hour=9, minute=5, timezone="America/New_York").json
    assert job["timezone"] == "America/New_York"
    assert job["next_run_time"] == "2026-06-01T09:05:00-04:00"
    assert api.post("/jobs", {**job, "id": "copy"}).json["next_run_time"] == "2026-06-01T09:05:00-04:00"


def test_a_split_second_is_refused_and_not_rounded(api: Any) -> None:
    refused(api.add(minutes=None, seconds=0.25), 400, "seconds")
    assert api.add(minutes=1.5).json["seconds"] == 30


# 9. PATCH


def test_what_get_returns_can_be_patched_back_and_changes_nothing(api: Any, clock: Any) -> None:
    api.add(tags=["x"], kwargs={"x": 1}, retries=1)
    before = api.get("/jobs/job1").json
    assert api.patch("/jobs/job1", before).json == before
    clock.shift(3600)  # the next due time has moved on, unless the engine has not served it
    assert api.patch("/jobs/job1", before).status_code == 200
    assert api.get("/jobs/job1").json["revision"] == before["revision"]


def test_a_patch_is_applied_whole_or_not_at_all(api: Any) -> None:
    api.add()
    before = api.get("/jobs/job1").json
    refused(api.patch("/jobs/job1", {"trigger": "cron", "hour": 3, "name": "New", "max_instances": 0}), 400)
    refused(api.patch("/jobs/job1", {"name": "New", "trigger": "interval", "minutes": 0}), 400)
    assert api.get("/jobs/job1").json == before


def test_a_part_of_a_schedule_changes_without_its_kind(api: Any) -> None:
    api.add(start_date="2026-06-01T00:00:00")
    job = api.patch("/jobs/job1", {"minutes": 15}).json
    assert (job["minutes"], job["start_date"]) == (15, "2026-06-01T00:00:00+00:00")
    assert job["next_run_time"] == "2026-06-01T12:15:00+00:00"
    assert api.patch("/jobs/job1", {"jitter": 20}).json["jitter"] == 20
    assert api.patch("/jobs/job1", {"timezone": "Asia/Tokyo"}).json["timezone"] == "Asia/Tokyo"


def test_a_crontab_and_fields_replace_each_other_only_on_purpose(api: Any) -> None:
    api.add(trigger="cron", minutes=None, hour=3, day_of_week="mon")
    job = api.patch("/jobs/job1", {"crontab": "0 4 * * 1"}).json
    assert job["crontab"] == "0 4 * * 1"
    assert "hour" not in job
    refused(api.patch("/jobs/job1", {"hour": 5}), 400, "crontab")
    job = api.patch("/jobs/job1", {"trigger": "cron", "hour": 5}).json
    assert job["hour"] == "5"
    assert "crontab" not in job


def test_the_id_in_a_body_is_taken_when_it_is_the_jobs_own(api: Any) -> None:
    api.add()
    assert api.patch("/jobs/job1", {"id": "job1", "name": "New"}).json["name"] == "New"
    refused(api.patch("/jobs/job1", {"id": "job2", "name": "Other"}), 400, "id")


def test_a_new_schedule_keeps_the_pause_and_the_zone(api: Any) -> None:
    api.add(timezone="Europe/Berlin")
    api.post("/jobs/job1/pause")
    job = api.patch("/jobs/job1", {"trigger": "cron", "hour": 9}).json
    assert (job["state"], job["next_run_time"], job["timezone"]) == ("paused", None, "Europe/Berlin")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"trigger": "date", "run_date": "2020-01-01T00:00:00"}, "run_date"),
        ({"trigger": "cron", "month": 2, "day": 31}, "day"),
        ({"trigger": "cron", "year": 2020}, "year"),
        ({"end_date": "2020-01-01T00:00:00"}, "end_date"),
        ({"state": "paused"}, "state"),
        ({"state_reason": "because"}, "state_reason"),
        ({"next_run_time": None}, "next_run_time"),
        ({"next_run_time": "2026-06-01T12:00:30+00:00"}, "next_run_time"),
        ({"next_run_time": "9999-12-31T23:59:59+00:00"}, "next_run_time"),
        ({"args": None}, "args"),
        ({"trigger": None}, "trigger"),
        ({"trigger": "interval"}, "seconds"),
        ({"func": "demo.sleep", "task": "demo.echo"}, "task"),
    ],
)
def test_a_patch_that_could_not_do_what_it_says_is_refused(api: Any, change: dict[str, Any], key: str) -> None:
    api.add()
    before = api.get("/jobs/job1").json
    refused(api.patch("/jobs/job1", change), 400, key)
    assert api.get("/jobs/job1").json == before


# 10. Silent overwriting


def test_overwriting_is_asked_for_and_audited(api: Any) -> None:
    api.add()
    refused(api.add(minutes=20), 409)
    api.add(minutes=20, replace_existing=True)
    entries = db.session.query(AuditEntry).filter_by(object_type="job").order_by(AuditEntry.id).all()
    assert [(entry.action, entry.actor, entry.via) for entry in entries] == [
        ("job.created", "admin", "api"),
        ("job.edited", "admin", "api"),
    ]
    assert entries[1].before["trigger"]["minutes"] == 10


# 11, 12. Times that have passed, guesses, no trigger


@pytest.mark.parametrize(
    ("when", "key"),
    [
        ({"trigger": "date", "run_date": "2026-05-31T00:00:00"}, "run_date"),
        ({"trigger": "date"}, "run_date"),
        ({"trigger": "cron", "month": 2, "day": 30}, "day"),
        ({"trigger": "cron"}, "crontab"),
        ({"trigger": "interval", "hours": 1, "end_date": "2026-06-01T11:00:00"}, "end_date"),
        ({"trigger": "interval", "hours": 1, "start_date": "2027-01-01", "end_date": "2026-12-01"}, "end_date"),
        ({"trigger": "interval"}, "seconds"),
        ({"trigger": "interval", "minutes": 0}, "minutes"),
        ({"trigger": "interval", "minutes": -5}, "minutes"),
        ({"trigger": "calendarinterval", "days": 1}, "trigger"),
        ({}, "trigger"),
        *(
            ({"trigger": "date", "run_date": text}, "run_date")
            for text in ("5", "sat", "10/11/12", "10:00 EST", "2026-12-01T10:00:00 EST", "tomorrow", "9999-12-31T00:00")
        ),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(api: Any, when: dict[str, Any], key: str) -> None:
    refused(api.post("/jobs", {"id": "j", "func": "sample.job1", **when}), 400, key)
    assert api.get("/jobs").json == []


def test_resuming_an_ended_job_conflicts_and_keeps_it(api: Any, clock: Any) -> None:
    api.add(trigger="date", minutes=None, run_date="2026-06-01T12:05:00")
    api.post("/jobs/job1/pause")
    clock.shift(3600)
    refused(api.post("/jobs/job1/resume"), 409)
    assert api.get("/jobs/job1").json["state"] == "paused"


# 13. Nothing is converted


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ({"args": "abc"}, "args"),
        ({"args": {"a": 1}}, "args"),
        ({"coalesce": "false"}, "coalesce"),
        ({"minutes": 0}, "minutes"),
        ({"executor": "nope"}, "executor"),
        ({"max_instances": 1.0}, "max_instances"),
    ],
)
def test_a_value_is_taken_as_it_is_or_refused_also_in_an_edit(api: Any, sent: dict[str, Any], key: str) -> None:
    api.add()
    before = api.get("/jobs/job1").json
    refused(api.patch("/jobs/job1", sent), 400, key)
    refused(api.add(id="other", **sent), 400, key)
    assert api.get("/jobs").json == [before]


# 14. Ids


@pytest.mark.parametrize(
    "bad",
    ["", " ", "a b", "a\nb", "a\tb", "x" * 192, ".", "..", "a/b", "a\\b", "a?b", "a#b", "a%b", "\u202e", "\u00a0"],
)
def test_an_id_that_could_not_be_addressed_is_refused(api: Any, bad: str) -> None:
    refused(api.add(id=bad), 400, "id")
    assert api.get("/jobs").json == []


@pytest.mark.parametrize("good", ["x" * 191, "a.b", "...", "Ä-ß", "日本", "<script>", "a:b", "a+b", "a&b=c", "run"])
def test_every_id_that_is_taken_can_be_addressed(api: Any, good: str) -> None:
    assert api.add(id=good).status_code == 200
    path = f"/jobs/{quote(good, safe='')}"
    assert api.get(path).json["id"] == good
    assert api.post(path + "/pause").status_code == 200
    assert api.delete(path).status_code == 204


# 15. Run


def test_a_run_is_queued_and_not_executed_in_the_request(api: Any) -> None:
    api.add(func="demo.sleep", kwargs={"seconds": 60})
    answer = api.post("/jobs/job1/run")
    assert answer.status_code == 200
    assert api.get(f"/runs/{answer.json['run_id']}").json["state"] == "queued"


def test_a_run_beyond_max_instances_conflicts(api: Any) -> None:
    api.add(max_instances=2)
    assert [api.post("/jobs/job1/run").status_code for _ in range(3)] == [200, 200, 409]
    assert "may go on together" in refused(api.post("/jobs/job1/run"), 409)
    assert len(api.get("/runs?job_id=job1").json["runs"]) == 2


def test_a_run_takes_other_arguments_for_once(api: Any) -> None:
    api.add(kwargs={"x": 1}, max_instances=5)
    run_id = api.post("/jobs/job1/run", {"kwargs": {"x": 2}}).json["run_id"]
    assert api.get(f"/runs/{run_id}").json["kwargs"] == {"x": 2}
    assert api.get("/jobs/job1").json["kwargs"] == {"x": 1}
    refused(api.post("/jobs/job1/run", {"kwargs": {"y": 2}}), 400, "kwargs.y")
    refused(api.post("/jobs/job1/run", {"args": [1]}), 400, "args")


def test_a_run_is_in_the_ledger_with_who_asked_and_a_paused_job_runs_too(api: Any) -> None:
    api.add()
    api.post("/jobs/job1/pause")
    answer = api.post("/jobs/job1/run")
    assert (answer.status_code, answer.json["state"], answer.json["next_run_time"]) == (200, "paused", None)
    run = api.get(f"/runs/{answer.json['run_id']}").json
    assert (run["trigger"], run["requested_by"], run["due_at"]) == ("manual", "admin", None)


# 16. While it is stopped


def test_everything_works_while_it_is_stopped_and_after_it_was_started(api: Any) -> None:
    api.add()
    assert api.post("/shutdown").status_code == 204
    assert api.post("/shutdown").status_code == 400
    assert [job["id"] for job in api.get("/jobs").json] == ["job1"]
    refused(api.add(), 409)
    assert api.add(id="job2").status_code == 200
    assert api.post("/jobs/job1/pause").json["state"] == "paused"
    assert api.patch("/jobs/job1", {"minutes": 7}).json["minutes"] == 7
    for path in ("/pause", "/resume"):
        refused(api.post(path), 400)
    assert api.post("/start").status_code == 204
    assert api.post("/start").status_code == 400
    assert [(job["id"], job["state"]) for job in api.get("/jobs?sort=name").json] == [
        ("job1", "paused"),
        ("job2", "active"),
    ]


# 17. What is running


def test_a_scheduler_that_nobody_leads_does_not_say_that_it_runs(api: Any) -> None:
    info = api.get().json
    assert (info["running"], info["state"], info["healthy"], info["paused"]) == (False, "down", False, False)
    assert info["problem"]
    assert info["last_loop_at"] is None


def test_a_scheduler_that_is_led_says_so_and_says_when_it_is_paused(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def led() -> SchedulerStatus:
        return replace(read_status(), state=control.read().mode.value, healthy=True, problem=None)

    read_status = status.read
    monkeypatch.setattr(status, "read", led)
    assert [api.get().json[key] for key in ("running", "paused", "healthy")] == [True, False, True]
    api.post("/pause")
    assert [api.get().json[key] for key in ("running", "paused", "state")] == [True, True, "paused"]


# 18. Truthiness


@pytest.mark.parametrize("body", [{"wait": "no"}, {"wait": 0}, {"now": True}, [1], "x"])
def test_a_shutdown_that_is_not_understood_does_not_happen(api: Any, body: Any) -> None:
    refused(api.post("/shutdown", json.dumps(body)), 400)
    assert api.post("/start").status_code == 400


# 19. Secrets


REFERENCE = "{{secret:ops}}"
SECRET = {"func": "sample.notify", "kwargs": {"channel": "ops", "password": REFERENCE}}


@pytest.fixture
def ops(make_secret: Any) -> None:
    make_secret("ops")


def test_a_secret_is_stored_and_shown_as_a_reference_only(api: Any, ops: Any) -> None:
    body = {**SECRET, "kwargs": {"channel": "ops", "password": VALUE}}
    refused(api.post("/jobs", {"id": "job1", "trigger": "interval", "minutes": 1, **body}), 400, "kwargs.password")
    api.add(**SECRET)
    run_id = api.post("/jobs/job1/run").json["run_id"]
    for path in ("/jobs", "/jobs/job1", f"/runs/{run_id}", "/runs", "/tasks"):
        assert VALUE not in api.get(path).text
    assert api.get("/jobs/job1").json["kwargs"] == {"channel": "ops", "password": REFERENCE}


def test_a_reference_that_is_sent_back_stays(api: Any, ops: Any) -> None:
    api.add(**SECRET)
    shown = api.get("/jobs/job1").json
    changed = {**shown, "kwargs": {**shown["kwargs"], "channel": "dev"}}
    assert api.patch("/jobs/job1", changed).status_code == 200
    job = db.session.get(Job, "job1")
    assert job is not None
    db.session.refresh(job)
    assert job.kwargs == {"channel": "dev", "password": REFERENCE}


def test_a_mask_or_an_unknown_secret_makes_no_job(api: Any, ops: Any) -> None:
    api.add(**SECRET)
    shown = api.get("/jobs/job1").json
    for password in ("••••••", "{{secret:nobody}}"):
        copy = {**shown, "id": "copy", "kwargs": {"channel": "ops", "password": password}}
        refused(api.post("/jobs", copy), 400, "kwargs.password")


def test_a_secret_cannot_be_read_by_giving_it_to_another_task(api: Any, ops: Any) -> None:
    api.add(**SECRET)
    assert api.patch("/jobs/job1", {"func": "demo.echo", "kwargs": {"message": REFERENCE}}).status_code == 200
    run_id = api.post("/jobs/job1/run").json["run_id"]
    assert api.get(f"/runs/{run_id}").json["kwargs"] == {"message": REFERENCE}  # plain text to this task


def test_arguments_of_a_task_that_is_gone_are_all_masked(api: Any, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add(**SECRET)
    monkeypatch.setattr(registry, "find", lambda name: None)
    assert set(api.get("/jobs").json[0]["kwargs"].values()) == {"••••••"}


# 20, 21. Several processes; building an app starts nothing


def test_a_job_is_there_for_every_process(api: Any, settings: Settings) -> None:
    api.add()
    other = create_app(settings)
    other.testing = True
    answer = other.test_client().get("/scheduler/jobs/job1", headers=api.headers)
    assert answer.status_code == 200
    assert answer.json == api.get("/jobs/job1").json
    with other.app_context():
        db.session.remove()
        db.engine.dispose()


def test_neither_a_command_nor_a_request_to_a_built_app_starts_the_scheduler(app: Flask, api: Any) -> None:
    app.test_cli_runner().invoke(args=["routes"])
    api.get()
    assert app.extensions["carillon_scheduler"].running is False


# 22. A host that is not allowed


def test_no_host_is_let_in_and_then_not_obeyed(api: Any) -> None:
    """The library answers 204 to /start on a host that its settings leave out, and does nothing."""
    assert api.get().json["allowed_hosts"] == ["*"]
    api.post("/shutdown")
    assert api.post("/start", headers={"Host": "other.example"}).status_code == 204
    assert api.get().json["state"] != "stopped"


def test_a_host_that_the_settings_do_not_name_is_refused_before_anything_happens(app: Flask, api: Any) -> None:
    app.config["TRUSTED_HOSTS"] = ["cron.example"]
    answer = api.client.post("/scheduler/shutdown", headers={**api.headers, "Host": "evil.example"})
    assert answer.status_code == 400
    app.config["TRUSTED_HOSTS"] = None
    assert api.get().json["state"] != "stopped"


# 23. Passwords beyond ASCII


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_password_with_umlauts_is_taken_in_both_encodings(stranger: Any, encoding: str, now: datetime) -> None:
    users.create("jörg", "pässwörter", "viewer", actor=Actor("test", Role.ADMIN, "code"), now=now)
    value = base64.b64encode("jörg:pässwörter".encode(encoding)).decode()
    assert stranger.get(headers={"Authorization": f"Basic {value}"}).status_code == 200


# 24. A slash at the end


@pytest.mark.parametrize("path", ["/", "/jobs/", "/jobs/job1/", "/runs/", "/tasks/"])
def test_a_slash_at_the_end_is_no_other_address(api: Any, path: str) -> None:
    api.add()
    assert api.get(path).status_code == 200


# 25. The function's identity


def test_the_function_keeps_its_name_when_arguments_change(api: Any) -> None:
    api.add()
    job = api.patch("/jobs/job1", {"args": [5]}).json
    assert (job["func"], job["task"]) == ("sample.job1", "sample.job1")


# 26. Schedules that cannot be sent back


def test_a_calendar_interval_is_refused_and_what_is_shown_of_any_schedule_can_be_sent(api: Any) -> None:
    message = refused(api.add(trigger="calendarinterval", minutes=None, days=1), 400, "trigger")
    assert "calendarinterval" in message or "interval" in message
    for number, when in enumerate(
        [
            {"trigger": "interval", "weeks": 1},
            {"trigger": "cron", "crontab": "@daily"},
            {"trigger": "cron", "day": "2nd mon", "hour": 5},
            {"trigger": "date", "run_date": "2026-12-01T10:00"},
            {
                "trigger": "combined",
                "any": [{"kind": "interval", "hours": 1}],
                "except": [{"kind": "cron", "hour": "3"}],
            },
        ]
    ):
        assert api.add(id=f"j{number}", minutes=None, **when).status_code == 200
        job = api.get(f"/jobs/j{number}").json
        assert isinstance(job["trigger"], str)
        assert api.patch(f"/jobs/j{number}", job).json == job
        assert api.post("/jobs", {**job, "id": f"copy{number}"}).status_code == 200
