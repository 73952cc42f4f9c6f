"""What a browser could be made to do against its user, page by page and field by field."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import HTMX, PageClient, soup
from tests.web.test_access import VALUES, addresses
from webapp.domain.states import Role, RunState
from webapp.extensions import db
from webapp.services import logins, people, secrets, tokens, users
from webapp.settings import Settings
from webapp.store.database import writing
from webapp.store.models import AuditEntry, Run, RunLog

EVIL = "'\"><x-evil onx=1>{{7*7}}${7*7}<!--"
FORMULA = "=cmd|' /C calc'!A0"


# -- forged requests --------------------------------------------------------------------------------------------------


class TestForgedRequests:
    @pytest.fixture
    def app(self, csrf_app: Flask) -> Any:
        """The app as it is served."""
        with csrf_app.app_context():
            yield csrf_app

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["form", "htmx"])
    def test_no_address_takes_a_post_without_our_token(self, client: PageClient, headers: dict[str, str]) -> None:
        users.create("ada", PASSWORD, Role.ADMIN, actor=CODE, now=NOW)
        token = soup(client.get("/login")).select_one("meta[name=csrf-token]")["content"]  # type: ignore[index]
        client.post("/login", data={"name": "ada", "password": PASSWORD, "csrf_token": token})
        assert client.get("/jobs").status_code == 200
        before = db.session.query(AuditEntry).count()
        for url in addresses("POST"):
            assert client.post(url, headers=headers).status_code == 400, url
        db.session.rollback()
        assert db.session.query(AuditEntry).count() == before


# -- cookies, hosts, headers ------------------------------------------------------------------------------------------


def test_cookies_are_for_this_site_and_out_of_the_reach_of_scripts(client: PageClient, admin: Any) -> None:
    answer = client.post("/login", data={"name": "admin", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert "Strict-Transport-Security" not in answer.headers


def test_behind_https_cookies_are_secure_and_the_browser_is_told_to_stay(client: PageClient, admin: Any) -> None:
    answer = client.post("/login", data={"name": "admin", "password": PASSWORD}, base_url="https://localhost")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_word_of_a_stranger_about_https_does_not_count(client: PageClient, admin: Any) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"}
    answer = client.post("/login", data={"name": "admin", "password": PASSWORD}, headers=headers)
    assert "Secure" not in answer.headers["Set-Cookie"]
    entry = db.session.query(AuditEntry).filter_by(action=logins.SUCCEEDED).one()
    assert entry.address == "127.0.0.1"


class TestHosts:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        settings.trusted_hosts = ["jobs.example.org", ".inside.example"]
        return settings

    @pytest.mark.parametrize("path", ["/login", "/", "/scheduler/jobs", "/health/live", "/nothing", "/static/app.css"])
    def test_only_known_hosts_are_answered(self, client: PageClient, admin: Any, path: str) -> None:
        for host in ("evil.example", "jobs.example.org.evil.example", "127.0.0.1:8000", "x@jobs.example.org"):
            with client.get(path, headers={"Host": host}) as answer:
                assert answer.status_code == 400, host
                assert host not in answer.text
        for host in ("jobs.example.org", "jobs.example.org:8443", "a.inside.example"):
            with client.get(path, headers={"Host": host}) as answer:
                assert answer.status_code != 400, host


def test_no_answer_repeats_the_host(client: PageClient, admin: Any) -> None:
    for path in ("/", "/login", "/jobs", "/nothing"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in answer.text + answer.headers.get("Location", "")


@pytest.mark.parametrize(
    "url", ["/", "/login", "/scheduler/jobs", "/health/live", "/nothing", "/static/app.css", "/jobs/"]
)
def test_every_kind_of_answer_carries_the_headers(client: PageClient, admin: Any, url: str) -> None:
    with client.get(url) as answer:
        for name in ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
                     "Permissions-Policy", "Cross-Origin-Opener-Policy"):  # fmt: skip
            assert name in answer.headers


# -- what people type, seen again -------------------------------------------------------------------------------------


@pytest.fixture
def evil(app: Flask, make_job: Any, make_run: Any) -> dict[str, Any]:
    """Everything that people and tasks may name or say, named so that it breaks out where it is not escaped."""
    person = users.create(EVIL.replace(":", ""), PASSWORD, Role.ADMIN, actor=CODE, now=NOW)
    tokens.create(person, EVIL, "viewer", None, actor=CODE, now=NOW)
    secrets.create("evil", "value-of-it", EVIL, actor=CODE, now=NOW)
    job = make_job(
        id="evil", name=EVIL, description=EVIL, tags=["<x-evil/onx=1>"], group="g",
        kwargs={"message": EVIL},
    )  # fmt: skip
    run = make_run(
        job, state=RunState.FAILED, error=EVIL, traceback=EVIL, reason=EVIL, requested_by=EVIL, progress_text=EVIL,
        result=f'"{EVIL[2:]}"', worker=EVIL, log_lines=1,
    )  # fmt: skip
    with writing() as session:
        session.add(RunLog(run_id=run.id, first_line=0, lines=1, text=f"2026-06-01T12:00:00.000Z\tinfo\t{EVIL}"))
    with writing() as session:
        session.execute(update(Run).where(Run.id == run.id).values(job_name=EVIL))
    logins.log_in(person.name, "wrong", via="web", address=EVIL[:60], now=NOW)
    return {"person": person, "job": job, "run": run}


def test_what_people_type_is_seen_again_as_text_on_every_page(client: PageClient, evil: dict[str, Any]) -> None:
    client.post(
        "/login", data={"name": evil["person"].name, "password": PASSWORD}, headers={"User-Agent": f"Browser {EVIL}"}
    )
    client.set_cookie("carillon_zone", EVIL)
    client.set_cookie("carillon_theme", EVIL)
    real = {
        **VALUES,
        "job_id": "evil",
        "run_id": evil["run"].id,
        "user_id": evil["person"].id,
        "name": "evil",
        "format": "csv",
    }
    seen = 0
    for rule in sorted(addresses_with(client.application, real)):
        answer = client.get(f"{rule}?q=%22%3E%3Cx-evil%3E&next=%22%3E%3Cx-evil%3E&cursor=%3Cx-evil%3E", buffered=True)
        assert answer.status_code < 500 or rule.startswith("/health/"), rule
        if answer.mimetype == "text/html":
            page = soup(answer)
            assert page.find("x-evil") is None, rule
            assert not page.find_all(attrs={"onx": True}), rule
            seen += EVIL in page.get_text()
        else:
            assert answer.mimetype != "text/html"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "${49}" not in answer.text
        assert "'\"><x-evil onx=1>49" not in answer.text
        for name, value in answer.headers:
            assert "<x-evil" not in value, (rule, name)
    assert seen >= 12, "the strings must be there, or this test shows nothing"


def addresses_with(app: Flask, values: dict[str, Any]) -> set[str]:
    """Every page's address, filled in."""
    found = set()
    for rule in app.url_map.iter_rules():
        endpoint = str(rule.endpoint)
        if "GET" not in (rule.methods or set()) or endpoint in ("static", "assets.htmx"):
            continue
        if str(rule.rule).startswith("/scheduler"):
            continue
        known = {name: values.get(name, 1) for name in rule.arguments}
        with app.test_request_context():
            found.add(app.url_for(endpoint, **known))
    return found


def test_the_history_as_a_file_holds_no_formula(admin_client: PageClient, make_job: Any, make_run: Any) -> None:
    job = make_job(name=FORMULA)
    make_run(job, error=FORMULA)
    users.create(FORMULA, PASSWORD, Role.VIEWER, actor=CODE, now=NOW)
    rows = csv.reader(io.StringIO(admin_client.get("/audit/export.csv", buffered=True).text))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


# -- guessing ---------------------------------------------------------------------------------------------------------


def test_whoever_is_asked_for_the_same_work_is_done(
    app: Flask, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the clock but the work is compared: one hash of the same cost, one entry in the audit."""
    make_user("viewer")
    off = make_user("editor")
    people.set_active(off.id, False, actor=CODE, now=NOW)
    hashed: list[str] = []
    real = users.check_password_hash

    def counting(stored: str, password: str) -> bool:
        hashed.append(stored.partition("$")[0])
        return real(stored, password)

    monkeypatch.setattr(users, "check_password_hash", counting)
    work = {}
    for case, name in {
        "wrong": "viewer",
        "off": "editor",
        "unknown": "nobody",
        "not a name": "a:b",
        "empty": "",
    }.items():
        hashed.clear()
        before = db.session.query(AuditEntry).count()
        password = PASSWORD if case == "off" else "wrong password"
        assert logins.log_in(name, password, via="web", address="192.0.2.1", now=NOW) is None
        work[case] = (tuple(hashed), db.session.query(AuditEntry).count() - before)
    assert set(work.values()) == {(("scrypt:32768:8:1",), 1)}


def test_forms_of_nonsense_are_refused_and_never_break(admin_client: PageClient, make_job: Any) -> None:
    """The same few hundred nonsense fields each time: what comes back is a page or a refusal."""
    job = make_job()
    dice = random.Random(42)
    pieces = [
        "",
        "0",
        "-1",
        "1e400",
        "NaN",
        "null",
        "\x00",
        "\ud7ff",
        "🔔" * 50,
        "9" * 400,
        "../../etc",
        "%s%n",
        EVIL,
        "a\r\nb",
    ]
    names = [
        "name", "task", "trigger.kind", "trigger.minutes", "trigger.crontab", "trigger.timezone", "trigger.run_date",
        "timeout_s", "tags", "max_instances", "kwargs.message", "kwargs.x", "executor", "chains", "revision",
        "priority", "retry.max_attempts", "misfire_grace_s",
    ]  # fmt: skip
    for number in range(60):
        data = {name: dice.choice(pieces) for name in dice.sample(names, 8)}
        data.setdefault("trigger.kind", dice.choice(["interval", "cron", "date", "combined", "x"]))
        url = dice.choice(["/jobs", f"/jobs/{job.id}", "/jobs/preview", "/jobs/form", f"/jobs/{job.id}/run-with"])
        answer = admin_client.post(url, data=data)
        assert answer.status_code < 500, (number, url, data)
