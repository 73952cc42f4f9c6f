"""Dashboard, tasks, account, system, health."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.extensions import db
from webapp.services import control, jobs, tokens
from webapp.store.database import writing
from webapp.store.models import EngineEvent, SchedulerLease, User, Worker
from webapp.tasks import registry
from webapp.tasks.loading import ImportProblem


class TestDashboard:
    def test_an_empty_house_says_what_to_do_next(self, admin_client: PageClient) -> None:
        page = admin_client.page("/")
        assert text(page.select_one(".empty h2")) == "Nothing is scheduled yet"
        assert page.select('.empty a[href="/jobs/new"]')

    def test_it_shows_what_comes_what_runs_and_what_went_wrong(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job(name="Import")
        make_run(job, state="running", finished_at=None, progress=0.5, due_at=NOW - timedelta(seconds=30))
        make_run(job, state="failed", error="boom", due_at=NOW - timedelta(minutes=1))
        page = admin_client.page("/")
        sections = {str(each["aria-labelledby"]): text(each) for each in page.select("section[aria-labelledby]")}
        assert "12:01:00 in 1 min Import Every minute" in sections["next-title"]
        assert "Import" in sections["running-title"]
        assert "50 %" in sections["running-title"]
        assert "failed Import boom" in sections["failures-title"]

    def test_each_number_of_the_balance_leads_to_its_runs(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        make_run(make_job(), state="failed", due_at=NOW - timedelta(minutes=1))
        link = admin_client.page("/").select_one(".ledger a.is-failed")
        assert text(link) == "failed 1"
        assert len(admin_client.page(str(link["href"])).select("tr[id^=row-]")) == 1  # type: ignore[index]

    def test_a_scheduler_that_is_down_is_said_loudly(self, admin_client: PageClient) -> None:
        assert "No process leads the schedule" in text(admin_client.page("/").select_one(".notice--bad"))

    def test_a_poll_is_204_until_something_happens(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job()
        url = str(admin_client.page("/").select_one("#board")["hx-get"])  # type: ignore[index]
        assert admin_client.get(url, headers=HTMX).status_code == 204
        make_run(job)
        answer = admin_client.get(url, headers=HTMX)
        assert answer.status_code == 200
        assert soup(answer).select_one("#board")

    def test_the_header_shows_the_server_s_time_and_the_viewer_s(self, admin_client: PageClient) -> None:
        assert [text(clock) for clock in admin_client.page("/").select("#clocks .clock")] == ["12:00:00 UTC"]
        admin_client.set_cookie("carillon_zone", "Asia%2FTokyo")
        clocks = [text(clock) for clock in admin_client.page("/").select("#clocks .clock")]
        assert clocks == ["12:00:00 UTC", "21:00:00 JST"]


class TestTimes:
    def test_every_time_carries_the_instant_and_its_exact_text(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        make_run(make_job())
        for url in ("/", "/jobs", "/runs", "/runs/1", "/system"):
            for element in admin_client.page(url).select("main time"):
                moment = datetime.fromisoformat(str(element["datetime"]))
                assert moment.tzinfo is not None
                assert element.get("title") or element.has_attr("data-elapsed"), element

    def test_a_zone_that_does_not_exist_is_ignored(self, admin_client: PageClient) -> None:
        admin_client.set_cookie("carillon_zone", "../../etc/passwd")
        assert "UTC" in text(admin_client.page("/").select_one(".foot"))

    def test_the_account_s_zone_counts_more_than_the_browser_s(self, admin_client: PageClient) -> None:
        admin_client.set_cookie("carillon_zone", "Asia/Tokyo")
        assert admin_client.post("/account/timezone", data={"timezone": "Europe/Paris"}).status_code == 303
        assert "Europe/Paris" in text(admin_client.page("/").select_one(".foot"))

    def test_an_unknown_zone_is_refused_at_its_field(self, admin_client: PageClient) -> None:
        answer = admin_client.post("/account/timezone", data={"timezone": "Mars"})
        assert answer.status_code == 422
        assert soup(answer).select_one("#timezone-err")
        assert soup(answer).select_one("#timezone")["value"] == "Mars"  # type: ignore[index]


class TestTheme:
    def test_the_choice_is_kept_in_a_cookie_and_leads_back(self, admin_client: PageClient) -> None:
        assert admin_client.page("/jobs").html["data-theme"] == "auto"  # type: ignore[index]
        answer = admin_client.post("/preferences/theme", data={"theme": "dark", "next": "/jobs"})
        assert answer.headers["Location"] == "/jobs"
        assert admin_client.page("/jobs").html["data-theme"] == "dark"  # type: ignore[index]

    def test_an_unknown_theme_changes_nothing(self, admin_client: PageClient) -> None:
        answer = admin_client.post("/preferences/theme", data={"theme": "pink", "next": "//evil.example"})
        assert answer.headers["Location"] == "/"
        admin_client.set_cookie("carillon_theme", '"><script>')
        assert admin_client.page("/").html["data-theme"] == "auto"  # type: ignore[index]


class TestTasks:
    def test_each_task_stands_there_with_its_parameters(self, admin_client: PageClient) -> None:
        section = admin_client.page("/tasks").find(id="demo.sleep")
        assert "Sleep demo.sleep" in text(section)
        assert "seconds float 10.0 How long, all in all." in text(section)
        assert section.select('a[href="/jobs/new?task=demo.sleep"]')  # type: ignore[union-attr]

    def test_a_task_that_is_off_says_why_and_cannot_be_scheduled(self, admin_client: PageClient) -> None:
        section = admin_client.page("/tasks").find(id="shell.run")
        assert "CARILLON_SHELL_ENABLED" in text(section)
        assert not section.select('a[href^="/jobs/new"]')  # type: ignore[union-attr]

    def test_what_failed_to_import_is_reported_with_its_traceback(self, admin_client: PageClient) -> None:
        with registry.temporary():
            registry.report(ImportProblem("my.tasks", "SyntaxError: <bad>", "Traceback: here"))
            answer = admin_client.get("/tasks")
        assert "my.tasks : SyntaxError: <bad>" in text(soup(answer).select_one(".notice--bad p"))
        assert "Traceback: here" in answer.text


class TestAccount:
    def make_token(self, client: PageClient, **changes: str) -> Any:
        form = {"name": "backup script", "role": "operator", "days": "30", **changes}
        return client.post("/account/tokens", data=form)

    def test_a_token_is_shown_once_and_works(self, admin_client: PageClient) -> None:
        answer = self.make_token(admin_client)
        plain = text(soup(answer).select_one("#token"))
        found = tokens.authenticate(plain, now=NOW)
        assert found is not None
        assert found[1].value == "operator"
        page = admin_client.get("/account")
        assert plain not in page.text
        assert "backup script" in page.text

    def test_a_revoked_token_stops_working(self, admin_client: PageClient) -> None:
        plain = text(soup(self.make_token(admin_client)).select_one("#token"))
        db.session.rollback()
        token = tokens.of(db.session.query(User).one())[0]
        assert admin_client.post(f"/account/tokens/{token.id}/revoke").status_code == 303
        db.session.rollback()
        assert tokens.authenticate(plain, now=NOW) is None

    def test_nobody_hands_out_more_than_they_may_do(self, client: PageClient, login_as: Any) -> None:
        login_as(client, "viewer")
        options = [option["value"] for option in client.page("/account").select("#role option")]
        assert options == ["viewer"]
        assert self.make_token(client, role="admin").status_code == 422

    def test_somebody_else_s_token_is_not_found(
        self, client: PageClient, login_as: Any, make_user: Any, admin: User
    ) -> None:
        token, _ = tokens.create(admin, "theirs", "viewer", None, actor=CODE, now=NOW)
        login_as(client, "viewer")
        assert client.post(f"/account/tokens/{token.id}/revoke").status_code == 404

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"old": "wrong password", "new": "a longer horse", "repeat": "a longer horse"}, "old"),
            ({"old": PASSWORD, "new": "short", "repeat": "short"}, "new"),
            ({"old": PASSWORD, "new": "a longer horse", "repeat": "another"}, "repeat"),
            ({"old": "", "new": "a longer horse", "repeat": "a longer horse"}, "old"),
        ],
    )
    def test_a_bad_password_change_is_refused_at_its_field(
        self, admin_client: PageClient, form: dict[str, str], field: str
    ) -> None:
        answer = admin_client.post("/account/password", data=form)
        assert answer.status_code == 422
        assert [error["id"] for error in soup(answer).select(".error")] == [f"{field}-err"]


class TestSystem:
    def test_it_names_the_leader_the_processes_and_what_happened(self, admin_client: PageClient) -> None:
        at = datetime.now(UTC)
        with writing() as session:
            lease = session.get(SchedulerLease, 1) or SchedulerLease(id=1)
            lease.holder, lease.epoch, lease.renewed_at = "host:1:abc", 7, at
            lease.expires_at = at + timedelta(seconds=10)
            session.add(lease)
            session.add(Worker(id="host:1:abc", host="host", pid=1, started_at=at, seen_at=at, detail={}))
            session.add(
                EngineEvent(at=NOW, kind="clock_jump", message="The clock went back by 1 h.", worker="host:1:abc")
            )
        words = text(admin_client.page("/system"))
        assert "led by host:1:abc" in words
        assert "epoch 7" in words
        assert "clock jump The clock went back by 1 h." in words

    def test_it_shows_the_workers_of_celery_and_what_they_run(
        self, app: Flask, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        settings = app.config["CARILLON"]
        settings.executors = {"farm": {"type": "celery", "broker_url": "redis://127.0.0.1:1/0"}}
        assert "farm no worker is alive: its runs wait celery 0 0" in text(admin_client.page("/system"))
        run = make_run(make_job(), state="running", finished_at=None)
        at = datetime.now(UTC)
        with writing() as session:
            for name, runs in (("w1", [run.id]), ("w2", [])):
                there = {"farm": {"kind": "processpool", "max_workers": 8, "active": len(runs)}}
                detail = {"kind": "celery", "runs": runs, "stopping": not runs, "executors": there}
                session.add(Worker(id=f"{name}:1:abc", host=name, pid=1, started_at=at, seen_at=at, detail=detail))
        page = admin_client.page("/system")
        assert "farm celery 16 1" in text(page)
        assert f"w1:1:abc celery runs {run.id}" in text(page)
        assert "w2:1:abc celery stopping" in text(page)
        assert page.select(f'th a[href="/runs/{run.id}"]')

    def test_everything_can_be_paused_and_given_back(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        assert admin_client.post("/system/hold").headers["Location"] == "/system"
        db.session.rollback()
        assert control.read().mode == "paused"
        assert jobs.get(job.id).state == "active"
        assert "Everything is paused by admin" in text(admin_client.page("/"))
        admin_client.post("/system/release")
        db.session.rollback()
        assert control.read().mode == "running"


class TestHealth:
    def test_living_needs_no_login_and_no_database(self, client: PageClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(db.engine), "connect", self.broken)
        answer = client.get("/health/live")
        assert (answer.status_code, answer.get_json()) == (200, {"status": "live"})

    @staticmethod
    def broken(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    def test_ready_asks_the_database(
        self, admin_client: PageClient, monkeypatch: pytest.MonkeyPatch, app: Flask
    ) -> None:
        assert admin_client.get("/health/ready").get_json() == {"status": "ready"}
        monkeypatch.setattr("webapp.web.health.db.session.execute", self.broken)
        answer = admin_client.get("/health/ready")
        assert (answer.status_code, answer.get_json()["status"]) == (503, "not ready")

    def test_a_monitor_logs_in_as_scripts_do(self, client: PageClient, admin: Any) -> None:
        assert client.get("/health/scheduler", auth=("admin", "wrong password")).status_code == 401
        answer = client.get("/health/scheduler", auth=("admin", PASSWORD))
        assert (answer.status_code, answer.get_json()["state"]) == (503, "down")

    def test_a_database_that_is_away_is_said_on_every_page_and_to_every_script(
        self, admin_client: PageClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sqlalchemy.orm.Session.get", self.broken)
        page = admin_client.get("/jobs")
        assert page.status_code == 503
        assert "The database does not answer" in page.text
        answer = admin_client.get("/health/scheduler")
        assert (answer.status_code, answer.get_json()["error_message"][:28]) == (503, "The database does not answer")

    def test_the_scheduler_is_unhealthy_while_nobody_leads(self, admin_client: PageClient, make_job: Any) -> None:
        make_job()
        answer = admin_client.get("/health/scheduler")
        body = answer.get_json()
        assert answer.status_code == 503
        assert (body["status"], body["running"], body["state"]) == ("unhealthy", False, "down")
        assert (body["total_jobs"], body["jobstores"], body["executors"]) == (1, ["default"], ["default"])
        assert "No process leads" in body["problem"]
