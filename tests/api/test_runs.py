"""The ledger through the API: pages, filters, one run, its log, stop and run again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from webapp.extensions import db
from webapp.store.models import Job, Run, RunLog

KEYS = {
    "id", "job_id", "task", "state", "trigger", "attempt", "due_at", "queued_at", "started_at", "finished_at",
    "duration_s", "result", "error", "reason",
}  # fmt: skip


def test_a_run_in_the_list_has_exactly_the_documented_keys(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    run = make_run(make_job(id="j"), result='{"rows": 3}')
    body = api.get("/runs").json
    assert set(body) == {"runs", "next"}
    assert body["next"] is None
    (shown,) = body["runs"]
    assert set(shown) == KEYS
    assert shown == {
        "id": run.id,
        "job_id": "j",
        "task": "demo.echo",
        "state": "succeeded",
        "trigger": "schedule",
        "attempt": 1,
        "due_at": "2026-06-01T12:00:00+00:00",
        "queued_at": "2026-06-01T12:00:00+00:00",
        "started_at": "2026-06-01T12:00:00+00:00",
        "finished_at": "2026-06-01T12:00:01+00:00",
        "duration_s": 1.0,
        "result": {"rows": 3},
        "error": None,
        "reason": None,
    }


@pytest.mark.parametrize(("stored", "shown"), [(None, None), ("null", None), ('"x"', "x"), ("cut off {", "cut off {")])
def test_a_result_is_json_or_the_text_that_it_is(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run], stored: str | None, shown: Any
) -> None:
    run = make_run(make_job(id="j"), result=stored)
    assert api.get("/runs").json["runs"][0]["result"] == shown
    assert api.get(f"/runs/{run.id}").json["result"] == shown


def test_pages_are_walked_with_the_cursor_without_loss(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run], now: Any
) -> None:
    job = make_job(id="j")
    ids = [make_run(job, due_at=now + timedelta(minutes=n)).id for n in range(7)]
    seen: list[int] = []
    cursor = ""
    for _ in range(10):
        body = api.get(f"/runs?limit=3&cursor={cursor}").json
        seen += [run["id"] for run in body["runs"]]
        if body["next"] is None:
            break
        cursor = body["next"]
    assert seen == ids[::-1]


def test_runs_are_filtered(api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run], now: Any) -> None:
    a, b = make_job(id="a"), make_job(id="b", task="demo.sleep")
    make_run(a, state="failed")
    make_run(a, due_at=now + timedelta(minutes=1), trigger="manual")
    make_run(b, state="missed", queued_at=now + timedelta(hours=2))

    def count(query: str) -> int:
        return len(api.get(f"/runs?{query}").json["runs"])

    assert count("job_id=a") == 2
    assert count("state=failed") == 1
    assert count("state=failed&state=missed") == 2
    assert count("state=failed,missed") == 2
    assert count("task=demo.sleep") == 1
    assert count("trigger=manual") == 1
    assert count("since=2026-06-01T13:00Z") == 1
    assert count("until=2026-06-01T13:00Z") == 2
    assert count("job_id=none") == 0


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("state=dancing", "state"),
        ("trigger=magic", "trigger"),
        ("since=yesterday", "since"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=b%C2%B2", "cursor"),
        ("job=a", "job"),
    ],
)
def test_a_filter_that_is_not_understood_is_refused(api: Any, query: str, key: str) -> None:
    answer = api.get(f"/runs?{query}")
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [key]


def test_a_run_tells_everything(api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]) -> None:
    run = make_run(
        make_job(id="j", name="Nightly"), state="failed", error="ValueError: no", traceback="Traceback ...", worker="w"
    )
    body = api.get(f"/runs/{run.id}").json
    assert set(body) >= KEYS
    assert (body["job_name"], body["error"], body["traceback"]) == ("Nightly", "ValueError: no", "Traceback ...")
    assert body["attempts"] == [{"id": run.id, "attempt": 1, "state": "failed"}]


@pytest.fixture
def logged(make_job: Callable[..., Job], make_run: Callable[..., Run]) -> Run:
    run = make_run(make_job(id="j"), log_lines=5)
    for first, texts in ((0, ["one", "two"]), (2, ["three", "tab\there", "five"])):
        lines = [f"2026-06-01T12:00:0{first}.123Z\tINFO\t{text}" for text in texts]
        db.session.add(RunLog(run_id=run.id, first_line=first, lines=len(lines), text="\n".join(lines)))
    db.session.commit()
    return run


def test_a_log_comes_as_lines_and_as_text(api: Any, logged: Run) -> None:
    body = api.get(f"/runs/{logged.id}/log").json
    assert body["lines"][0] == {"n": 0, "at": "2026-06-01T12:00:00.123000+00:00", "level": "INFO", "text": "one"}
    assert body["text"] == "one\ntwo\nthree\ntab\there\nfive"
    assert (body["next_line"], body["total"], body["complete"]) == (5, 5, True)


def test_a_log_is_read_by_range(api: Any, logged: Run) -> None:
    first = api.get(f"/runs/{logged.id}/log?limit=3").json
    assert ([line["n"] for line in first["lines"]], first["next_line"], first["complete"]) == ([0, 1, 2], 3, False)
    rest = api.get(f"/runs/{logged.id}/log?from_line={first['next_line']}").json
    assert ([line["n"] for line in rest["lines"]], rest["complete"]) == ([3, 4], True)
    tail = api.get(f"/runs/{logged.id}/log?from_line=-2").json
    assert [line["text"] for line in tail["lines"]] == ["tab\there", "five"]


def test_a_log_that_still_grows_is_not_complete(
    api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]
) -> None:
    run = make_run(make_job(id="j"), state="running", finished_at=None)
    body = api.get(f"/runs/{run.id}/log").json
    assert (body["lines"], body["text"], body["next_line"], body["complete"]) == ([], "", 0, False)


@pytest.mark.parametrize("query", ["from_line=x", "limit=0", "limit=10001", "from=1"])
def test_a_range_that_is_not_understood_is_refused(api: Any, logged: Run, query: str) -> None:
    assert api.get(f"/runs/{logged.id}/log?{query}").status_code == 400


def test_a_queued_run_is_cancelled_and_an_ended_one_is_not(api: Any) -> None:
    api.add()
    run_id = api.post("/jobs/job1/run").json["run_id"]
    stopped = api.post(f"/runs/{run_id}/stop")
    assert stopped.status_code == 200
    assert (stopped.json["state"], stopped.json["stop_requested_by"]) == ("cancelled", "admin")
    assert api.post(f"/runs/{run_id}/stop").status_code == 409


def test_a_running_run_is_asked_to_stop(api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]) -> None:
    run = make_run(make_job(id="j"), state="running", finished_at=None)
    stopped = api.post(f"/runs/{run.id}/stop").json
    assert (stopped["state"], stopped["stop_requested_by"]) == ("running", "admin")


def test_an_ended_run_is_run_again(api: Any, make_job: Callable[..., Job], make_run: Callable[..., Run]) -> None:
    run = make_run(make_job(id="j", kwargs={"message": "hi"}), state="failed")
    again = api.post(f"/runs/{run.id}/rerun")
    assert again.status_code == 200
    assert again.json["run_id"] == again.json["id"] > run.id
    assert (again.json["state"], again.json["trigger"], again.json["kwargs"]) == ("queued", "manual", {"message": "hi"})
    assert api.post(f"/runs/{again.json['id']}/rerun").status_code == 409


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/log"), ("POST", "/stop"), ("POST", "/rerun")])
def test_a_run_that_is_not_there_is_not_found(api: Any, method: str, path: str) -> None:
    answer = api.ask(method, f"/runs/77{path}")
    assert answer.status_code == 404
    assert "77" in answer.json["error_message"]
