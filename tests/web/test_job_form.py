"""The job form: what is typed becomes a job, what is wrong comes back with its message and with what was typed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest

from tests.conftest import CODE, NOW
from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.extensions import db
from webapp.services import jobs
from webapp.store.models import Job, JobRevision, Run
from webapp.tasks import Secret, registry
from webapp.web.presenters import preview

BASE = {
    "task": "demo.echo", "name": "Morning import", "trigger.timezone": "Europe/Berlin", "kwargs.sent": "demo.echo",
    "kwargs.message": "Hello", "kwargs.values": "", "overlap": "skip", "max_instances": "1", "coalesce": "1",
    "retry.max_attempts": "1", "executor": "default", "priority": "0",
}  # fmt: skip
INTERVAL = {**BASE, "trigger.kind": "interval", "trigger.minutes": "15"}
DEPLOY = "Bearer {{secret:deploy}}"
CRON = {**BASE, "trigger.kind": "cron", "trigger.written": "crontab", "trigger.crontab": "0 9 * * 1-5"}
FIELDS = {**BASE, "trigger.kind": "cron", "trigger.written": "fields", "trigger.day": "last", "trigger.hour": "18"}
DATE = {**BASE, "trigger.kind": "date", "trigger.run_date": "2026-12-24T18:00"}


def report(
    day: datetime,
    password: Annotated[str, Secret()],
    kind: Literal["daily", "weekly"] = "daily",
    rows: int = 10,
    columns: list[str] | None = None,
    dry_run: bool = True,
) -> None:
    """Write a report.

    Args:
        day: Which day it is about.
        rows: How many rows at most.
    """


@pytest.fixture
def report_task() -> Any:
    with registry.temporary():
        yield registry.register(report, key="test.report", title="Report")


def only_job() -> Job:
    db.session.rollback()
    db.session.expire_all()
    return db.session.query(Job).one()


def values(page: Any) -> dict[str, Any]:
    """What a browser would send back if the form were submitted as it stands."""
    sent: dict[str, Any] = {}
    form = page.select_one("#job-form")
    for control in form.select("input[name], textarea[name]"):
        if control.get("type") in ("checkbox", "radio") and not control.has_attr("checked"):
            continue
        value = control.text.removeprefix("\n") if control.name == "textarea" else control.get("value", "")
        sent.setdefault(control["name"], []).append(value)
    for select in form.select("select[name]"):
        chosen = select.select_one("option[selected]") or select.select_one("option")
        sent.setdefault(select["name"], []).append(chosen.get("value", chosen.text))
    return sent


def error(page: Any, name: str) -> str:
    return text(page.find(id=f"{name}-err"))


@pytest.mark.parametrize(
    ("form", "kind", "next_due"),
    [
        (INTERVAL, "interval", datetime(2026, 6, 1, 12, 15, tzinfo=UTC)),
        (CRON, "cron", datetime(2026, 6, 2, 7, 0, tzinfo=UTC)),
        (FIELDS, "cron", datetime(2026, 6, 30, 16, 0, tzinfo=UTC)),
        (DATE, "date", datetime(2026, 12, 24, 17, 0, tzinfo=UTC)),
    ],
)
def test_each_kind_of_schedule_is_made_by_a_plain_post(
    admin_client: PageClient, form: dict[str, str], kind: str, next_due: datetime
) -> None:
    answer = admin_client.post("/jobs", data=form)
    job = only_job()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job.id}")
    assert (job.name, job.trigger["kind"], job.next_due_at, job.created_by) == (
        "Morning import",
        kind,
        next_due,
        "admin",
    )
    assert "is scheduled" in text(admin_client.page(f"/jobs/{job.id}").select_one("#notices"))


def test_with_htmx_the_browser_is_sent_to_the_job(admin_client: PageClient) -> None:
    answer = admin_client.post("/jobs", data=INTERVAL, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.data) == (204, f"/jobs/{only_job().id}", b"")


def test_every_option_reaches_the_job(admin_client: PageClient, make_job: Any) -> None:
    other = make_job(id="after-me")
    form = {
        **CRON, "id": "my-job", "tags": "shop  night, shop", "description": "For Grace.", "overlap": "queue",
        "max_instances": "2", "misfire_grace_s": "1.5", "misfire_grace_s.unit": "h", "coalesce": "0",
        "timeout_s": "90", "timeout_s.unit": "s", "retry.max_attempts": "4", "retry.delay_s": "2",
        "retry.delay_s.unit": "min", "retry.backoff": "fixed", "retry.only_on": "OSError timed_out",
        "auto_pause_after": "5", "chains.job_id": [other.id, ""], "chains.on": ["always", "success"],
        "group": "warehouse", "priority": "7", "rerun_if_lost": "y", "trigger.gap": "end", "trigger.jitter": "30",
        "trigger.start_date": "2026-06-10T00:00", "trigger.end_date": "2027-01-01T00:00",
    }  # fmt: skip
    answer = admin_client.post("/jobs", data=form)
    assert answer.status_code == 303, text(soup(answer))
    db.session.rollback()
    job = jobs.get("my-job")
    assert (job.tags, job.description, job.overlap, job.max_instances) == (["night", "shop"], "For Grace.", "queue", 2)
    assert (job.misfire_grace_s, job.coalesce, job.timeout_s, job.priority) == (5400, False, 90.0, 7)
    assert job.retry == {
        "max_attempts": 4, "delay_s": 120.0, "backoff": "fixed", "only_on": ["OSError", "timed_out"],
    }  # fmt: skip
    assert (job.auto_pause_after, job.group, job.rerun_if_lost) == (5, "warehouse", True)
    assert job.chains == [{"job_id": "after-me", "on": "always"}]
    assert (job.trigger["gap"], job.trigger["jitter"]) == ("end", 30)
    assert job.trigger["start_date"].startswith("2026-06-10T00:00:00+02:00")


def test_an_empty_grace_means_the_default_of_the_kind(admin_client: PageClient) -> None:
    admin_client.post("/jobs", data={**INTERVAL, "id": "a"})
    admin_client.post("/jobs", data={**DATE, "id": "b"})
    admin_client.post("/jobs", data={**INTERVAL, "id": "c", "misfire_any": "y", "misfire_grace_s": "5"})
    assert [jobs.get(job_id).misfire_grace_s for job_id in "abc"] == [3600, None, None]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"task": ""}, "task", "Choose a task."),
        ({"trigger.minutes": "0"}, "trigger.minutes", "at least 1 second"),
        ({"trigger.minutes": "soon"}, "trigger.minutes", "whole number"),
        ({"trigger.timezone": "Mars/Olympus"}, "trigger.timezone", "IANA"),
        ({"trigger.jitter": "99999"}, "trigger.jitter", "at most"),
        ({"trigger.end_date": "2020-01-01T00:00"}, "trigger.end_date", "passed"),
        ({"id": "a/b"}, "id", "No spaces"),
        ({"trigger.kind": "cron", "trigger.written": "fields", "trigger.hour": "99"}, "trigger.hour", "99 is outside"),
        ({"max_instances": "many"}, "max_instances", "whole number"),
        ({"timeout_s": "long"}, "timeout_s", "number of seconds"),
        ({"priority": "1000"}, "priority", "between"),
        ({"retry.max_attempts": "0"}, "retry.max_attempts", "between"),
        ({"retry.max_attempts": "3", "retry.only_on": "not-a-name!"}, "retry.only_on", "exception"),
        ({"tags": 'qu"ote'}, "tags", "tag"),
        ({"chains.job_id": "nobody", "chains.on": "success"}, "chains", "no job"),
        ({"overlap": "dance"}, "overlap", "none of"),
        ({"executor": "moon"}, "executor", "none of"),
    ],
)
def test_what_is_wrong_comes_back_at_its_field_with_what_was_typed(
    admin_client: PageClient, changes: dict[str, str], field: str, message: str
) -> None:
    answer = admin_client.post("/jobs", data={**INTERVAL, **changes})
    page = soup(answer)
    assert answer.status_code == 422
    assert message in error(page, field)
    assert page.select_one(f'.summary a[href="#{field}"]')
    assert page.select_one("#name")["value"] == "Morning import"  # type: ignore[index]
    typed = changes.get(field) or changes.get(f"{field}.job_id", "")
    control = page.find(id=field)
    if control.name == "input" and control.get("type") != "radio":
        assert control["value"] == typed
        assert control["aria-invalid"] == "true"
        assert f"{field}-err" in control["aria-describedby"]
    assert db.session.query(Job).count() == 0
    assert db.session.query(JobRevision).count() == 0


def test_all_messages_come_at_once_and_the_first_field_has_the_cursor(admin_client: PageClient) -> None:
    answer = admin_client.post(
        "/jobs", data={**INTERVAL, "trigger.minutes": "", "priority": "x", "task": "demo.sleep", "kwargs.steps": "none"}
    )
    page = soup(answer)
    linked = {link["href"] for link in page.select(".summary a")}
    assert linked == {"#trigger.seconds", "#priority", "#kwargs.steps"}
    assert [control["id"] for control in page.select("[autofocus]")] == ["trigger.seconds"]


def test_a_refused_form_for_htmx_is_only_the_form(admin_client: PageClient) -> None:
    answer = admin_client.post("/jobs", data={**INTERVAL, "trigger.minutes": "0"}, headers=HTMX)
    assert answer.status_code == 422
    assert "<html" not in answer.text
    form = soup(answer).select_one("form")
    assert (form["id"], form["hx-swap"], form["hx-target"]) == ("job-form", "outerHTML", "this")  # type: ignore[index]


def test_a_taken_id_is_said_at_its_field(admin_client: PageClient, make_job: Any) -> None:
    make_job(id="taken")
    answer = admin_client.post("/jobs", data={**INTERVAL, "id": "taken"})
    assert answer.status_code == 409
    assert "already a job" in error(soup(answer), "id")


def test_an_unknown_time_and_a_repeated_one_say_what_to_do(admin_client: PageClient) -> None:
    gone = soup(admin_client.post("/jobs", data={**DATE, "trigger.run_date": "2027-03-28T02:30"}))
    assert "does not exist" in error(gone, "trigger.run_date")
    twice = {**DATE, "trigger.run_date": "2026-10-25T02:30"}
    page = soup(admin_client.post("/jobs", data=twice))
    assert "comes twice" in error(page, "trigger.fold")
    assert {radio["value"] for radio in page.select("input[name='trigger.fold']")} == {"0", "1"}
    admin_client.post("/jobs", data={**twice, "trigger.fold": "1"})
    assert only_job().next_due_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


class TestParts:
    """The fields that depend on another field, with and without JavaScript."""

    @pytest.mark.parametrize(
        ("kind", "present", "absent"),
        [
            ("interval", "trigger.hours", "trigger.crontab"),
            ("cron", "trigger.crontab", "trigger.hours"),
            ("date", "trigger.run_date", "trigger.crontab"),
        ],
    )
    def test_the_fields_change_with_the_kind(
        self, admin_client: PageClient, kind: str, present: str, absent: str
    ) -> None:
        form = {**BASE, "trigger.kind": kind}
        with_htmx = admin_client.post("/jobs/form?of=schedule", data=form, headers=HTMX)
        plain = admin_client.post("/jobs", data={**form, "do": "refresh"})
        assert with_htmx.headers["HX-Trigger-After-Settle"] == "schedule-changed"
        for answer in (with_htmx, plain):
            assert answer.status_code == 200
            page = soup(answer)
            assert page.find(id=present)
            assert not page.find(id=absent)
        assert db.session.query(Job).count() == 0

    def test_the_parameters_change_with_the_task(self, admin_client: PageClient, report_task: Any) -> None:
        form = {**INTERVAL, "task": "test.report"}
        for answer in (
            admin_client.post("/jobs/form?of=task", data=form, headers=HTMX),
            admin_client.post("/jobs", data={**form, "do": "refresh"}),
        ):
            page = soup(answer)
            ids = [
                control["id"]
                for control in page.select("[id^='kwargs.']")
                if control.name in ("input", "select", "textarea")
            ]
            assert ids == [f"kwargs.{n}" for n in ("day", "password", "kind", "rows", "columns", "dry_run")]
            assert page.find(id="kwargs.day")["type"] == "datetime-local"  # type: ignore[index]
            assert page.find(id="kwargs.password")["placeholder"] == "{{secret:NAME}}"  # type: ignore[index]
            assert page.find(id="kwargs.dry_run").has_attr("checked")  # type: ignore[union-attr]
            assert page.find(id="kwargs.columns").name == "textarea"  # type: ignore[union-attr]
            assert text(page.find(id="kwargs.rows-help")) == "How many rows at most."
            assert page.find(id="kwargs.rows")["value"] == "10"  # type: ignore[index]

    def test_a_task_chosen_without_seeing_its_fields_takes_their_defaults(
        self, admin_client: PageClient, report_task: Any, make_secret: Any
    ) -> None:
        make_secret("deploy")
        form = {**INTERVAL, "task": "test.report", "kwargs.day": "2026-06-01T00:00", "kwargs.password": DEPLOY}
        assert admin_client.post("/jobs", data=form).status_code == 303
        assert "dry_run" not in only_job().kwargs
        sent = values(admin_client.page(f"/jobs/{only_job().id}/edit"))
        del sent["kwargs.dry_run"]
        admin_client.post(f"/jobs/{only_job().id}", data=sent)
        assert only_job().kwargs["dry_run"] is False

    def test_a_crontab_line_becomes_fields_and_back(self, admin_client: PageClient) -> None:
        headers = {**HTMX, "HX-Trigger-Name": "trigger.written"}
        form = {**BASE, "trigger.kind": "cron", "trigger.written": "fields", "trigger.crontab": "30 6 * * 1-5"}
        page = soup(admin_client.post("/jobs/form?of=schedule", data=form, headers=headers))
        shown = {name: page.find(id=f"trigger.{name}")["value"] for name in ("minute", "hour", "day_of_week")}  # type: ignore[index]
        assert shown == {"minute": "30", "hour": "6", "day_of_week": "mon-fri"}
        back = {**BASE, "trigger.kind": "cron", "trigger.written": "crontab"}
        back.update({f"trigger.{name}": str(value) for name, value in shown.items()})
        page = soup(admin_client.post("/jobs/form?of=schedule", data=back, headers=headers))
        assert page.find(id="trigger.crontab")["value"] == "30 6 * * mon-fri"  # type: ignore[index]


class TestPreview:
    def preview(self, client: PageClient, form: dict[str, str]) -> Any:
        answer = client.post("/jobs/preview", data=form, headers=HTMX)
        assert answer.status_code == 200
        return soup(answer)

    def test_it_says_the_schedule_in_words_with_ten_due_times(self, admin_client: PageClient) -> None:
        page = self.preview(admin_client, CRON)
        assert text(page.select_one(".words")) == "At 09:00, Monday to Friday (Europe/Berlin)"
        assert len(page.select("tbody tr")) == 10
        assert "Tue 2 Jun 09:00 CEST" in text(page.select_one("tbody tr"))

    @pytest.mark.parametrize(
        ("form", "echo"),
        [
            (CRON, "As fields: minute 0, hour 9, day of week mon-fri"),
            (FIELDS, "As a crontab line: 0 18 L * *"),
            ({**CRON, "trigger.crontab": "0 0 13 * 5"}, "Eight fields cannot say this."),
            ({**FIELDS, "trigger.year": "2027"}, "A crontab line cannot say this."),
        ],
    )
    def test_the_other_way_of_writing_it_stays_in_step(
        self, admin_client: PageClient, form: dict[str, str], echo: str
    ) -> None:
        assert text(self.preview(admin_client, form).select_one(".echo")) == echo

    def test_hazards_are_named(self, admin_client: PageClient) -> None:
        page = self.preview(admin_client, {**CRON, "trigger.crontab": "30 2 31 * *"})
        hazards = " ".join(text(hazard) for hazard in page.select(".hazard"))
        assert "no day 31" in hazards
        assert "clock" in hazards

    def test_a_twin_is_named_however_many_other_jobs_there_are(
        self, admin_client: PageClient, make_job: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(preview, "OTHERS_MAX", 1)
        make_job(name="A job before it")
        make_job(
            name="A job after it", trigger={"kind": "cron", "crontab": "0 10 * * 1-5", "timezone": "Europe/Berlin"}
        )
        make_job(name="Twin", trigger={"kind": "cron", "crontab": "0 9 * * 1-5", "timezone": "Europe/Berlin"})
        assert "“Twin”" in text(self.preview(admin_client, CRON).select_one(".hazard"))

    @pytest.mark.parametrize("line", ["", "0 2", "0 2 30 2 *", "99 * * * *", "0 2 * * * 2027"])
    def test_half_typed_input_is_no_error_page(self, admin_client: PageClient, line: str) -> None:
        page = self.preview(admin_client, {**CRON, "trigger.crontab": line})
        assert text(page.select_one(".words")) == "Not a schedule yet"
        assert page.select(".hazard--note")


class TestEdit:
    def test_saving_what_is_shown_changes_nothing(
        self, admin_client: PageClient, make_job: Any, make_secret: Any
    ) -> None:
        """For every kind of schedule, with everything set: no new revision, no changed due time."""
        specs: list[dict[str, Any]] = [
            {"kind": "interval", "hours": 1, "minutes": 30, "timezone": "Europe/Berlin", "jitter": 60},
            {"kind": "cron", "crontab": "0 9 * * 1-5", "timezone": "America/New_York", "gap": "end"},
            {"kind": "cron", "day": "last", "hour": 18, "timezone": "UTC", "start_date": "2026-07-01T00:00:30"},
            {"kind": "date", "run_date": "2026-10-25T02:30", "fold": 1, "timezone": "Europe/Berlin"},
            {"kind": "combined", "any": [{"kind": "interval", "hours": 2}, {"kind": "cron", "crontab": "5 5 * * *"}]},
        ]
        for number, spec in enumerate(specs):
            make_job(id=f"job{number}", trigger=spec, timeout_s=0.5, misfire_grace_s=None, tags=["a", "b"], priority=-3)
        make_secret("deploy")
        make_job(
            id="job5", task="http.request",
            kwargs={"url": "http://x.example", "headers": {"A": "1"}, "authorization": DEPLOY, "body": "a\nb"},
            retry={"max_attempts": 2, "delay_s": 3600, "backoff": "exponential", "only_on": ["OSError"]},
            chains=[{"job_id": "job0", "on": "failure"}], auto_pause_after=2, group="g", rerun_if_lost=True,
        )  # fmt: skip
        for number in range(6):
            before = jobs.definition(jobs.get(f"job{number}"))
            sent = values(admin_client.page(f"/jobs/job{number}/edit"))
            answer = admin_client.post(f"/jobs/job{number}", data=sent)
            assert answer.status_code == 303, text(soup(answer).select_one(".summary"))
            db.session.rollback()
            db.session.expire_all()
            job = jobs.get(f"job{number}")
            assert jobs.definition(job) == before
            assert job.revision == 1

    def test_one_changed_field_makes_one_revision(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(trigger={"kind": "interval", "minutes": 5, "timezone": "UTC"}, timeout_s=60)
        sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
        answer = admin_client.post(f"/jobs/{job.id}", data={**sent, "name": "Renamed"})
        assert answer.headers["Location"] == f"/jobs/{job.id}"
        job = only_job()
        assert (job.name, job.revision, job.timeout_s, job.updated_by) == ("Renamed", 2, 60.0, "admin")

    def test_the_spelling_of_a_script_s_task_is_kept(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(task=None, func="webapp.tasks.builtin.demo:echo", args=["Hi"])
        sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
        assert sent["kwargs.message"] == ["Hi"]
        admin_client.post(f"/jobs/{job.id}", data={**sent, "name": "Renamed"})
        job = only_job()
        assert (job.name, job.func, job.args, job.kwargs) == ("Renamed", "webapp.tasks.builtin.demo:echo", ["Hi"], {})

    def test_a_secret_is_a_reference_and_a_plain_value_is_refused_and_not_sent_back(
        self, admin_client: PageClient, make_job: Any, make_secret: Any
    ) -> None:
        make_secret("deploy")
        make_secret("other")
        job = make_job(task="http.request", kwargs={"url": "http://x.example", "authorization": DEPLOY})
        page = admin_client.page(f"/jobs/{job.id}/edit")
        assert page.find(id="kwargs.authorization")["value"] == DEPLOY  # type: ignore[index]
        offered = [option["value"] for option in page.select('[id="kwargs.authorization-secrets"] option')]
        assert offered == ["{{secret:deploy}}", "{{secret:other}}"]
        sent = values(page)
        admin_client.post(f"/jobs/{job.id}", data={**sent, "name": "Renamed"})
        assert only_job().kwargs["authorization"] == DEPLOY
        sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
        for bad, told in (("hunter2", "is kept from view"), ("{{secret:nobody}}", "secret that is not there: nobody")):
            answer = admin_client.post(f"/jobs/{job.id}", data={**sent, "kwargs.authorization": bad})
            assert answer.status_code == 422
            assert told in text(soup(answer).find(id="kwargs.authorization-err")).lower()
            assert "hunter2" not in answer.text
        admin_client.post(f"/jobs/{job.id}", data={**sent, "kwargs.authorization": "{{secret:other}}"})
        assert only_job().kwargs["authorization"] == "{{secret:other}}"
        sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
        admin_client.post(f"/jobs/{job.id}", data={**sent, "kwargs.authorization": ""})
        assert not only_job().kwargs.get("authorization")

    def test_a_pause_survives_an_edit(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        jobs.pause(job.id, actor=CODE, now=NOW)
        sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
        admin_client.post(f"/jobs/{job.id}", data={**sent, "trigger.minutes": "7"})
        job = only_job()
        assert (job.state, job.next_due_at, job.trigger["minutes"]) == ("paused", None, 7)

    def test_somebody_else_s_edit_is_not_overwritten(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        sent = values(admin_client.page(f"/jobs/{job.id}/edit"))
        jobs.patch(job.id, {"name": "Theirs"}, actor=CODE, now=NOW)
        answer = admin_client.post(f"/jobs/{job.id}", data={**sent, "name": "Mine"})
        page = soup(answer)
        assert answer.status_code == 409
        assert "saved revision 2" in text(page.select_one(".summary"))
        assert page.select_one("#name")["value"] == "Mine"  # type: ignore[index]
        assert only_job().name == "Theirs"

    def test_a_missing_task_stays_in_the_list(
        self, admin_client: PageClient, make_job: Any, report_task: Any, make_secret: Any
    ) -> None:
        make_secret("deploy")
        job = make_job(task="test.report", kwargs={"day": "2026-06-01T00:00:00", "password": DEPLOY})
        registry._by_key.pop("test.report")
        registry._by_reference.pop(report_task.reference)
        page = admin_client.page(f"/jobs/{job.id}/edit")
        assert text(page.select_one("#task option[selected]")) == "test.report (not available)"
        assert "not available" in text(admin_client.page(f"/jobs/{job.id}"))


class TestClone:
    def test_a_clone_is_a_new_job_with_the_same_content(
        self, admin_client: PageClient, make_job: Any, make_secret: Any
    ) -> None:
        make_secret("deploy")
        job = make_job(
            task="http.request", name="First", tags=["a"], timeout_s=5,
            kwargs={"url": "http://x.example", "authorization": DEPLOY},
        )  # fmt: skip
        page = admin_client.page(f"/jobs/{job.id}/clone")
        assert page.select_one("#name")["value"] == "Copy of First"  # type: ignore[index]
        answer = admin_client.post("/jobs", data=values(page))
        db.session.rollback()
        copy = jobs.get(answer.headers["Location"].removeprefix("/jobs/"))
        assert copy.id != job.id
        assert (copy.tags, copy.timeout_s, copy.kwargs["authorization"]) == (["a"], 5.0, DEPLOY)


class TestRunWith:
    def test_one_run_gets_other_arguments_and_the_job_keeps_its_own(
        self, admin_client: PageClient, make_job: Any
    ) -> None:
        job = make_job(kwargs={"message": "usual"})
        page = admin_client.page(f"/jobs/{job.id}/run")
        assert page.find(id="kwargs.message")["value"] == "usual"  # type: ignore[index]
        answer = admin_client.post(f"/jobs/{job.id}/run-with", data={"kwargs.message": "special", "kwargs.values": ""})
        db.session.rollback()
        run = db.session.query(Run).one()
        assert answer.headers["Location"] == f"/runs/{run.id}"
        assert run.kwargs == {"message": "special"}
        assert only_job().kwargs == {"message": "usual"}

    def test_wrong_arguments_come_back_at_their_field(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(task="demo.sleep")
        answer = admin_client.post(f"/jobs/{job.id}/run-with", data={"kwargs.seconds": "-1", "kwargs.steps": "x"})
        page = soup(answer)
        assert answer.status_code == 422
        assert error(page, "kwargs.seconds")
        assert error(page, "kwargs.steps")
        assert page.find(id="kwargs.steps")["value"] == "x"  # type: ignore[index]
        assert db.session.query(Run).count() == 0


def test_a_link_from_the_tasks_page_chooses_the_task(admin_client: PageClient) -> None:
    page = admin_client.page("/jobs/new?task=demo.sleep")
    assert page.select_one("#task option[selected]")["value"] == "demo.sleep"  # type: ignore[index]
    assert page.find(id="kwargs.seconds")
    assert not admin_client.page("/jobs/new?task=nobody").select("[id^='kwargs.']")
