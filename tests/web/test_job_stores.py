"""Job stores on the pages, in the health check and in the API's list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW
from tests.web.conftest import PageClient, soup, text
from webapp.extensions import db
from webapp.services import heartbeat, jobs, store_copies
from webapp.settings import Settings
from webapp.store.models import Worker

AWAY = {
    "kind": "sqlalchemy",
    "place": "sqlite:///side.sqlite",
    "state": "away",
    "problem": "Nobody there.",
    "since": "",
}
READY = {**AWAY, "state": "ready", "problem": ""}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    side = {"type": "sqlalchemy", "url": f"sqlite:///{tmp_path / 'side.sqlite'}"}
    return Settings(instance_path=tmp_path, jobstores={"side": side}, _env_file=None)


def lead(told: dict[str, Any]) -> None:
    """A leader that tells so of the store."""
    detail = {"thread_alive": True, "jobstores": {"side": told}}
    assert heartbeat.take(Worker(id="test", host="here", pid=1, detail=detail), NOW) is not None


def test_the_form_offers_the_stores_and_puts_the_job_there(admin_client: PageClient) -> None:
    form = admin_client.page("/jobs/new").select_one("#jobstore")
    assert [option["value"] for option in form.select("option")] == ["default", "side"]  # type: ignore[union-attr]
    sent = {
        "task": "demo.echo", "name": "Far", "id": "far", "trigger.kind": "interval", "trigger.minutes": "5",
        "trigger.timezone": "UTC", "overlap": "skip", "max_instances": "1", "coalesce": "1", "jobstore": "side",
        "executor": "default", "priority": "0",
    }  # fmt: skip
    assert admin_client.post("/jobs", data=sent).status_code == 303
    assert jobs.get("far").jobstore == "side"
    answer = admin_client.post("/jobs", data={**sent, "id": "nowhere", "jobstore": "nowhere"})
    assert answer.status_code == 422
    assert soup(answer).select_one("#jobstore-err")


def test_the_form_moves_a_job(admin_client: PageClient, make_job: Any) -> None:
    make_job(id="mover", jobstore="side")
    page = admin_client.page("/jobs/mover/edit")
    chosen = page.select_one("#jobstore option[selected]")
    assert chosen is not None
    assert chosen["value"] == "side"


def test_the_list_is_filtered_by_store(admin_client: PageClient, make_job: Any) -> None:
    make_job(id="near", name="Near")
    make_job(id="far", name="Far", jobstore="side")
    page = admin_client.page("/jobs?jobstore=side")
    assert [text(each) for each in page.select(".jobs tbody .name")] == ["Far"]
    assert "side" in text(admin_client.page("/jobs/far").select_one("#jobstore"))


def test_a_job_whose_store_is_away_says_that_it_waits(admin_client: PageClient, make_job: Any) -> None:
    make_job(id="far", jobstore="side")
    lead(AWAY)
    assert "Nobody there. Its due times wait" in text(admin_client.page("/jobs/far").select_one("#store-problem"))
    lead(READY)
    assert not admin_client.page("/jobs/far").select("#store-problem")


def test_the_system_page_shows_how_each_store_stands(admin_client: PageClient, make_job: Any) -> None:
    make_job(id="far", jobstore="side")
    store_copies.take_unreadable("side", "strange", "It is not a pickle that can be read.", NOW)
    lead(AWAY)
    page = admin_client.page("/system")
    assert text(page.select_one("#store-default")) == "default catalogue Carillon's own database ready 1".replace(
        " 1", " 0"
    )
    row = page.select_one("#store-side")
    assert text(row) == "side sqlalchemy sqlite:///side.sqlite away 2"
    note = row.find_next_sibling("tr")  # type: ignore[union-attr]
    assert text(note) == "Nobody there. Its jobs wait. strange : It is not a pickle that can be read."


@pytest.mark.parametrize(("told", "word"), [(READY, "healthy"), (AWAY, "degraded")])
def test_the_health_check_tells_of_the_stores(admin_client: PageClient, told: dict[str, Any], word: str) -> None:
    lead(told)
    answer = admin_client.get("/health/scheduler")
    assert (answer.status_code, answer.json["status"]) == (200, word)  # type: ignore[index]
    assert answer.json["jobstores"] == ["default", "side"]  # type: ignore[index]
    assert answer.json["jobstore_states"]["side"]["state"] == told["state"]  # type: ignore[index]


def test_jobs_that_wait_for_their_store_do_not_make_the_scheduler_look_stuck(
    admin_client: PageClient, make_job: Any
) -> None:
    make_job(id="far", jobstore="side", now=NOW)
    row = jobs.get("far")
    row.next_due_at = NOW.replace(year=2020)
    db.session.commit()
    lead(AWAY)
    assert admin_client.get("/health/scheduler").status_code == 200
    lead(READY)
    assert admin_client.get("/health/scheduler").status_code == 503


def test_a_job_that_could_not_be_read_has_all_its_pages(admin_client: PageClient) -> None:
    store_copies.take_unreadable("side", "strange", "It is not a pickle that can be read.", NOW)
    page = admin_client.page("/jobs/strange")
    assert "It cannot be taken from the job store side: It is not a pickle" in text(page.select_one(".notice--bad"))
    assert "Its schedule is not known." in text(page.select_one(".page-head"))
    for path in ("/edit", "/why", "/clone", "/delete", "/revisions/1"):
        admin_client.page(f"/jobs/strange{path}")
    assert admin_client.post("/jobs/strange/resume").status_code == 400
    admin_client.page("/jobs")
