"""The API's reference page, and the history as a file."""

from __future__ import annotations

import csv
import io
from typing import Any

from tests.web.conftest import PageClient, text
from webapp.api.routes import ROUTES


def test_every_route_of_the_api_is_on_the_page_with_its_role_and_an_example(admin_client: PageClient) -> None:
    page = admin_client.page("/api-reference")
    shown = {article["id"]: text(article) for article in page.select(".operation")}
    for route in ROUTES:
        words = shown[route.endpoint]
        assert f" {route.role.value} {route.method} /scheduler" in words
        assert "curl -s" in words


def test_every_link_on_the_page_leads_to_something_on_it(admin_client: PageClient) -> None:
    page = admin_client.page("/api-reference")
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"])[1:] for link in page.select('.reference a[href^="#"]')]
    assert len(targets) > 100
    assert set(targets) <= set(ids)


def test_the_page_needs_no_script_and_nothing_from_elsewhere(admin_client: PageClient) -> None:
    page = admin_client.page("/api-reference")
    assert not page.select("main script, main style, main iframe, main [style], main [onclick]")
    assert all(str(link["href"]).startswith(("/", "#")) for link in page.select("main a"))


def test_the_page_says_where_this_server_is(admin_client: PageClient) -> None:
    assert "export CARILLON=http://localhost/scheduler" in admin_client.page("/api-reference").text


def test_the_document_comes_as_a_file(admin_client: PageClient) -> None:
    answer = admin_client.get("/api-reference/openapi.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="carillon-openapi.json"'
    assert answer.get_json()["openapi"] == "3.1.0"


def test_the_history_is_exported_with_the_filter_of_the_page(
    admin_client: PageClient, make_job: Any, make_run: Any
) -> None:
    make_run(make_job(id="a", name="=1+1"), state="failed")
    make_run(make_job(id="b"))
    page = admin_client.page("/runs?state=failed&job_id=a")
    links = {link["id"]: str(link["href"]) for link in page.select("#run-list a[id^=export-]")}
    answer = admin_client.get(links["export-csv"], buffered=True)
    assert answer.mimetype == "text/csv"
    assert [(row["job_id"], row["job_name"]) for row in csv.DictReader(io.StringIO(answer.text))] == [("a", "'=1+1")]
    assert [run["job_name"] for run in admin_client.get(links["export-json"], buffered=True).get_json()] == ["=1+1"]


def test_times_of_an_exports_filter_are_in_the_viewers_zone(
    admin_client: PageClient, make_job: Any, make_run: Any
) -> None:
    admin_client.post("/account/timezone", data={"timezone": "Asia/Tokyo"})
    make_run(make_job(id="a"))  # at 12:00 UTC, 21:00 in Tokyo
    for minute, number in (("00", 1), ("01", 0)):
        answer = admin_client.get(f"/runs/export.json?since=2026-06-01T21:{minute}", buffered=True)
        assert len(answer.get_json()) == number


def test_a_filter_that_cannot_be_read_exports_nothing(admin_client: PageClient) -> None:
    assert admin_client.get("/runs/export.csv?state=dancing").status_code == 400
