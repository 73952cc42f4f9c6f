"""The history, one run's page and its live log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import NOW
from tests.web.conftest import HTMX, PageClient, soup, text
from webapp.extensions import db
from webapp.store.database import writing
from webapp.store.models import Run, RunLog, SchedulerSpan


def names(page: Any) -> list[str]:
    return [text(link) for link in page.select("table.runs a.name")]


def say(run: Run, *lines: str, level: str = "info") -> None:
    """Add lines to a run's log, as the recorder does."""
    with writing() as session:
        stored = session.get(Run, run.id)
        assert stored is not None
        body = "\n".join(f"2026-06-01T12:00:00.250Z\t{level}\t{line}" for line in lines)
        session.add(RunLog(run_id=run.id, first_line=stored.log_lines, lines=len(lines), text=body))
        stored.log_lines += len(lines)


class TestHistory:
    def test_an_empty_history_says_what_will_stand_there(self, admin_client: PageClient) -> None:
        assert text(admin_client.page("/runs").select_one(".empty h2")) == "Nothing has run yet"

    def test_runs_are_grouped_by_the_viewer_s_day(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job()
        make_run(job, due_at=datetime(2026, 5, 31, 21, 30, tzinfo=UTC))
        make_run(job, due_at=datetime(2026, 5, 31, 22, 30, tzinfo=UTC))
        days = [text(row) for row in admin_client.page("/runs").select("th.day")]
        assert days == ["Yesterday Sunday 31 May 2026"]
        admin_client.set_cookie("carillon_zone", "Europe/Berlin")
        days = [text(row) for row in admin_client.page("/runs").select("th.day")]
        assert days == ["Today Monday 1 June 2026", "Yesterday Sunday 31 May 2026"]

    def test_a_row_tells_when_why_how_late_and_how_long(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(
            make_job(), state="failed", error="KeyError: 'x'\nmore", attempt=2, trigger="retry",
            started_at=NOW + timedelta(milliseconds=40), finished_at=NOW + timedelta(seconds=12.44),
        )  # fmt: skip
        cells = [text(cell) for cell in admin_client.page("/runs").select(f"#row-{run.id} > *")]
        assert cells[0] == "12:00:00"
        assert cells[1] == "failed"
        assert cells[3:] == ["retry, attempt 2", "+40 ms", "12.4 s", "KeyError: 'x'"]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["C", "B", "A"]),
            ("state=failed", ["B"]),
            ("state=failed&state=missed", ["C", "B"]),
            ("trigger=manual", ["A"]),
            ("q=boom", ["B"]),
            ("q=run-by-hand", ["A"]),
            ("task=demo.sleep", ["C"]),
            ("since=2026-06-01T11:59", ["C", "B", "A"]),
            ("until=2026-06-01T11:59", []),
        ],
    )
    def test_the_address_filters(
        self, admin_client: PageClient, make_job: Any, make_run: Any, query: str, expected: list[str]
    ) -> None:
        make_run(make_job(name="A", id="run-by-hand"), trigger="manual", due_at=None)
        make_run(make_job(name="B"), state="failed", error="boom")
        make_run(make_job(name="C", task="demo.sleep"), state="missed", started_at=None)
        assert names(admin_client.page(f"/runs?{query}")) == expected

    def test_times_without_an_offset_are_the_viewer_s(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        make_run(make_job(name="A"))
        admin_client.set_cookie("carillon_zone", "Europe/Berlin")
        assert names(admin_client.page("/runs?since=2026-06-01T13:59")) == ["A"]
        page = admin_client.page("/runs?since=2026-06-01T14:01")
        assert names(page) == []
        assert page.select_one("#since")["value"] == "2026-06-01T14:01"  # type: ignore[index]

    @pytest.mark.parametrize("query", ["state=nonsense", "since=soon", "cursor=zzz", "until=9999-99-99"])
    def test_an_address_that_cannot_be_read_shows_everything_and_says_so(
        self, admin_client: PageClient, make_job: Any, make_run: Any, query: str
    ) -> None:
        make_run(make_job(name="A"))
        answer = admin_client.get(f"/runs?{query}")
        assert answer.status_code == 400
        assert names(soup(answer)) == ["A"]
        assert soup(answer).select_one(".notice--bad")

    def test_pages_go_by_key_and_keep_the_filter(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job()
        with writing() as session:
            first = make_run(job)
            for number in range(1, 120):
                values = {c.name: getattr(first, c.name) for c in Run.__table__.columns if c.name != "id"}
                session.add(Run(**{**values, "due_at": NOW + timedelta(seconds=number)}))
        page = admin_client.page("/runs?state=succeeded")
        seen = [row["id"] for row in page.select("tr[id^=row-]")]
        while (older := page.select_one('a[rel="next"]')) is not None:
            assert "state=succeeded" in str(older["href"])
            page = admin_client.page(str(older["href"]))
            seen += [row["id"] for row in page.select("tr[id^=row-]")]
        assert len(seen) == len(set(seen)) == 120
        newer = admin_client.page(str(page.select_one('a[rel="prev"]')["href"]))  # type: ignore[index]
        assert len(newer.select("tr[id^=row-]")) == 50

    def test_an_older_page_does_not_poll(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job()
        for number in range(60):
            make_run(job, due_at=NOW - timedelta(minutes=number))
        page = admin_client.page("/runs")
        assert page.select_one("#run-list").has_attr("hx-get")  # type: ignore[union-attr]
        older = admin_client.page(str(page.select_one('a[rel="next"]')["href"]))  # type: ignore[index]
        assert not older.select_one("#run-list").has_attr("hx-get")  # type: ignore[union-attr]

    def test_a_poll_is_204_until_something_happens(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job()
        make_run(job)
        url = str(admin_client.page("/runs?state=succeeded").select_one("#run-list")["hx-get"])  # type: ignore[index]
        assert admin_client.get(url, headers=HTMX).status_code == 204
        make_run(job, due_at=NOW + timedelta(minutes=1), updated_at=NOW + timedelta(seconds=1))
        answer = admin_client.get(url, headers=HTMX)
        assert answer.status_code == 200
        assert len(soup(answer).select("tr[id^=row-]")) == 2

    def test_it_asks_more_often_while_something_runs(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job()
        make_run(job)
        assert "every 5s" in str(admin_client.page("/runs").select_one("#run-list"))
        make_run(job, state="running", finished_at=None, due_at=NOW + timedelta(minutes=1))
        assert "every 2s" in str(admin_client.page("/runs").select_one("#run-list"))


class TestRunPage:
    def test_the_line_shows_each_station_with_the_delays(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(
            make_job(), queued_at=NOW + timedelta(milliseconds=3), started_at=NOW + timedelta(milliseconds=15),
            finished_at=NOW + timedelta(seconds=75),
        )  # fmt: skip
        stops = [text(stop) for stop in admin_client.page(f"/runs/{run.id}").select(".stop")]
        assert stops == [
            "Due 12:00:00.000 3 ms",
            "Queued 12:00:00.003 12 ms",
            "Started 12:00:00.015 1 min 15 s",
            "Succeeded 12:01:15.000",
        ]

    def test_a_run_that_never_started_has_no_such_station(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(
            make_job(), state="missed", started_at=None, reason="1 h late; the job may start up to 5 min late."
        )
        page = admin_client.page(f"/runs/{run.id}")
        assert [text(stop.select_one(".what")) for stop in page.select(".stop")] == ["Due", "Queued", "Missed"]
        assert "1 h late" in text(page.select_one(".error-box"))

    def test_a_running_run_polls_and_a_finished_one_does_not(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(make_job(), state="running", finished_at=None, progress=0.4, progress_text="row 40")
        page = admin_client.page(f"/runs/{run.id}")
        assert page.select_one("#run").has_attr("data-poll")  # type: ignore[union-attr]
        assert page.select_one("#log-tail").has_attr("data-poll")  # type: ignore[union-attr]
        assert "40 % row 40" in text(page.select_one(".progress"))
        url = str(page.select_one("#run")["hx-get"])  # type: ignore[index]
        assert admin_client.get(url, headers=HTMX).status_code == 204
        with writing() as session:
            stored = session.get(Run, run.id)
            stored.state, stored.finished_at, stored.updated_at = "succeeded", NOW, NOW + timedelta(seconds=1)  # type: ignore[union-attr]
        fresh = soup(admin_client.get(url, headers=HTMX)).select_one("#run")
        assert not fresh.has_attr("hx-get")  # type: ignore[union-attr]
        assert not fresh.has_attr("hx-trigger")  # type: ignore[union-attr]

    def test_what_it_left_behind_can_be_read(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        run = make_run(
            make_job(), state="failed", error="KeyError: 'x'", traceback='Traceback\n  File "a.py"\nKeyError',
            result='{"rows": 3, "name": "<b>"}', kwargs={"message": "Hi"}, requested_by="ada", trigger="manual",
        )  # fmt: skip
        page = admin_client.page(f"/runs/{run.id}")
        assert text(page.select_one(".error-box")) == "KeyError: 'x'"
        assert 'File "a.py"' in page.select_one(".trace pre").text  # type: ignore[union-attr]
        assert '"rows": 3' in page.find("pre", attrs={"aria-labelledby": "result-title"}).text  # type: ignore[union-attr]
        assert "by hand, ada" in text(page.select_one(".facts"))
        assert "Hi" in text(page.select_one(".facts"))

    def test_all_attempts_are_linked(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job()
        first = make_run(job, state="failed")
        second = make_run(job, attempt=2, previous_id=first.id, trigger="retry")
        page = admin_client.page(f"/runs/{second.id}")
        assert page.select(f'a[href="/runs/{first.id}"]')
        assert "this one" in text(page.find("section", attrs={"aria-labelledby": "attempts-title"}))

    def test_secret_arguments_are_masked_also_when_the_task_is_gone(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        """Also a plain value, which nothing stores any more."""
        job = make_job(task="http.request", kwargs={"url": "http://x.example"})
        plain = {"url": "http://x.example", "authorization": "hunter2"}
        run = make_run(job, kwargs=plain)
        lost = make_run(job, kwargs=plain, task="gone.task", due_at=NOW + timedelta(minutes=1))
        for each in (run, lost):
            page = admin_client.get(f"/runs/{each.id}")
            assert "hunter2" not in page.text
            assert "••••••" in page.text

    def test_aborting_and_running_again(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job()
        run = make_run(job, state="queued", started_at=None, finished_at=None)
        assert text(admin_client.page(f"/runs/{run.id}").select_one("#stop")) == "Cancel"
        assert admin_client.post(f"/runs/{run.id}/stop").headers["Location"] == f"/runs/{run.id}"
        page = admin_client.page(f"/runs/{run.id}")
        assert text(page.select_one("main .state")) == "cancelled"
        answer = admin_client.post(f"/runs/{run.id}/rerun")
        db.session.rollback()
        again = db.session.query(Run).order_by(Run.id.desc()).first()
        assert again is not None
        assert answer.headers["Location"] == f"/runs/{again.id}"
        assert (again.state, again.trigger, again.requested_by) == ("queued", "manual", "admin")

    def test_a_run_is_asked_to_stop_once(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        run = make_run(make_job(), state="running", finished_at=None)
        admin_client.post(f"/runs/{run.id}/stop")
        page = admin_client.page(f"/runs/{run.id}")
        assert not page.select("#stop")
        assert "Asked to stop by admin" in text(page.select_one(".actions"))

    @pytest.mark.parametrize("run_id", ["0", "99999", "99999999999999999999999999"])
    def test_an_unknown_run_is_not_found(self, admin_client: PageClient, run_id: str) -> None:
        assert admin_client.get(f"/runs/{run_id}").status_code == 404


class TestLog:
    def lines(self, page: Any) -> list[str]:
        return [row.select_one(".x").text for row in page.select(".log tr[id^=L], tr[id^=L]")]

    def test_lines_come_with_number_time_and_level(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(make_job())
        say(run, "careful", level="warning")
        row = admin_client.page(f"/runs/{run.id}").select_one("#L1")
        assert [text(cell) for cell in row.find_all("td")] == ["1", "12:00:00.250", "warning", "careful"]  # type: ignore[union-attr]
        assert row["class"] == ["is-warning"]  # type: ignore[index]

    def test_the_tail_brings_only_what_is_new_and_then_ends(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(make_job(), state="running", finished_at=None)
        say(run, "one", "two")
        page = admin_client.page(f"/runs/{run.id}")
        assert self.lines(page) == ["one", "two"]
        url = str(page.select_one("#log-tail")["hx-get"])  # type: ignore[index]
        assert admin_client.get(url, headers=HTMX).status_code == 204
        say(run, "three")
        part = soup(admin_client.get(url, headers=HTMX))
        assert self.lines(part) == ["three"]
        with writing() as session:
            session.get(Run, run.id).state = "succeeded"  # type: ignore[union-attr]
        last = admin_client.get(str(part.select_one("#log-tail")["hx-get"]), headers=HTMX)  # type: ignore[index]
        assert last.status_code == 200
        assert not soup(last).select("#log-tail")

    def test_a_long_log_opens_at_its_end_and_can_be_read_by_ranges(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(make_job())
        say(run, *(f"line {n}" for n in range(1000)))
        page = admin_client.page(f"/runs/{run.id}")
        assert self.lines(page)[0], self.lines(page)[-1] == ("line 600", "line 999")
        seen = self.lines(page)
        while (earlier := page.select_one('.log-section a[rel="prev"]')) is not None:
            page = admin_client.page(str(earlier["href"]))
            seen = [line for line in self.lines(page) if line not in seen] + seen
        assert seen == [f"line {n}" for n in range(1000)]
        assert page.select_one('.log-section a[rel="next"]')

    def test_searching_shows_the_lines_and_marks_the_text(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        run = make_run(make_job())
        say(run, "all fine", "a <b>Bad</b> thing", "fine again")
        page = admin_client.page(f"/runs/{run.id}?q=bad")
        assert self.lines(page) == ["a <b>Bad</b> thing"]
        assert text(page.select_one("mark")) == "Bad"
        assert "1 line with “bad”" in text(page.select_one(".log-section"))
        assert self.lines(admin_client.page(f"/runs/{run.id}?q=absent")) == []

    def test_the_whole_log_can_be_downloaded(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        run = make_run(make_job())
        say(run, *(f"line {n}" for n in range(7000)))
        answer = admin_client.get(f"/runs/{run.id}/log.txt", buffered=True)
        assert answer.mimetype == "text/plain"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="run-{run.id}.log"'
        lines = answer.text.splitlines()
        assert len(lines) == 7000
        assert lines[6999] == "2026-06-01T12:00:00.250Z info     line 6999"

    def test_a_run_without_a_word_says_so(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        assert "Nothing was logged." in text(admin_client.page(f"/runs/{make_run(make_job()).id}").select_one(".log"))


class TestDownTime:
    def spans(self, *minutes: tuple[int, int]) -> None:
        """Leaders from and until so many minutes before now."""
        with writing() as session:
            for number, (begin, end) in enumerate(minutes):
                session.add(
                    SchedulerSpan(
                        holder=f"host:{number}", epoch=number, from_at=NOW - timedelta(minutes=begin),
                        until_at=NOW - timedelta(minutes=end),
                    )
                )  # fmt: skip

    def test_it_is_a_band_in_the_history(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job(name="A")
        self.spans((60, 40), (30, 20), (20, 0))
        for minute in (50, 25, 10):
            make_run(job, due_at=NOW - timedelta(minutes=minute))
        rows = [text(row) for row in admin_client.page("/runs").select("table.runs tbody tr")]
        bands = [place for place, row in enumerate(rows) if "scheduler was down" in row]
        assert len(bands) == 1
        assert rows[bands[0]] == "The scheduler was down from 11:20:00 to 11:30:00 (10 min)"
        assert rows[bands[0] - 1].startswith("11:35:00")
        assert rows[bands[0] + 1].startswith("11:10:00")

    def test_a_band_after_the_newest_run_stands_on_top(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        make_run(make_job(), due_at=NOW - timedelta(minutes=50))
        self.spans((60, 40), (30, 0))
        rows = admin_client.page("/runs").select("table.runs tbody tr")
        assert "scheduler was down" in text(rows[1])

    def test_a_filter_that_leaves_runs_out_shows_no_bands(
        self, admin_client: PageClient, make_job: Any, make_run: Any
    ) -> None:
        job = make_job()
        self.spans((60, 40), (30, 0))
        make_run(job, due_at=NOW - timedelta(minutes=50))
        make_run(job, due_at=NOW - timedelta(minutes=10))
        assert admin_client.page(f"/runs?job_id={job.id}").select("tr.band")
        assert not admin_client.page("/runs?state=succeeded").select("tr.band")

    def test_strips_mark_it(self, admin_client: PageClient, make_job: Any, make_run: Any) -> None:
        job = make_job()
        self.spans((60, 40), (30, 0))
        make_run(job, due_at=NOW - timedelta(minutes=50))
        make_run(job, due_at=NOW - timedelta(minutes=10))
        for url in ("/", "/jobs", f"/jobs/{job.id}"):
            assert len(admin_client.page(url).select("svg.strip")[-1].select(".gap")) == 1, url
