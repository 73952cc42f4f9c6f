"""The pages of the audit: who changed what, found again, taken away, checked."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text as sql

from tests.conftest import CODE, NOW, PASSWORD
from tests.web.conftest import PageClient, soup, text
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit, jobs, logins, users
from webapp.services.actors import Actor
from webapp.store.database import writing
from webapp.store.models import AuditEntry

FORMULA = '=HYPERLINK("http://evil.example")'


def put(number: int, *, name: str = "anna", **values: Any) -> None:
    with writing():
        for n in range(number):
            audit.record(
                "job.edited", "job", f"job-{n}", actor=Actor(name, Role.ADMIN, "web", "192.0.2.7"),
                now=NOW + timedelta(seconds=n), before=values.get("before"), after=values.get("after"),
            )  # fmt: skip


def actions() -> list[str]:
    return [entry.action for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def test_a_change_stands_there_with_who_where_what_before_and_after(admin_client: PageClient, make_job: Any) -> None:
    job = make_job(name="Nightly")
    jobs.patch(job.id, {"name": "Weekly", "timeout_s": 60}, actor=CODE, now=NOW)
    page = admin_client.page("/audit")
    row = page.select_one(f"#entry-{db.session.query(AuditEntry).count()}")
    assert "job: edited" in text(row).lower()
    assert "name: Nightly → Weekly" in text(row)
    assert row.select_one(f'a[href="/jobs/{job.id}"]')  # type: ignore[union-attr]
    entry = admin_client.page(str(row.select_one("a.clock")["href"]))  # type: ignore[union-attr,index]
    cells = [[text(cell) for cell in line.select("th, td")] for line in entry.select(".diff tbody tr")]
    assert ["name", "Nightly", "Weekly"] in cells
    assert ["timeout s", "–", "60.0"] in cells
    assert len(text(entry.select_one(".facts .mono"))) == 64


def test_the_audit_is_for_admins(client: PageClient, login_as: Any) -> None:
    login_as(client, Role.EDITOR)
    for url in ("/audit", "/audit/1", "/audit/export.csv", "/audit/export.jsonl"):
        assert client.get(url).status_code == 403
    assert client.post("/audit/verify").status_code == 403
    assert "Admin" not in text(client.page("/jobs").select_one(".nav"))


def test_filters_and_pages_keep_each_other(admin_client: PageClient) -> None:
    put(60)
    put(5, name="bert")
    page = admin_client.page("/audit?actor=anna")
    assert len(page.select("tbody tr[id]")) == 50
    older = admin_client.page(str(page.select_one('a[rel="next"]')["href"]))  # type: ignore[index]
    assert len(older.select("tbody tr[id]")) == 10
    assert "bert" not in text(older.select_one("#audit-list"))
    assert not admin_client.page("/audit?actor=nobody").select("tbody")
    one = admin_client.page("/audit?object_id=job-3&actor=bert")
    assert len(one.select("tbody tr[id]")) == 1


def test_times_of_the_filter_are_the_viewers(admin_client: PageClient) -> None:
    put(3)
    admin_client.set_cookie("carillon_zone", "Europe/Berlin")  # two hours ahead
    shown = admin_client.page("/audit?actor=anna&since=2026-06-01T14:00:01&until=2026-06-01T14:00:02")
    assert [row["id"] for row in shown.select("tbody tr[id]")] == [f"entry-{entry_id()}"]


def entry_id() -> int:
    return db.session.query(AuditEntry).filter_by(object_id="job-1").one().id


def test_an_address_that_cannot_be_read_shows_everything_and_says_so(admin_client: PageClient) -> None:
    for query in ("cursor=x", "since=yesterday"):
        answer = admin_client.get(f"/audit?{query}")
        assert answer.status_code == 400
        assert "cannot be read" in text(soup(answer).select_one(".notice"))
    assert admin_client.get("/audit/export.csv?since=yesterday").status_code == 400
    assert admin_client.get("/audit/999").status_code == 404


def test_the_csv_holds_what_is_filtered_and_no_formula(admin_client: PageClient) -> None:
    put(2, name=FORMULA, after={"name": FORMULA})
    put(1, name="bert")
    answer = admin_client.get("/audit/export.csv", query_string={"actor": FORMULA}, buffered=True)
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="carillon-audit-20260601.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["actor"] for row in rows] == [f"'{FORMULA}"] * 2
    assert json.loads(rows[0]["after"]) == {"name": FORMULA}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_lines_of_json_hold_every_field_as_it_is(admin_client: PageClient) -> None:
    put(3, after={"name": FORMULA})
    answer = admin_client.get("/audit/export.jsonl?action=job", buffered=True)
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert len(rows) == 3
    assert rows[0]["after"] == {"name": FORMULA}
    assert {"id", "at", "actor", "via", "address", "action", "object_type", "object_id", "hash"} <= rows[0].keys()


def test_the_check_says_that_it_is_whole_or_where_it_is_broken(admin_client: PageClient) -> None:
    put(3)
    answer = admin_client.post("/audit/verify", follow_redirects=True)
    assert "The audit is whole" in text(soup(answer).select_one(".notice--good"))
    with db.engine.begin() as connection:
        connection.execute(sql("UPDATE audit_entry SET actor = 'mallory' WHERE id = 3"))
    answer = admin_client.post("/audit/verify", follow_redirects=True)
    assert "broken at entry 3" in text(soup(answer).select_one(".notice--bad"))


def test_who_logs_in_and_out_is_kept(client: PageClient, admin: Any) -> None:
    client.post("/login", data={"name": "admin", "password": PASSWORD})
    client.post("/logout")
    assert actions()[-2:] == [logins.SUCCEEDED, logins.ENDED]


@pytest.mark.parametrize(("name", "told"), [("admin", "admin"), ("my secret password", "(nobody's)")])
def test_a_failed_login_is_kept_without_a_name_that_may_be_a_password(
    client: PageClient, admin: Any, name: str, told: str
) -> None:
    client.post("/login", data={"name": name, "password": "wrong"})
    entry = db.session.query(AuditEntry).order_by(AuditEntry.id.desc()).first()
    assert entry is not None
    assert (entry.action, entry.after, entry.address) == (logins.FAILED, {"name": told}, "127.0.0.1")
    assert "secret" not in json.dumps(audit.told(entry))


def test_a_flood_of_failed_logins_is_kept_only_so_far(app: Any, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "FAILURES_PER_HOUR", 3)
    monkeypatch.setattr(users, "check_password_hash", lambda *args: False)
    for _ in range(5):
        logins.log_in("x", "y", via="web", address="192.0.2.1", now=NOW)
    entries = db.session.query(AuditEntry).filter_by(action=logins.FAILED).order_by(AuditEntry.id).all()
    assert len(entries) == 3
    assert "server's log" in (entries[-1].after or {})["note"]
    logins.log_in("x", "y", via="web", address="192.0.2.1", now=NOW + timedelta(hours=1, seconds=1))
    assert db.session.query(AuditEntry).filter_by(action=logins.FAILED).count() == 4


def test_a_script_that_logs_in_all_day_is_kept_once(app: Any, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "check_password_hash", lambda *args: True)
    for hours, address in ((0, "a"), (1, "a"), (2, "b"), (25, "a")):
        logins.log_in("admin", PASSWORD, via="api", address=address, now=NOW + timedelta(hours=hours))
    assert actions().count(logins.SUCCEEDED) == 3
