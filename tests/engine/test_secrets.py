"""Secrets: encrypted at rest, put in when a run starts, masked in whatever it says, on every executor."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select, text

from tests.conftest import CODE, NOW, VALUE
from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.engine import runner
from webapp.engine.claims import Claim, Outcome
from webapp.engine.sink import LiveSink
from webapp.extensions import db
from webapp.services import jobs, secrets
from webapp.settings import kept_secret_keys
from webapp.store.models import AuditEntry, Secret
from webapp.tasks import SecretRef, current_run, registry
from webapp.tasks import task as as_task

pytestmark = pytest.mark.only_on("sqlite")
everywhere = pytest.mark.only_on("sqlite", "postgresql", "mariadb")
KEY = "-----BEGIN KEY-----\nabcdefgh12345678\nijklmnop\n-----END KEY-----"


def talkative(token: SecretRef, how: str = "log") -> Any:
    """Says its secret in every way it can."""
    run = current_run()
    run.log(f"the token is {token}")
    print("printed", token)
    print("x" * 9000 + token + "y" * 9000)
    logging.getLogger("talkative").warning("logged %s", token)
    try:
        raise ValueError(token)
    except ValueError:
        logging.getLogger("talkative").exception("caught")
    run.progress(0.5, f"with {token}")
    if how == "raise":
        raise RuntimeError(f"cannot use {token!r}")
    if how == "exit":
        raise SystemExit(token)
    return {"token": token, "coded": base64.b64encode(token.encode()).decode(), "json": json.dumps([token])}


async def talkative_async(token: SecretRef) -> str:
    print(token)
    return token


def counted(pin: int, token: SecretRef = "") -> int:
    return pin


@pytest.fixture(autouse=True)
def tasks(app: Flask) -> Any:
    before = (dict(registry._by_key), dict(registry._by_reference))
    as_task(key="test.talkative")(talkative)
    as_task(key="test.async")(talkative_async)
    as_task(key="test.counted", redact=["pin"])(counted)
    yield
    registry._by_key, registry._by_reference = before


@pytest.fixture
def run_task(app: Flask) -> Callable[..., tuple[Outcome, list[str]]]:
    """Run a task as every executor does; its outcome, and all that it said."""

    def run(key: str, **kwargs: Any) -> tuple[Outcome, list[str]]:
        said: list[str] = []
        claim = Claim(1, "job", "Job", key, [], kwargs, "manual", 1, None, None, "default", NOW)
        sink = LiveSink(claim, lambda message: said.append(message.text) if not isinstance(message, Outcome) else None)
        return runner.execute(claim, sink, app.app_context), said

    return run


@everywhere
def test_a_value_is_encrypted_at_rest_and_read_again(app: Flask, make_secret: Any) -> None:
    make_secret("deploy", VALUE + "ä🔔")
    stored = db.session.execute(text("SELECT sealed FROM secret")).scalar_one()
    assert VALUE not in stored
    assert secrets.reveal(["deploy"]) == {"deploy": VALUE + "ä🔔"}
    path = app.config["CARILLON"].instance_path / secrets.KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict):
        make_secret("deploy")


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [("", VALUE, "name"), ("a b", VALUE, "name"), ("a}}", VALUE, "name"), ("x" * 65, VALUE, "name"),
     ("a", "abc", "value"), ("a", "x" * 16_385, "value"), ("a", "abcd\x00", "value")],
)  # fmt: skip
def test_what_cannot_be_a_secret_is_refused_at_its_field(app: Flask, name: str, value: str, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        secrets.create(name, value, "", actor=CODE, now=NOW)
    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize("how", ["log", "raise", "exit"])
def test_a_run_knows_the_value_and_never_says_it(run_task: Any, make_secret: Any, how: str, caplog: Any) -> None:
    make_secret("deploy")
    outcome, said = run_task("test.talkative", token="{{secret:deploy}}", how=how)
    everything = "\n".join([*said, str(outcome), caplog.text])
    assert not re.search(f"{VALUE}|{base64.b64encode(VALUE.encode()).decode()}", everything)
    assert "the token is ••••••" in "\n".join(said)
    assert "printed ••••••" in "\n".join(said)
    assert "logged ••••••" in caplog.text
    if how == "log":
        assert json.loads(outcome.result)["token"] == "••••••"
    if how == "raise":
        assert outcome.error == "RuntimeError: cannot use '••••••'"
        assert "••••••" in outcome.traceback


def test_every_line_of_a_long_secret_is_masked(run_task: Any, make_secret: Any) -> None:
    make_secret("key", KEY)
    outcome, said = run_task("test.talkative", token="{{secret:key}}")
    everything = "\n".join([*said, str(outcome)])
    for line in KEY.splitlines():
        assert line not in everything


def test_a_secret_of_another_type_is_read_as_json_and_masked(run_task: Any, make_secret: Any) -> None:
    make_secret("pin", "48151623")
    outcome, _ = run_task("test.counted", pin="{{secret:pin}}")
    assert outcome.state == "succeeded", outcome
    assert outcome.result == '"••••••"' or json.loads(outcome.result) == "••••••"


def test_a_coroutine_is_given_its_secret_too(run_task: Any, make_secret: Any) -> None:
    make_secret("deploy")
    outcome, said = run_task("test.async", token="{{secret:deploy}}")
    assert (outcome.result, said[0].split("\t")[2]) == ('"••••••"', "••••••")


@pytest.mark.parametrize("case", ["missing", "unreadable"])
def test_a_secret_that_is_not_there_fails_the_run_with_its_reason(
    app: Flask, run_task: Any, make_secret: Any, case: str
) -> None:
    if case == "unreadable":
        make_secret("deploy")
        (app.config["CARILLON"].instance_path / secrets.KEY_FILE).write_text(Fernet.generate_key().decode())
    outcome, said = run_task("test.talkative", token="{{secret:deploy}}")
    assert (outcome.state, said) == ("failed", [])
    told = {"missing": "There is no secret named deploy", "unreadable": "The secret deploy cannot be read"}
    assert told[case] in outcome.error


def test_text_that_looks_like_a_reference_stays_text_in_other_tasks(run_task: Any, make_secret: Any) -> None:
    make_secret("deploy")
    outcome, _ = run_task("demo.echo", message="{{secret:deploy}}")
    assert "{{secret:deploy}}" in outcome.result


def test_a_shell_command_gets_it_as_a_variable(app: Flask, run_task: Any, make_secret: Any) -> None:
    make_secret("deploy", 'se"cret $(id) `x`')
    registry.configure(shell_enabled=True)
    command = 'test "{{secret:deploy}}" = "$OTHER" && echo same {{secret:deploy}} && tr "\\0" " " < /proc/$$/cmdline'
    outcome, said = run_task("shell.run", command=command, env={"OTHER": "{{secret:deploy}}"})
    assert outcome.state == "succeeded", (outcome, said)
    assert "same ••••••" in said[0]
    assert "cret" not in "".join(said).replace("CARILLON_SECRET", "").replace("{{secret", "")


def test_an_sql_statement_gets_it_as_a_parameter(app: Flask, run_task: Any, make_secret: Any) -> None:
    make_secret("deploy", "x'; DROP TABLE t; --")
    registry.configure(databases={"here": "sqlite://"})
    outcome, _ = run_task(
        "sql.execute", database="here", statement="SELECT {{secret:deploy}} AS a, length(:b) AS b",
        parameters={"b": "{{secret:deploy}}"},
    )  # fmt: skip
    assert outcome.state == "succeeded", outcome
    assert json.loads(outcome.result)["first_rows"] == [["••••••", 20]]


def test_a_secret_may_stand_inside_the_texts_of_a_request(app: Flask, make_secret: Any, make_job: Any) -> None:
    make_secret("deploy")
    kwargs = {"url": "https://x.example/{{secret:deploy}}", "headers": {"X-Key": "a {{secret:deploy}}"}, "body": "{}"}
    job = make_job(task="http.request", kwargs=kwargs)
    assert job.kwargs == kwargs
    assert [user.id for user in secrets.users_of("deploy")] == [job.id]
    assert secrets.users_of("deplo") == []
    with pytest.raises(Invalid, match="holds a reference that cannot be read"):
        jobs.patch(job.id, {"kwargs": {"url": "https://x.example/{{ secret:deploy }}"}}, actor=CODE, now=NOW)


@everywhere
def test_rotation_leaves_one_new_key_and_every_value(app: Flask, make_secret: Any) -> None:
    path = app.config["CARILLON"].instance_path / secrets.KEY_FILE
    for name in ("a", "b"):
        make_secret(name, VALUE + name)
    before = (kept_secret_keys(path), db.session.scalars(select(Secret.sealed)).all())
    assert secrets.rotate(actor=CODE, now=NOW) == 2
    db.session.expire_all()
    after = (kept_secret_keys(path), db.session.scalars(select(Secret.sealed)).all())
    assert len(after[0]) == 1
    assert not set(before[0]) & set(after[0])
    assert not set(before[1]) & set(after[1])
    assert secrets.reveal(["a", "b"]) == {"a": VALUE + "a", "b": VALUE + "b"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_rotation_that_fails_changes_nothing(app: Flask, make_secret: Any) -> None:
    make_secret("a")
    row = secrets.get("a")
    good = row.sealed
    make_secret("b")
    secrets.get("b").sealed = "broken"
    db.session.commit()
    with pytest.raises(Conflict, match="The secret b cannot be read"):
        secrets.rotate(actor=CODE, now=NOW)
    db.session.expire_all()
    assert secrets.get("a").sealed == good
    assert secrets.reveal(["a"]) == {"a": VALUE}


def test_keys_of_the_settings_are_used_newest_first(app: Flask) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings = app.config["CARILLON"]

    def give(*keys: str) -> None:
        settings.secret_keys = type(settings).model_validate({"secret_keys": ",".join(keys)}).secret_keys

    give(old)
    secrets.create("a", VALUE, "", actor=CODE, now=NOW)
    give(new, old)
    assert secrets.rotate(actor=CODE, now=NOW) == 1
    give(new)
    db.session.expire_all()
    assert secrets.reveal(["a"]) == {"a": VALUE}
    assert not (settings.instance_path / secrets.KEY_FILE).exists()


def test_the_audit_tells_of_secrets_but_not_their_values(app: Flask, make_secret: Any) -> None:
    make_secret("a")
    secrets.replace("a", VALUE + "2", "for deploys", actor=CODE, now=NOW)
    secrets.delete("a", actor=CODE, now=NOW)
    with pytest.raises(NotFound):
        secrets.replace("a", None, "", actor=CODE, now=NOW)
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.action for entry in entries] == ["secret.created", "secret.replaced", "secret.deleted"]
    assert VALUE not in json.dumps([[entry.before, entry.after] for entry in entries])
    assert entries[1].after == {"name": "a", "about": "for deploys", "version": 2}


def test_the_commands_take_the_value_from_the_standard_input(app: Flask) -> None:
    command = app.test_cli_runner().invoke
    assert command(args=["secrets", "set", "deploy", "--about", "x"], input=f"{VALUE}\n").exit_code == 0
    assert command(args=["secrets", "list"]).output == "deploy\tx\n"
    assert secrets.reveal(["deploy"]) == {"deploy": VALUE}
    assert command(args=["secrets", "set", "deploy"], input="abc").exit_code == 1
    assert command(args=["secrets", "rotate"]).output == "1 secrets are encrypted anew.\n"
    assert command(args=["secrets", "delete", "deploy"]).exit_code == 0
    assert command(args=["secrets", "delete", "deploy"]).exit_code == 1
    assert len(command(args=["secrets", "key"]).output.strip()) == 44
