"""The list of jobs, one job's page, and what their buttons do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import CODE, NOW
from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.extensions import db
from webapp.services import jobs
from webapp.services.due import settle_job
from webapp.store.database import writing
from webapp.store.models import Job, Run


def stored(job_id: str) -> Job:
    """The job as it is now: a new transaction, so that what pages have committed is seen."""
    db.session.rollback()
    db.session.expire_all()
    return jobs.get(job_id)


def names(page: Any) -> list[str]:
    return [text(link) for link in page.select("table.jobs a.name")]


def test_an_empty_catalogue_says_what_to_do_next(admin_client: PageClient) -> None:
    page = admin_client.page("/jobs")
    assert text(page.select_one(".empty h2")) == "No jobs yet"
    assert page.select('.empty a[href="/jobs/new"]')


def test_a_row_tells_schedule_history_last_and_next(admin_client: PageClient, make_job: Any, make_run: Any) -> None:
    job = make_job(name="Import orders", tags=["shop"], trigger={"kind": "interval", "minutes": 5, "timezone": "UTC"})
    make_run(job, state="failed", due_at=NOW - timedelta(minutes=10), error="boom")
    make_run(job, due_at=NOW - timedelta(minutes=5))
    row = admin_client.page("/jobs").select_one(f"#job-{job.id}")
    words = text(row)
    assert "Import orders" in words
    assert "shop" in words
    assert "Every 5 minutes" in words
    assert "succeeded" in words
    assert "12:05:00" in words
    assert "in 5 min" in words
    assert row.select_one("svg.strip")["aria-label"] == "Last 2 runs: 1 failed, 1 succeeded"  # type: ignore[union-attr,index]


def test_names_and_errors_are_text_and_never_markup(admin_client: PageClient, make_job: Any, make_run: Any) -> None:
    evil = "<script>alert(1)</script>"
    job = make_job(name=evil, description=evil, kwargs={"message": evil})
    make_run(job, state="failed", error=evil, traceback=evil)
    run = db.session.query(Run).one()
    for url in ("/", "/jobs", f"/jobs/{job.id}", f"/jobs/{job.id}/edit", "/runs", f"/runs/{run.id}"):
        answer = admin_client.get(url)
        assert "<script>alert" not in answer.text, url
        assert "&lt;script&gt;alert" in answer.text, url


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=beta", ["Beta"]),
        ("q=echo", ["Alpha", "Beta"]),
        ("state=paused", ["Beta"]),
        ("state=active&state=paused", ["Alpha", "Beta", "Gamma"]),
        ("task=demo.sleep", ["Gamma"]),
        ("tag=night", ["Alpha"]),
        ("sort=-name", ["Gamma", "Beta", "Alpha"]),
        ("sort=next", ["Gamma", "Alpha", "Beta"]),
    ],
)
def test_the_address_filters_and_sorts(
    admin_client: PageClient, make_job: Any, query: str, expected: list[str]
) -> None:
    make_job(name="Alpha", tags=["night"], trigger={"kind": "interval", "hours": 2})
    beta = make_job(name="Beta")
    make_job(name="Gamma", task="demo.sleep", trigger={"kind": "interval", "hours": 1})
    jobs.pause(beta.id, actor=CODE, now=NOW)
    page = admin_client.page(f"/jobs?{query}")
    assert names(page) == expected
    assert page.select_one('th a[href*="sort="]')


def test_the_sorted_column_says_so(admin_client: PageClient, make_job: Any) -> None:
    make_job()
    heading = admin_client.page("/jobs?sort=-next").select_one("th[aria-sort]")
    assert text(heading) == "Next"
    assert heading["aria-sort"] == "descending"  # type: ignore[index]


def test_a_filter_that_fits_nothing_offers_the_way_back(admin_client: PageClient, make_job: Any) -> None:
    make_job()
    page = admin_client.page("/jobs?q=zzz")
    assert text(page.select_one(".empty h2")) == "No job fits this filter"
    assert page.select('.empty a[href="/jobs"]')


def test_an_address_that_cannot_be_read_shows_everything_and_says_so(admin_client: PageClient, make_job: Any) -> None:
    make_job(name="Alpha")
    answer = admin_client.get("/jobs?sort=nonsense")
    assert answer.status_code == 400
    assert names(soup(answer)) == ["Alpha"]
    assert "nonsense" in text(soup(answer).select_one(".notice--bad"))


def test_a_long_list_has_pages_that_keep_the_filter(admin_client: PageClient, make_job: Any) -> None:
    for number in range(53):
        make_job(name=f"Job {number:02d}")
    first = admin_client.page("/jobs?q=Job")
    assert len(names(first)) == 50
    assert "1 to 50 of 53 jobs" in text(first.select_one(".pages"))
    following = str(first.select_one('a[rel="next"]')["href"])  # type: ignore[index]
    second = admin_client.page(following)
    assert names(second) == ["Job 50", "Job 51", "Job 52"]
    assert names(admin_client.page(str(second.select_one('a[rel="prev"]')["href"]))) == names(first)  # type: ignore[index]


class TestPolling:
    def poll_url(self, page: Any, selector: str = "#job-list") -> str:
        return str(page.select_one(selector)["hx-get"])

    def test_nothing_changed_means_no_swap(self, admin_client: PageClient, make_job: Any) -> None:
        make_job()
        url = self.poll_url(admin_client.page("/jobs"))
        answer = admin_client.get(url, headers=HTMX)
        assert (answer.status_code, answer.data) == (204, b"")

    def test_a_change_brings_the_same_partial_with_a_new_rev(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job()
        page = admin_client.page("/jobs")
        url = self.poll_url(page)
        make_run(job)
        answer = admin_client.get(url, headers=HTMX)
        fresh = soup(answer).select_one("#job-list")
        assert answer.status_code == 200
        assert self.poll_url(soup(answer)) != url
        assert fresh["hx-swap"] == "outerHTML"  # type: ignore[index]
        whole = admin_client.page("/jobs").select_one("#job-list")
        for part in (fresh, whole):
            part.select_one("[name=csrf_token]").decompose()  # type: ignore[union-attr]  # each second has its own
        assert str(fresh).replace("\n", "") == str(whole).replace("\n", "")

    def test_live_off_does_not_poll_and_stays_off(self, admin_client: PageClient, make_job: Any) -> None:
        make_job()
        page = admin_client.page("/jobs")
        off = str(page.select_one("#live-switch")["href"])  # type: ignore[index]
        page = admin_client.page(off)
        assert not page.select("[hx-get][data-poll]")
        assert "live=0" in str(page.select_one("th a")["href"])  # type: ignore[index]
        assert text(page.select_one("#live-switch")) == "Live off"

    def test_controls_in_the_refreshed_part_have_ids(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        for url, selector in (("/jobs", "#job-list"), (f"/jobs/{job.id}", "#job")):
            part = admin_client.page(url).select_one(selector)
            for control in part.select("tbody a:not(.tag), tbody button, .actions button"):  # type: ignore[union-attr]
                assert control.get("id"), control

    def test_a_deleted_job_s_poll_ends_in_a_notice(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        url = self.poll_url(admin_client.page(f"/jobs/{job.id}"), "#job")
        jobs.delete(job.id, actor=CODE, now=NOW)
        answer = admin_client.get(url, headers=HTMX)
        assert answer.status_code == 404
        assert "no job" in json.loads(answer.headers["HX-Trigger"])["notice"]["text"]


class TestButtons:
    def test_pause_and_resume_without_javascript_come_back_to_the_list(
        self, admin_client: PageClient, make_job: Any
    ) -> None:
        job = make_job()
        for verb, state in (("pause", "paused"), ("resume", "active")):
            answer = admin_client.post(f"/jobs/{job.id}/{verb}", data={"next": "/jobs?q=job"})
            assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs?q=job")
            assert stored(job.id).state == state
        assert "back on its schedule" in text(admin_client.page("/jobs").select_one("#notices"))

    def test_with_htmx_only_the_row_is_swapped(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        answer = admin_client.post(f"/jobs/{job.id}/pause", headers=HTMX)
        assert answer.status_code == 200
        assert soup(answer).find(True)["id"] == f"job-{job.id}"  # type: ignore[index]
        assert "paused" in answer.text
        assert json.loads(answer.headers["HX-Trigger"])["notice"]["kind"] == "good"

    def test_run_now_queues_a_run_by_hand(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        admin_client.post(f"/jobs/{job.id}/run")
        run = db.session.query(Run).one()
        assert (run.state, run.trigger, run.requested_by) == ("queued", "manual", "admin")
        assert stored(job.id).next_due_at == NOW + timedelta(minutes=1)

    def test_the_buttons_of_a_row_need_no_form_of_their_own(self, admin_client: PageClient, make_job: Any) -> None:
        make_job()
        form = admin_client.page("/jobs").select_one("#job-list form")
        assert form["method"] == "post"  # type: ignore[index]
        assert {button["formaction"].rpartition("/")[2] for button in form.select("button")} == {"run", "pause"}  # type: ignore[union-attr]

    def test_a_pause_with_an_end_is_read_in_the_viewer_s_zone(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        admin_client.set_cookie("carillon_zone", "America%2FNew_York")
        answer = admin_client.post(f"/jobs/{job.id}/pause", data={"until": "2026-06-02T08:00"})
        assert answer.status_code == 303
        assert stored(job.id).resume_at == datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
        assert "goes on by itself at Tue 2 Jun 2026, 08:00:00" in text(
            admin_client.page(f"/jobs/{job.id}").select_one(".notice:not(#notices *)")
        )

    @pytest.mark.parametrize("until", ["yesterday", "2020-01-01T10:00"])
    def test_a_pause_that_cannot_end_then_is_refused_at_its_field(
        self, admin_client: PageClient, make_job: Any, until: str
    ) -> None:
        job = make_job()
        answer = admin_client.post(f"/jobs/{job.id}/pause", data={"until": until})
        assert answer.status_code == 422
        assert soup(answer).select_one("#until-err")
        assert stored(job.id).state == "active"

    def test_deleting_asks_first_and_says_what_stays(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job(name="Old import")
        make_run(job)
        page = admin_client.page(f"/jobs/{job.id}/delete")
        assert "1, which stay" in text(page.select_one(".facts"))
        assert "Mon 1 Jun 2026, 12:01:00" in text(page.select_one(".facts"))
        answer = admin_client.post(f"/jobs/{job.id}/delete")
        assert answer.headers["Location"] == "/jobs"
        assert db.session.query(Job).count() == 0
        assert "Old import (deleted)" in text(admin_client.page("/runs/1").select_one(".over"))


class TestJobPage:
    def test_it_shows_due_times_in_the_job_s_zone_the_viewer_s_and_utc(
        self, admin_client: PageClient, make_job: Any
    ) -> None:
        job = make_job(trigger={"kind": "cron", "crontab": "0 9 * * *", "timezone": "Asia/Tokyo"})
        admin_client.set_cookie("carillon_zone", "America%2FNew_York")
        table = admin_client.page(f"/jobs/{job.id}").select_one(".due-times")
        assert [text(th) for th in table.select("thead th")] == ["Asia/Tokyo", "America/New_York", "UTC", "In"]  # type: ignore[union-attr]
        first = table.select_one("tbody tr")  # type: ignore[union-attr]
        assert [text(cell) for cell in first.find_all(["th", "td"])] == [  # type: ignore[union-attr]
            "Tue 2 Jun 09:00 JST",
            "Mon 1 Jun 20:00",
            "00:00",
            "in 12 h",
        ]

    def test_a_clock_change_is_announced_with_its_date(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(trigger={"kind": "cron", "crontab": "30 2 * * *", "timezone": "Europe/Berlin"})
        hazard = text(admin_client.page(f"/jobs/{job.id}").select_one(".hazard"))
        assert "25 October 2026" in hazard
        assert "runs the first time only" in hazard

    def test_its_rules_stand_there_in_plain_words(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(
            overlap="queue", timeout_s=90, misfire_grace_s=600, coalesce=False, auto_pause_after=3,
            retry={"max_attempts": 3, "delay_s": 30, "backoff": "fixed", "only_on": ["OSError"]},
        )  # fmt: skip
        words = text(admin_client.page(f"/jobs/{job.id}"))
        for sentence in (
            "while it is still running, one more waits",
            "run it up to 10 min late, then record it as missed",
            "run once for each of them",
            "1 min 30 s",
            "up to 3 tries, waiting 30 s each time, only after OSError",
            "after 3 failures in a row",
        ):
            assert sentence in words

    def test_the_balance_adds_up(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job(now=NOW - timedelta(minutes=6), trigger={"kind": "cron", "minute": "*", "timezone": "UTC"})
        for minute, state in enumerate(["succeeded", "succeeded", "failed", "missed"]):
            make_run(job, state=state, due_at=NOW - timedelta(minutes=minute + 2))
        with writing() as session:  # as after the due pass that wrote these rows
            session.get(Job, job.id).next_due_at = NOW - timedelta(minutes=1)  # type: ignore[union-attr]
        line = text(admin_client.page(f"/jobs/{job.id}").select_one(".ledger .sum"))
        assert line == "24 h: due 6 = ran 2 + failed 1 + missed 1 + not taken yet 2"

    def test_a_balance_that_does_not_add_up_names_the_job(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job()
        make_run(job, due_at=NOW - timedelta(minutes=1))
        line = text(admin_client.page(f"/jobs/{job.id}").select_one(".ledger .sum"))
        assert line == f"24 h: due 0 = ran 1 + failed 0 + missed 0 The sum is off by -1, at {job.id}"

    def test_a_quarantined_job_says_why(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        with writing() as session:
            found = session.get(Job, job.id)
            found.state, found.state_reason = "quarantined", "Its task is gone."  # type: ignore[union-attr]
        page = admin_client.page(f"/jobs/{job.id}")
        assert "Its task is gone." in text(page.select_one(".notice--bad"))
        assert "Its task is gone." in text(admin_client.page("/jobs"))

    def test_a_stored_schedule_that_is_rubbish_breaks_no_page(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        with writing() as session:
            session.get(Job, job.id).trigger = {"kind": "cron", "crontab": "rubbish"}  # type: ignore[union-attr]
        for url in ("/", "/jobs", f"/jobs/{job.id}", f"/jobs/{job.id}/edit", f"/jobs/{job.id}/delete"):
            assert admin_client.get(url).status_code == 200, url
        assert "Cannot be read" in text(admin_client.page(f"/jobs/{job.id}"))

    def test_a_secret_argument_is_never_shown(self, admin_client: PageClient, make_job: Any, make_secret: Any) -> None:
        make_secret("deploy", "hunter2")
        reference = "Bearer {{secret:deploy}}"
        job = make_job(task="http.request", kwargs={"url": "http://example.com", "authorization": reference})
        for url in (f"/jobs/{job.id}", f"/jobs/{job.id}/edit", f"/jobs/{job.id}/revisions/1", f"/jobs/{job.id}/clone"):
            answer = admin_client.get(url)
            assert "hunter2" not in answer.text, url
            assert "{{secret:deploy}}" in answer.text, url

    def test_a_finished_one_off_job_says_so(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(trigger={"kind": "date", "run_date": "2026-06-01T12:30", "timezone": "UTC"})
        with writing() as session:
            settle_job(session, session.get(Job, job.id), NOW + timedelta(hours=1))  # type: ignore[arg-type]
        page = admin_client.page(f"/jobs/{job.id}")
        assert "finished" in text(page.select_one(".sub"))
        assert "No due time is left" in text(page)


class TestRevisions:
    def test_a_revision_shows_what_changed_and_can_be_restored(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job(name="Before")
        jobs.patch(job.id, {"name": "After", "timeout_s": 30}, actor=CODE, now=NOW)
        page = admin_client.page(f"/jobs/{job.id}/revisions/2")
        rows = [[text(cell) for cell in row.find_all(["th", "td"])] for row in page.select(".diff tbody tr")]
        assert ["Name", "Before", "After"] in rows
        assert ["Time limit, seconds", "–", "30.0"] in rows
        assert not page.select("#restore")
        assert admin_client.page(f"/jobs/{job.id}/revisions/1").select("#restore")
        admin_client.post(f"/jobs/{job.id}/revisions/1/restore")
        assert (stored(job.id).name, stored(job.id).timeout_s, stored(job.id).revision) == ("Before", None, 3)

    def test_an_unknown_revision_is_not_found(self, admin_client: PageClient, make_job: Any) -> None:
        assert admin_client.get(f"/jobs/{make_job().id}/revisions/9").status_code == 404

    def test_the_revisions_of_a_deleted_job_can_still_be_read(self, admin_client: PageClient, make_job: Any) -> None:
        job = make_job()
        jobs.delete(job.id, actor=CODE, now=NOW)
        page = admin_client.page(f"/jobs/{job.id}/revisions/1")
        assert "(deleted)" in text(page.select_one(".over"))
        assert not page.select("#restore")
