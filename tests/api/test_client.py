"""The client in Python and the commands that use it, against a real server and in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from flask import Flask

from tests.conftest import CODE
from tests.server import Server
from webapp import create_app
from webapp.api.client import ApiError, Client, as_json
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import tokens
from webapp.settings import Settings
from webapp.store.models import AuditEntry, Job, Run, User

ECHO = {"func": "demo.log", "kwargs": {"lines": 3, "interval_s": 0}, "trigger": "interval", "hours": 5}


class Served:
    """A real server, and a token for it."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        app = create_app(Settings(instance_path=server.folder, _env_file=None))
        with app.app_context():
            user = db.session.query(User).filter_by(name="admin").one()
            _, self.token = tokens.create(user, "client", Role.ADMIN, None, actor=CODE, now=datetime.now(UTC))
            db.session.remove()
            db.engine.dispose()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Server(tmp_path_factory.mktemp("served"))
    try:
        server.start()
        yield Served(server)
    finally:
        server.close()


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest) -> None:
    """The real server's clock goes on, and so does this process's."""


@pytest.fixture
def remote(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as client:
        yield client


# Against a real server


def test_a_script_adds_runs_reads_and_deletes_a_job(remote: Client) -> None:
    job = remote.add_job({"id": "script", **ECHO})
    assert (job.id, job.task, job.revision) == ("script", "demo.log", 1)
    assert job.next_run_time is not None
    assert job.next_run_time > datetime.now(UTC)
    queued = remote.run_job("script", {"lines": 2, "interval_s": 0})
    lines = [line.text for line in remote.follow(queued.run_id, pause_s=0.05)]
    ended = remote.wait(queued.run_id, pause_s=0.05)
    assert (ended.state, ended.kwargs) == ("succeeded", {"lines": 2, "interval_s": 0})
    assert len(lines) == ended.log_lines >= 2
    assert [run.id for run in remote.every_run(job_id="script")] == [ended.id]
    assert remote.balance(job_id="script").adds_up
    assert remote.explain("script", datetime.now(UTC) - timedelta(days=1)).verdict == "not due"
    assert b"demo.log" in b"".join(remote.export("csv", job_id="script"))
    remote.delete_job("script", revision=1)
    assert "script" not in [each.id for each in remote.jobs()]


def test_a_job_that_was_got_can_be_sent_back_and_copied(remote: Client) -> None:
    job = remote.add_job({"id": "first", "timezone": "Asia/Tokyo", **ECHO, "tags": ["x"]})
    assert remote.update_job("first", as_json(job)).revision == job.revision
    copy = remote.add_job({**as_json(job), "id": "Zweiter:ä"})
    assert remote.job("Zweiter:ä").timezone == copy.timezone == "Asia/Tokyo"
    assert remote.pause_job("first", datetime.now(UTC) + timedelta(days=1)).state == "paused"
    assert remote.resume_job("first").state == "active"
    assert {each.id for each in remote.jobs(tag="x", state=["active"])} == {"first", "Zweiter:ä"}


def test_a_refusal_says_what_the_server_said(remote: Client, served: Served) -> None:
    with pytest.raises(ApiError, match="hours") as refused:
        remote.add_job({"id": "wrong", **ECHO, "hours": -1})
    assert (refused.value.status, list(refused.value.errors)) == (400, ["hours"])
    with pytest.raises(ApiError) as missing:
        remote.job("nobody")
    assert missing.value.status == 404
    remote.add_job({"id": "edited", **ECHO})
    remote.update_job("edited", {"name": "Theirs"})
    with pytest.raises(ApiError) as stale:
        remote.update_job("edited", {"name": "Mine"}, revision=1)
    assert stale.value.status == 412
    with Client(served.url, "car_wrong") as client, pytest.raises(ApiError) as stranger:
        client.jobs()
    assert stranger.value.status == 401


def test_everything_else_that_can_be_asked(remote: Client) -> None:
    assert remote.info().running
    remote.pause()
    assert remote.info().paused
    remote.resume()
    remote.shutdown()
    assert remote.info().state == "stopped"
    remote.start()
    assert "demo.echo" in [task.key for task in remote.tasks()]
    schedule = {"trigger": "cron", "crontab": "30 2 * * *", "timezone": "Europe/Berlin", "count": 2}
    assert len(remote.preview(schedule).next_run_times) == 2
    remote.add_job({"id": "asked", **ECHO})
    assert len(remote.schedule("asked", count=3).next_run_times) == 3
    assert remote.due_times("asked") == []
    with pytest.raises(ApiError):
        remote.catch_up("asked", [datetime.now(UTC)])
    assert remote.add_calendar({"name": "Days off", "days": ["2026-12-24"]}).revision == 1
    assert remote.update_calendar("Days off", {"days": []}, revision=1).revision == 2
    assert [each.name for each in remote.calendars()] == [remote.calendar("Days off").name]
    remote.delete_calendar("Days off")
    run_id = remote.run_job("asked").run_id
    remote.wait(run_id, pause_s=0.05)
    assert remote.wait(remote.rerun(run_id).run_id, pause_s=0.05).state == "succeeded"
    with pytest.raises(ApiError) as ended:
        remote.stop(run_id)
    assert ended.value.status == 409


# Other servers


def test_a_server_that_is_not_there_is_an_error_of_the_api() -> None:
    client = Client("http://127.0.0.1:9", "car_x", timeout_s=2)
    with client, pytest.raises(ApiError, match="does not answer") as away:
        client.jobs()
    assert away.value.status == 0


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (502, "<html>Bad gateway</html>", "502 Bad Gateway"),
        (302, "", "302 Found"),
        (200, "<html>A login page</html>", "not one of Carillon's"),
        (200, '{"some": "other server"}', "not one of Carillon's"),
        (404, '{"detail": "Not Found"}', "404 Not Found"),
    ],
)
def test_a_server_that_is_not_carillon_is_an_error_of_the_api(status: int, body: str, message: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, text=body, headers={"Location": "https://evil.example/"})

    with pytest.raises(ApiError, match=message):
        Client("https://cron.example/prefix", "car_x", transport=httpx.MockTransport(answer)).job("a/b")
    assert [str(request.url) for request in seen] == ["https://cron.example/prefix/jobs/a%2Fb"]  # never redirected


def test_keys_of_a_newer_server_are_passed_over() -> None:
    body = {
        "name": "x",
        "timezone": None,
        "holds": "",
        "jobs": [],
        "revision": 1,
        "updated_at": None,
        "updated_by": "a",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[{**body, "colour": "blue"}])

    (calendar,) = Client("https://cron.example", transport=httpx.MockTransport(answer)).calendars()
    assert calendar.name == "x"


# Commands


@pytest.fixture
def command(app: Flask) -> Callable[..., Result]:
    """A command of this installation."""
    return lambda *args, **more: app.test_cli_runner().invoke(args=["jobs", *args], **more)


@pytest.fixture
def distant(app: Flask, served: Served) -> Callable[..., Result]:
    """The same command for the real server."""
    env = {"CARILLON_TOKEN": served.token}
    return lambda *args, **more: app.test_cli_runner().invoke(
        args=["jobs", "--server", served.url, *args], env=env, **more
    )


@pytest.mark.parametrize("where", ["command", "distant"])
def test_the_same_commands_work_here_and_elsewhere(request: pytest.FixtureRequest, where: str) -> None:
    ask: Callable[..., Result] = request.getfixturevalue(where)
    added = ask("add", "--id", "cli", "--task", "demo.echo", "--crontab", "30 2 * * *", "--arg", "message=hi there")
    assert (added.exit_code, added.output[:27]) == (0, "cli is active, next due 202"), added.output
    listed = ask("list", "-q", "cli").output.splitlines()
    assert listed[0].split() == ["ID", "STATE", "NEXT", "TASK", "NAME"]
    assert listed[1].split()[:2] == ["cli", "active"]
    shown = json.loads(ask("show", "cli").output)
    assert shown["kwargs"] == {"message": "hi there"}
    copied = ask("add", "--file", "-", "--id", "cli2", input=json.dumps({**shown, "tags": ["copy"]}))
    assert copied.exit_code == 0, copied.output
    assert ask("pause", "cli2").output == "cli2 is paused.\n"
    assert ask("resume", "cli2").output.startswith("cli2 is active")
    assert ask("run", "cli2").output.endswith("is queued.\n")
    assert "cli2" in ask("history", "cli2").output
    assert ask("why", "cli", "2026-01-01T00:00:07").output.startswith("Not due")
    assert ask("balance").output.startswith("due ")
    assert ask("remove", "cli", input="n\n").exit_code == 1
    assert ask("remove", "cli", "--yes").output == "cli is deleted.\n"
    refused = ask("show", "cli")
    assert (refused.exit_code, refused.output) == (1, "Error: There is no job 'cli'.\n")
    assert ask("remove", "cli2", "--yes").exit_code == 0


def test_a_command_waits_for_a_run_and_ends_as_it_did(distant: Callable[..., Result]) -> None:
    distant(
        "add", "--id", "good", "--task", "demo.log", "--every", "99999", "--arg", "lines=2", "--arg", "interval_s=0"
    )
    good = distant("run", "good", "--wait")
    assert good.exit_code == 0, good.output
    assert good.output.splitlines()[-1].endswith("succeeded.")
    assert len(good.output.splitlines()) >= 3
    distant("add", "--id", "bad", "--task", "demo.flaky", "--every", "99999", "--arg", "failure_rate=1")
    bad = distant("run", "bad", "--wait")
    assert bad.exit_code == 1
    assert "failed" in bad.output.splitlines()[-1]
    runs = json.loads(distant("--json", "history", "bad").output)
    assert distant("log", str(runs[0]["id"])).exit_code == 0


def test_what_a_command_here_does_is_audited_as_the_persons(command: Callable[..., Result]) -> None:
    command("add", "--id", "cli", "--task", "demo.echo", "--every", "60")
    entry = db.session.query(AuditEntry).filter_by(action="job.created").one()
    assert (entry.via, entry.actor.endswith("(command line)")) == ("cli", True)


def test_a_header_does_not_make_anybody_the_person_at_the_terminal(stranger: Any) -> None:
    for name in ("carillon.actor", "Carillon-Actor", "carillon_actor"):
        assert stranger.get("/jobs", headers={name: "admin"}).status_code == 401


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["add", "--id", "x", "--task", "demo.echo", "--every", "5", "--at", "2030-01-01T00:00"], "Give one of"),
        (["add", "--id", "x", "--task", "demo.echo"], "trigger"),
        (["add", "--id", "x", "--task", "demo.echo", "--every", "5", "--arg", "nothing"], "NAME=VALUE"),
        (["add", "--file", "-"], "does not hold JSON"),
        (["why", "nobody", "2026-01-01T00:00"], "nobody"),
        (["list", "--state", "dancing"], "dancing"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_in_a_line(
    command: Callable[..., Result], args: list[str], message: str
) -> None:
    result = command(*args, input="{")
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert "Traceback" not in result.output


def test_another_server_needs_a_token(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["jobs", "--server", "http://127.0.0.1:9", "list"], env={})
    assert result.exit_code == 1
    assert "CARILLON_TOKEN" in result.output


def test_other_peoples_words_do_not_steer_the_terminal(
    command: Callable[..., Result], make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    make_run(make_job(id="j"), state="failed", error="\x1b[2J\x07gone")
    output = command("history").output
    assert "\x1b" not in output
    assert "[2J" in output


def test_commands_here_answer_to_a_host_that_the_settings_name(tmp_path: Path, app: Flask) -> None:
    app.config["CARILLON"].trusted_hosts = [".cron.example"]
    app.config["TRUSTED_HOSTS"] = [".cron.example"]
    assert app.test_cli_runner().invoke(args=["jobs", "list"]).exit_code == 0
