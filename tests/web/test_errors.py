"""Errors are pages that say what to do; below the API's prefix they are JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.services import dashboard


def test_an_unknown_address_is_a_page_with_a_way_out(admin_client: PageClient) -> None:
    answer = admin_client.get("/nothing-here")
    page = soup(answer)
    assert answer.status_code == 404
    assert text(page.select_one("h1")) == "Not found"
    assert page.select("nav a")
    assert page.select('main a[href="/"]')


def test_a_stranger_s_error_page_has_no_menu(client: PageClient, admin: Any) -> None:
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert not soup(answer).select("nav")


def test_an_unknown_job_says_which(admin_client: PageClient) -> None:
    answer = admin_client.get("/jobs/nobody")
    assert answer.status_code == 404
    assert "There is no job 'nobody'." in text(soup(answer).select_one(".lead"))


def test_a_wrong_method_is_a_page_and_names_the_right_one(admin_client: PageClient) -> None:
    answer = admin_client.delete("/jobs")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert text(soup(answer).select_one("h1")) == "Not possible here"


def test_a_body_that_is_too_large_is_a_page(app: Flask, admin_client: PageClient) -> None:
    answer = admin_client.post("/jobs", data={"name": "x" * (app.config["MAX_CONTENT_LENGTH"] + 1)})
    assert answer.status_code == 413
    assert text(soup(answer).select_one("h1")) == "Too large"


@pytest.fixture
def broken(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(dashboard, "overview", fail)
    app.config["PROPAGATE_EXCEPTIONS"] = False


def test_a_crash_is_a_page_with_a_number_that_the_log_has_too(
    admin_client: PageClient, broken: None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = admin_client.get("/")
    reference = text(soup(answer).select_one("main code"))
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert reference in caplog.text


def test_a_crash_of_a_poll_blanks_nothing(admin_client: PageClient, broken: None) -> None:
    assert admin_client.get("/dashboard/fragment", headers=HTMX).status_code == 500


def test_an_unhandled_error_is_not_hidden_from_tests(app: Flask, admin_client: PageClient, broken: None) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError):
        admin_client.get("/")


def test_below_the_prefix_of_the_api_errors_are_json(admin_client: PageClient) -> None:
    answer = admin_client.get("/scheduler/nothing-here")
    assert answer.is_json
    assert "error_message" in answer.get_json()


def test_an_address_that_only_begins_like_the_api_is_a_page(admin_client: PageClient) -> None:
    assert admin_client.get("/schedulers").mimetype == "text/html"


def test_a_button_that_came_too_late_goes_back_to_its_page_with_the_reason(
    admin_client: PageClient, make_job: Any, make_run: Any
) -> None:
    job = make_job()
    make_run(job, state="running", finished_at=None)
    answer = admin_client.post(f"/jobs/{job.id}/run", headers={"Referer": f"http://localhost/jobs/{job.id}"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job.id}")
    assert "had not ended yet" in text(admin_client.page(f"/jobs/{job.id}").select_one("#notices"))


def test_a_refused_htmx_button_tells_the_notice_line(admin_client: PageClient, make_job: Any, make_run: Any) -> None:
    job = make_job()
    make_run(job, state="running", finished_at=None)
    answer = admin_client.post(f"/jobs/{job.id}/run", headers=HTMX)
    notice = json.loads(answer.headers["HX-Trigger"])["notice"]
    assert answer.status_code == 409
    assert notice["kind"] == "bad"
    assert "had not ended yet" in notice["text"]
