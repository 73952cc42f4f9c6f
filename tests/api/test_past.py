"""Balance, explanations and catching up through the API, and the history as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import csv_text, run_export
from webapp.store.models import Job, Run

HOUR = {"kind": "interval", "hours": 1, "start_date": "2026-05-01T00:00:00+00:00", "timezone": "UTC"}


@pytest.fixture
def hourly(make_job: Callable[..., Job], now: Any) -> Job:
    """A job that has been due at 10, 11 and 12 o'clock since it was made at half past nine."""
    return make_job(id="hourly", trigger=HOUR, max_instances=9, now=now - timedelta(hours=2, minutes=30))


# The balance


def test_a_balance_names_what_was_due_and_what_became_of_it(
    api: Any, hourly: Job, make_run: Callable[..., Run], now: Any
) -> None:
    make_run(hourly, due_at=now - timedelta(hours=2))
    make_run(hourly, due_at=now - timedelta(hours=1), state="failed")
    hourly.next_due_at = now  # as the due pass would have left it
    db.session.commit()
    found = api.get("/balance").json
    assert (found["due"], found["by_state"]) == (3, {"succeeded": 1, "failed": 1})
    assert (found["waiting"], found["settled"], found["compared"]) == (1, 2, True)
    assert (found["adds_up"], found["mismatches"]) == (True, [])
    assert (found["since"], found["until"]) == ("2026-05-31T12:00:00+00:00", "2026-06-01T12:00:00+00:00")


def test_a_balance_that_is_wrong_names_the_job(api: Any, hourly: Job, make_run: Callable[..., Run], now: Any) -> None:
    make_run(hourly, due_at=now - timedelta(minutes=100))  # off the schedule
    found = api.get("/balance?job_id=hourly").json
    assert found["adds_up"] is False
    assert found["mismatches"] == [{"job_id": "hourly", "expected": 3, "found": 4}]
    assert api.get("/balance?job_id=other").json["adds_up"] is True


def test_a_balance_ends_now_at_the_latest(api: Any, hourly: Job) -> None:
    found = api.get("/balance?since=2026-06-01T10:30Z&until=2027-01-01T00:00Z").json
    assert (found["until"], found["due"]) == ("2026-06-01T12:00:00+00:00", 2)


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("since=2026-06-01T12:00Z", "since"),
        ("since=2026-06-01T12:00Z&until=2026-06-01T11:00Z", "since"),
        ("since=yesterday", "since"),
        ("until=0001-01-01T00:00Z", "until"),
        ("until=9999-12-31T23:59Z", "until"),
        ("job=hourly", "job"),
    ],
)
def test_a_window_that_is_none_is_refused(api: Any, query: str, key: str) -> None:
    answer = api.get(f"/balance?{query}")
    assert (answer.status_code, list(answer.json["errors"])) == (400, [key])


# Why


def test_a_run_is_explained(api: Any, hourly: Job, make_run: Callable[..., Run], now: Any) -> None:
    never_began = {"state": "missed", "reason": "It was 2 hours late.", "started_at": None}
    run = make_run(hourly, due_at=now - timedelta(hours=1), **never_began)
    found = api.get("/jobs/hourly/explain?at=2026-06-01T11:00:20Z").json
    assert (found["verdict"], found["run_id"], found["state"]) == ("not run", run.id, "missed")
    assert found["due_at"] == "2026-06-01T11:00:00+00:00"
    assert found["reasons"][0]["text"]
    assert all(set(each) == {"code", "text", "at", "link"} for each in found["reasons"])


def test_a_moment_without_an_offset_is_in_the_jobs_zone(api: Any, make_job: Callable[..., Job], now: Any) -> None:
    trigger = {"kind": "cron", "hour": "7", "minute": "0", "timezone": "America/New_York"}
    make_job(id="ny", trigger=trigger, now=now - timedelta(days=1))
    found = api.get("/jobs/ny/explain?at=2026-06-01T07:00").json
    assert (found["at"], found["due_at"]) == ("2026-06-01T11:00:00+00:00",) * 2
    assert api.get("/jobs/ny/explain?at=2026-06-01T07:00Z").json["verdict"] == "not due"


def test_a_deleted_job_is_explained_and_an_unknown_one_is_not(api: Any, hourly: Job) -> None:
    api.delete("/jobs/hourly")
    found = api.get("/jobs/hourly/explain?at=2026-06-01T12:30").json
    assert "deleted" in [reason["code"] for reason in found["reasons"]]
    assert api.get("/jobs/nobody/explain?at=2026-06-01T12:30").status_code == 404


@pytest.mark.parametrize("query", ["", "at=", "at=noon", "at=0001-01-01T00:00", "at=9999-12-31T23:59:59Z", "on=2026"])
def test_a_moment_that_is_none_is_refused(api: Any, hourly: Job, query: str) -> None:
    assert api.get(f"/jobs/hourly/explain?{query}").status_code == 400


# Catching up


def test_past_due_times_are_listed_and_run_after_all(
    api: Any, hourly: Job, make_run: Callable[..., Run], now: Any
) -> None:
    done = make_run(hourly, due_at=now - timedelta(hours=2))
    missed = make_run(hourly, due_at=now - timedelta(hours=1), state="missed")
    window = "since=2026-06-01T09:30&until=2026-06-01T11:30"
    found = api.get(f"/jobs/hourly/catch-up?{window}").json["due_times"]
    assert [(each["due_at"][11:16], each["state"], each["run_id"], each["open"]) for each in found] == [
        ("10:00", "succeeded", done.id, False),
        ("11:00", "missed", missed.id, True),
    ]
    left = api.get(f"/jobs/hourly/catch-up?{window}&open=1").json["due_times"]
    assert [each["run_id"] for each in left] == [missed.id]
    answer = api.post("/jobs/hourly/catch-up", {"moments": [left[0]["due_at"]]})
    assert answer.status_code == 200, answer.text
    (run,) = answer.json["runs"]
    assert (run["trigger"], run["attempt"], run["state"]) == ("catch-up", 2, "queued")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"moments": []}, {"moments": "2026-06-01T11:00Z"}, {"moments": [5]}, {"moments": ["noon"]},
        {"moments": ["2026-06-01T11:07Z"]}, {"moments": ["2030-01-01T00:00Z"]}, {"moments": ["0001-01-01T00:00Z"]},
        {"moments": ["9999-12-31T23:59Z"]}, {"moments": ["2026-06-01T10:00Z"], "again": "yes"},
        {"moments": ["2026-06-01T10:00Z"] * 501},
    ],
)  # fmt: skip
def test_catching_up_with_what_was_not_due_is_refused_and_queues_nothing(
    api: Any, hourly: Job, body: dict[str, Any]
) -> None:
    assert api.post("/jobs/hourly/catch-up", body).status_code == 400
    assert api.get("/runs?trigger=catch-up").json["runs"] == []


def test_what_succeeded_runs_again_only_on_purpose(api: Any, hourly: Job, make_run: Callable[..., Run]) -> None:
    make_run(hourly)
    body = {"moments": ["2026-06-01T12:00"]}
    assert api.post("/jobs/hourly/catch-up", body).status_code == 400
    assert api.post("/jobs/hourly/catch-up", {**body, "again": True}).status_code == 200


# Files


def rows(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_history_comes_as_csv_and_as_json(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    job = make_job(id="j", name="Nightly, «late»")
    make_run(job, result='{"rows": 3}')
    make_run(job, state="failed", error='ValueError: "no"\nnever', due_at=None)
    answer = api.get("/runs/export.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="runs.csv"'
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    failed, succeeded = rows(answer)
    assert tuple(failed) == run_export.COLUMNS
    assert (failed["error"], failed["due_at"], failed["job_name"]) == ('ValueError: "no"\nnever', "", "Nightly, «late»")
    assert (succeeded["result"], succeeded["duration_s"]) == ('{"rows": 3}', "1.0")
    assert succeeded["due_at"] == "2026-06-01T12:00:00+00:00"
    listed = api.get("/runs/export.json").json
    assert [list(run) for run in listed] == [list(run_export.COLUMNS)] * 2
    assert [run["state"] for run in listed] == ["failed", "succeeded"]


def test_an_export_holds_what_the_filter_says(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    make_run(make_job(id="a"), state="failed")
    make_run(make_job(id="b"))
    assert [run["job_id"] for run in rows(api.get("/runs/export.csv?state=failed"))] == ["a"]
    assert [run["job_id"] for run in api.get("/runs/export.json?job_id=b").json] == ["b"]
    assert api.get("/runs/export.json?job_id=none").json == []
    assert api.get("/runs/export.csv?state=dancing").status_code == 400
    assert api.get("/runs/export.csv?limit=5").status_code == 400
    assert api.get("/runs/export.xlsx").status_code == 404


def test_a_long_history_is_read_in_pieces_and_comes_whole(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run], now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_export, "PIECE", 3)
    read: list[int] = []
    export_rows = run_export.store.export_rows
    monkeypatch.setattr(
        run_export.store, "export_rows", lambda *args, **more: read.append(more["limit"]) or export_rows(*args, **more)
    )
    job = make_job(id="j")
    ids = [make_run(job, due_at=now + timedelta(minutes=n)).id for n in range(7)]
    assert [run["id"] for run in api.get("/runs/export.json").json] == ids[::-1]
    assert read == [3, 3, 3]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ("-5", "-5"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, shown: str) -> None:
    assert csv_text.cell(text) == shown


def test_formulas_in_the_ledger_are_neutral_in_csv_and_verbatim_in_json(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    make_run(make_job(id="j", name='=HYPERLINK("http://x")'), state=RunState.FAILED, error="@evil")
    (run,) = rows(api.get("/runs/export.csv"))
    assert (run["job_name"], run["error"]) == ('\'=HYPERLINK("http://x")', "'@evil")
    (same,) = json.loads(api.get("/runs/export.json").text)
    assert (same["job_name"], same["error"]) == ('=HYPERLINK("http://x")', "@evil")
