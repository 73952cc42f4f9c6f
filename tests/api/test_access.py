"""Who may do what: tokens, passwords, roles over every route, failed logins."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW
from webapp.api import auth
from webapp.api.routes import ROLES, ROUTES
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import calendars, tokens, users
from webapp.services.actors import Actor
from webapp.store.models import AuditEntry, Job, Run, User

ROOT = Actor("test", Role.ADMIN, "code")


def basic(name: str, password: str = "correct horse") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """No test knows a password from another one."""
    auth._remembered.clear()


def api_rules(app: Flask) -> list[tuple[str, str, str]]:
    """(method, address, endpoint) of everything that the app answers below the prefix."""
    return [
        (method, rule.rule, rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD"})
        if rule.rule == "/scheduler" or rule.rule.startswith("/scheduler/")
    ]


def filled(rule: str, job_id: str = "j", run_id: int = 1, name: str = "c") -> str:
    """A rule of the map as a path below the prefix."""
    path = rule.removeprefix("/scheduler").replace("<job_id>", job_id).replace("<name>", name)
    path = path.replace("<int(max=9223372036854775807):run_id>", str(run_id))
    path = path.replace("<any(csv, json):format>", "csv")
    assert "<" not in path
    return path


def test_every_route_below_the_prefix_has_a_role(app: Flask) -> None:
    rules = api_rules(app)
    assert len(rules) == len(ROUTES)
    for _, _, endpoint in rules:
        assert endpoint.removeprefix("scheduler.") in ROLES


EXPECTED = {
    Role.VIEWER: {
        "get_scheduler_info", "get_jobs", "get_job", "get_runs", "get_run", "get_run_log", "get_tasks",
        "preview_schedule", "get_job_schedule", "get_calendars", "get_calendar", "get_calendar_file",
        "get_balance", "explain_job", "get_due_times", "export_runs", "get_openapi",
    },
    Role.OPERATOR: {
        "pause_scheduler", "resume_scheduler", "pause_job", "resume_job", "run_job", "stop_run", "rerun_run",
        "catch_up_job",
    },
    Role.EDITOR: {
        "add_job", "update_job", "delete_job", "add_calendar", "update_calendar", "delete_calendar", "import_calendar",
    },
    Role.ADMIN: {"start_scheduler", "shutdown_scheduler"},
}  # fmt: skip


def test_the_table_of_roles_is_the_one_that_is_documented() -> None:
    assert {role: {name for name, least in ROLES.items() if least is role} for role in Role} == EXPECTED


BODIES: dict[str, Any] = {
    "add_job": {"id": "new", "func": "sample.job1", "trigger": "interval", "minutes": 1},
    "update_job": {"name": "new"},
    "preview_schedule": {"trigger": "interval", "minutes": 1},
    "add_calendar": {"name": "Holidays"},
    "update_calendar": {"days": ["2026-12-25"]},
}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_routes_and_no_others(
    app: Flask, api_as: Callable[..., Any], make_job: Callable[..., Job], make_run: Callable[..., Run], role: Role
) -> None:
    client = api_as(role)
    for number, (method, rule, endpoint) in enumerate(api_rules(app)):
        name = endpoint.removeprefix("scheduler.")
        job = make_job(id=f"job-{number}")
        run = make_run(job, state="queued" if name == "stop_run" else "succeeded")
        calendar = calendars.create({"name": f"c-{number}"}, actor=ROOT, now=NOW)
        answer = client.ask(method, filled(rule, job.id, run.id, calendar.name), BODIES.get(name))
        if role.includes(ROLES[name]):
            assert answer.status_code in (200, 204, 400), (name, answer.text)
        else:
            assert answer.status_code == 403, (name, answer.text)
            assert role.value in answer.json["error_message"]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_nothing_opens_without_credentials(app: Flask, stranger: Any, method: str) -> None:
    for verb, rule, _ in api_rules(app):
        if verb == method:
            assert stranger.ask(verb, filled(rule), {}).status_code == 401


def test_a_head_request_is_guarded_like_its_get(api: Any, stranger: Any) -> None:
    assert stranger.ask("HEAD", "/jobs").status_code == 401
    assert api.ask("HEAD", "/jobs").status_code == 200


# Tokens


def test_a_token_can_do_less_than_its_user(client: FlaskClient, admin: User, now: datetime, stranger: Any) -> None:
    actor = Actor(admin.name, Role.ADMIN, "web", user_id=admin.id)
    _, plain = tokens.create(admin, "watch", Role.VIEWER, None, actor=actor, now=now)
    headers = {"Authorization": f"Bearer {plain}"}
    assert stranger.get("/jobs", headers=headers).status_code == 200
    assert stranger.post("/pause", headers=headers).status_code == 403


def test_an_expired_token_is_refused(admin: User, now: datetime, stranger: Any, clock: Any) -> None:
    actor = Actor(admin.name, Role.ADMIN, "web", user_id=admin.id)
    _, plain = tokens.create(admin, "short", Role.VIEWER, now + timedelta(hours=1), actor=actor, now=now)
    headers = {"Authorization": f"bearer {plain}"}
    assert stranger.get("/jobs", headers=headers).status_code == 200
    clock.shift(3600)
    assert stranger.get("/jobs", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer car_nothing", "Basic", "Basic !!!", "Basic 1231234", "Basic " + "QQ==",
     "Digest x", "x" * 9000, "Bearer \u00e4", "Basic " + base64.b64encode(b"\xff\x00:\xff").decode()],
)  # fmt: skip
def test_a_header_that_is_no_login_is_refused(stranger: Any, header: str) -> None:
    answer = stranger.get(headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["error_message"]
    challenges = answer.headers.get_all("WWW-Authenticate")
    assert [challenge.split()[0] for challenge in challenges] == ["Basic", "Bearer"]


# Passwords


def test_a_password_opens_the_api(admin: User, stranger: Any) -> None:
    assert stranger.get(headers=basic("admin")).status_code == 200
    assert stranger.get(headers=basic("admin", "wrong")).status_code == 401
    assert stranger.get(headers=basic("nobody")).status_code == 401


def test_a_password_is_hashed_once_a_minute_and_not_for_every_request(
    admin: User, stranger: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    check = users.check_password_hash
    monkeypatch.setattr(users, "check_password_hash", lambda *args: hashed.append("x") or check(*args))
    for _ in range(5):
        assert stranger.get(headers=basic("admin")).status_code == 200
    assert len(hashed) == 1
    clock.shift(61)
    assert stranger.get(headers=basic("admin")).status_code == 200
    assert len(hashed) == 2


def test_a_remembered_password_ends_when_it_is_changed(admin: User, stranger: Any, now: datetime) -> None:
    assert stranger.get(headers=basic("admin")).status_code == 200
    users.set_password(admin.id, None, "battery staple", actor=ROOT, now=now)
    assert stranger.get(headers=basic("admin")).status_code == 401
    assert stranger.get(headers=basic("admin", "battery staple")).status_code == 200


def test_a_remembered_password_ends_when_its_user_becomes_inactive(admin: User, stranger: Any) -> None:
    assert stranger.get(headers=basic("admin")).status_code == 200
    admin.active = False
    db.session.commit()
    assert stranger.get(headers=basic("admin")).status_code == 401


def test_a_remembered_password_gives_the_present_role(admin: User, stranger: Any) -> None:
    assert stranger.post("/pause", headers=basic("admin")).status_code == 204
    admin.role = "viewer"
    db.session.commit()
    assert stranger.post("/resume", headers=basic("admin")).status_code == 403


def test_few_passwords_are_remembered(monkeypatch: pytest.MonkeyPatch, admin: User, now: datetime) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_MAX", 3)
    for number in range(5):
        auth._remembered.keep("admin", str(number), admin, now)
    assert [auth._remembered.user("admin", str(number), now) is None for number in range(5)] == [True] * 2 + [False] * 3


# Failed logins


@pytest.fixture
def throttled(app: Flask) -> None:
    app.config["RATELIMIT_ENABLED"] = True


@pytest.mark.usefixtures("throttled")
def test_an_account_is_closed_for_a_while_after_ten_failures(admin: User, stranger: Any) -> None:
    for _ in range(10):
        assert stranger.get(headers=basic("admin", "wrong")).status_code == 401
    answer = stranger.get(headers=basic("admin"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["error_message"]


@pytest.mark.usefixtures("throttled")
def test_an_address_is_closed_after_ten_failures_at_any_accounts(admin: User, stranger: Any) -> None:
    for number in range(10):
        assert stranger.get(headers=basic(f"user{number}", "wrong")).status_code == 401
    assert stranger.get(headers=basic("admin")).status_code == 429


@pytest.mark.usefixtures("throttled")
def test_guessing_tokens_is_slowed_down_too(stranger: Any) -> None:
    statuses = [stranger.get(headers={"Authorization": f"Bearer car_{n}"}).status_code for n in range(11)]
    assert statuses == [401] * 10 + [429]


@pytest.mark.usefixtures("throttled")
def test_good_logins_are_never_slowed_down(admin: User, stranger: Any, api: Any) -> None:
    for _ in range(30):
        assert stranger.get(headers=basic("admin")).status_code == 200
        assert api.get().status_code == 200


def test_changes_are_audited_with_the_address(api: Any) -> None:
    api.add()
    entry = db.session.query(AuditEntry).filter_by(action="job.created").one()
    assert (entry.actor, entry.via, entry.address) == ("admin", "api", "127.0.0.1")
