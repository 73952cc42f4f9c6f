"""What clients of Flask-APScheduler do keeps working: its own examples, with a token and registered tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webapp import create_app
from webapp.extensions import db
from webapp.settings import Settings
from webapp.store.models import Job
from webapp.tasks import registry


def test_the_scheduler_tells_of_itself(api: Any) -> None:
    info = api.get().json
    assert info["current_host"]
    assert info["allowed_hosts"] == ["*"]
    assert info["running"] in (True, False)


def test_a_date_job_is_added(api: Any) -> None:
    answer = api.add(trigger="date", minutes=None, run_date="2026-12-01T12:30:01-06:00", timezone="America/Chicago")
    assert answer.status_code == 200
    job = answer.json
    assert (job["id"], job["func"], job["trigger"]) == ("job1", "sample.job1", "date")
    assert job["run_date"] == "2026-12-01T12:30:01-06:00"
    assert job["next_run_time"] == "2026-12-01T12:30:01-06:00"


def test_an_interval_job_is_added_and_shown(api: Any) -> None:
    added = api.add()
    assert added.status_code == 200
    job = api.get("/jobs/job1").json
    assert job == added.json
    assert (job["trigger"], job["minutes"], job["name"]) == ("interval", 10, "job1")
    assert job["start_date"] == job["next_run_time"] == "2026-06-01T12:10:00+00:00"
    assert (job["args"], job["kwargs"], job["max_instances"]) == ([], {}, 1)


def test_the_list_is_a_bare_array(api: Any) -> None:
    api.add()
    api.add(id="job2")
    jobs = api.get("/jobs").json
    assert [job["id"] for job in jobs] == ["job1", "job2"]
    assert jobs[0] == api.get("/jobs/job1").json


def test_a_function_is_named_by_module_and_comes_back_as_it_was_given(api: Any) -> None:
    task = registry.find("sample.job1")
    assert task is not None
    job = api.add(func=task.reference).json
    assert job["func"] == task.reference
    assert job["task"] == "sample.job1"
    assert api.patch("/jobs/job1", {"args": [3]}).json["func"] == task.reference


def test_an_id_that_is_taken_conflicts(api: Any) -> None:
    assert api.add().status_code == 200
    answer = api.add()
    assert answer.status_code == 409
    assert "job1" in answer.json["error_message"]


def test_a_job_is_rescheduled_with_patch(api: Any) -> None:
    api.add()
    answer = api.patch("/jobs/job1", {"args": [1], "trigger": "cron", "minute": "*/1", "start_date": "2027-01-01"})
    assert answer.status_code == 200
    job = answer.json
    assert (job["args"], job["trigger"], job["minute"]) == ([1], "cron", "*/1")
    assert job["start_date"] == "2027-01-01T00:00:00+00:00"
    assert job["next_run_time"] == "2027-01-01T00:00:00+00:00"
    assert "minutes" not in job


def test_a_job_is_deleted(api: Any) -> None:
    api.add()
    answer = api.delete("/jobs/job1")
    assert (answer.status_code, answer.data) == (204, b"")
    assert api.get("/jobs/job1").status_code == 404


def test_a_job_is_paused_and_resumed(api: Any) -> None:
    api.add()
    paused = api.post("/jobs/job1/pause")
    assert paused.status_code == 200
    assert paused.json["next_run_time"] is None
    resumed = api.post("/jobs/job1/resume")
    assert resumed.status_code == 200
    assert resumed.json["next_run_time"] == "2026-06-01T12:10:00+00:00"


def test_a_job_is_run(api: Any) -> None:
    api.add()
    answer = api.post("/jobs/job1/run")
    assert answer.status_code == 200
    assert answer.json["id"] == "job1"
    assert answer.json["next_run_time"] is not None
    assert answer.json["run_id"] > 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/jobs/none", None),
        ("DELETE", "/jobs/none", None),
        ("PATCH", "/jobs/none", {"args": [1]}),
        ("POST", "/jobs/none/pause", None),
        ("POST", "/jobs/none/resume", None),
        ("POST", "/jobs/none/run", None),
    ],
)
def test_a_job_that_is_not_there_is_not_found(api: Any, method: str, path: str, body: Any) -> None:
    answer = api.ask(method, path, body)
    assert answer.status_code == 404
    assert "none" in answer.json["error_message"]


def test_a_nested_trigger_object_is_taken(api: Any) -> None:
    """The form of the library's first versions."""
    for kind in ("type", "kind"):
        job = api.add(id=kind, minutes=None, trigger={kind: "interval", "minutes": 5}).json
        assert (job["trigger"], job["minutes"]) == ("interval", 5)
    patched = api.patch("/jobs/kind", {"trigger": {"type": "cron", "hour": 3}}).json
    assert (patched["trigger"], patched["hour"]) == ("cron", "3")


def test_a_body_is_json_whatever_its_content_type(api: Any) -> None:
    for number, kind in enumerate(["application/json", "text/plain", "application/x-www-form-urlencoded", ""]):
        body = {"id": f"j{number}", "func": "sample.job1", "trigger": "interval", "minutes": 1}
        assert api.post("/jobs", body, headers={"Content-Type": kind}).status_code == 200


def test_replace_existing_edits_the_job_and_keeps_its_pause(api: Any) -> None:
    assert api.add(replace_existing=True).status_code == 200
    api.post("/jobs/job1/pause")
    job = api.add(minutes=20, replace_existing=True).json
    assert (job["minutes"], job["state"], job["revision"]) == (20, "paused", 3)


def test_a_null_next_run_time_adds_the_job_paused(api: Any) -> None:
    body = {"id": "j", "func": "sample.job1", "trigger": "interval", "minutes": 1, "next_run_time": None}
    job = api.post("/jobs", body).json
    assert (job["state"], job["next_run_time"]) == ("paused", None)


def test_the_scheduler_is_paused_and_resumed(api: Any) -> None:
    for path, state in (("/pause", True), ("/pause", True), ("/resume", False), ("/resume", False)):
        answer = api.post(path)
        assert (answer.status_code, answer.data) == (204, b"")
        assert api.get().json["paused"] is state


def test_the_scheduler_is_shut_down_and_started(api: Any) -> None:
    assert api.post("/start").status_code == 400
    assert api.post("/shutdown", {"wait": False}).status_code == 204
    assert api.get().json["running"] is False
    assert api.post("/shutdown").status_code == 400
    for path in ("/pause", "/resume"):
        assert api.post(path).status_code == 400
    assert api.post("/start").status_code == 204
    assert "error_message" in api.post("/start").json


def test_jobs_stay_listed_and_guarded_while_shut_down(api: Any) -> None:
    api.add()
    api.post("/shutdown")
    assert len(api.get("/jobs").json) == 1
    assert api.get("/jobs/job1").status_code == 200
    assert api.add().status_code == 409
    assert api.post("/jobs/job1/pause").json["state"] == "paused"
    assert api.post("/start").status_code == 204
    assert api.get("/jobs/job1").json["state"] == "paused"


def test_every_key_of_the_library_is_there(api: Any, make_job: Callable[..., Job]) -> None:
    make_job(id="j", trigger={"kind": "cron", "minute": "5", "timezone": "UTC"})
    job = api.get("/jobs/j").json
    library = {
        "id",
        "name",
        "func",
        "args",
        "kwargs",
        "trigger",
        "misfire_grace_time",
        "max_instances",
        "next_run_time",
    }
    assert library <= set(job)
    assert "hour" not in job


def test_the_library_and_this_api_agree_on_the_routes(api: Any) -> None:
    from webapp.api.routes import ROUTES

    there = {(route.method, route.path, route.endpoint) for route in ROUTES}
    for method, path, endpoint in (
        ("GET", "", "get_scheduler_info"),
        ("POST", "/pause", "pause_scheduler"),
        ("POST", "/resume", "resume_scheduler"),
        ("POST", "/start", "start_scheduler"),
        ("POST", "/shutdown", "shutdown_scheduler"),
        ("POST", "/jobs", "add_job"),
        ("GET", "/jobs", "get_jobs"),
        ("GET", "/jobs/<job_id>", "get_job"),
        ("PATCH", "/jobs/<job_id>", "update_job"),
        ("DELETE", "/jobs/<job_id>", "delete_job"),
        ("POST", "/jobs/<job_id>/pause", "pause_job"),
        ("POST", "/jobs/<job_id>/resume", "resume_job"),
        ("POST", "/jobs/<job_id>/run", "run_job"),
    ):
        assert (method, path, endpoint) in there


def test_a_run_that_was_asked_for_is_in_the_ledger_as_manual(api: Any) -> None:
    api.add()
    run_id = api.post("/jobs/job1/run").json["run_id"]
    run = api.get(f"/runs/{run_id}").json
    assert (run["trigger"], run["state"], run["due_at"], run["requested_by"]) == ("manual", "queued", None, "admin")


def test_the_prefix_is_a_setting(api: Any, settings: Settings) -> None:
    other = create_app(settings.model_copy(update={"api_prefix": "/api/v1"}))
    other.testing = True
    client = other.test_client()
    assert client.get("/api/v1/jobs", headers=api.headers).json == []
    assert client.get("/api/v1/nowhere").json["error_message"]
    assert client.get("/api/v1x").mimetype == "text/html"
    assert client.get("/scheduler/jobs", headers=api.headers).status_code == 404
    with other.app_context():
        db.session.remove()
        db.engine.dispose()
