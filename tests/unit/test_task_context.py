"""The run a task finds itself in: its log, its progress, its stop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from webapp.tasks import OutsideRun, RunContext, Stopped, activate, current_run
from webapp.tasks.output import LINE_LIMIT, RunOutput
from webapp.tasks.testing import RecordedRun, context_for, recorded_run

MOMENT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class BrokenSink:
    def line(self, at: datetime, level: str, text: str) -> NoReturn:
        raise OSError("disk full")

    def progress(self, fraction: float, text: str) -> NoReturn:
        raise OSError("disk full")

    def stop_requested(self) -> NoReturn:
        raise OSError("no connection")


def test_outside_a_run_there_is_no_current_run() -> None:
    with pytest.raises(OutsideRun, match="only inside a task"):
        current_run()
    assert current_run(None) is None
    assert current_run(default=3) == 3


def test_inside_a_run_the_task_knows_who_it_is() -> None:
    with recorded_run("reports.daily"):
        run = current_run()
        assert (run.run_id, run.job_id, run.task, run.attempt, run.trigger) == (
            1,
            "test-job",
            "reports.daily",
            1,
            "manual",
        )
    assert current_run(None) is None


def test_a_line_carries_its_time_and_level() -> None:
    sink = RecordedRun()
    context = context_for(sink)
    context = RunContext(
        run_id=7,
        job_id="j",
        job_name="J",
        task="t",
        attempt=2,
        due_at=None,
        trigger="retry",
        sink=sink,
        clock=lambda: MOMENT,
    )
    context.log("one\ntwo", level="warning")
    context.log(3)
    assert sink.entries == [(MOMENT, "warning", "one"), (MOMENT, "warning", "two"), (MOMENT, "info", "3")]


def test_an_unknown_level_is_refused() -> None:
    with recorded_run(), pytest.raises(ValueError, match="level must be one of"):
        current_run().log("x", level="loud")


@pytest.mark.parametrize(("given", "shown"), [(0.25, 0.25), (-1, 0.0), (7, 1.0), (float("inf"), 1.0), (1, 1.0)])
def test_progress_is_kept_between_nothing_and_all(given: float, shown: float) -> None:
    with recorded_run() as seen:
        current_run().progress(given, "rows")
    assert seen.progress_seen == [(shown, "rows")]


def test_progress_that_is_no_number_is_noted_and_changes_nothing() -> None:
    with recorded_run() as seen:
        current_run().progress(float("nan"))
    assert seen.progress_seen == []
    assert seen.entries[0][1:] == ("warning", "Progress is not a number; the earlier progress stays")


def test_a_run_that_should_stop_is_told_so() -> None:
    with recorded_run() as seen:
        run = current_run()
        run.check_stop()
        assert not run.should_stop()
        seen.stop = True
        assert run.should_stop()
        with pytest.raises(Stopped, match="run 1"):
            run.check_stop()


def test_a_stop_passes_a_tasks_own_except_exception() -> None:
    def forgiving_task() -> None:
        try:
            current_run().check_stop()
        except Exception:
            pytest.fail("a stop must not look like a failed item")

    with recorded_run() as seen:
        seen.stop = True
        with pytest.raises(Stopped):
            forgiving_task()


def test_a_broken_sink_never_breaks_the_task_and_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    with activate(context_for(BrokenSink())):  # type: ignore[arg-type]
        run = current_run()
        run.log("a")
        run.log("b")
        run.progress(0.5)
        assert run.should_stop() is False
    assert caplog.text.count("cannot be kept") == 1
    assert "disk full" in caplog.text


def test_asyncio_tasks_and_copied_contexts_belong_to_the_run() -> None:
    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(say("task"))
        await asyncio.to_thread(current_run().log, "to_thread")

    async def say(text: str) -> None:
        current_run().log(text)

    with recorded_run() as seen:
        asyncio.run(work())
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: current_run().log("thread"),))
        thread.start()
        thread.join()
    assert seen.lines == ["task", "to_thread", "thread"]


def test_two_runs_in_two_threads_do_not_mix() -> None:
    barrier = threading.Barrier(2)
    seen: dict[str, list[str]] = {}

    def run(name: str) -> None:
        with recorded_run() as recorded:
            for number in range(50):
                barrier.wait()
                current_run().log(f"{name} {number}")
        seen[name] = recorded.lines

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {name: [f"{name} {number}" for number in range(50)] for name in ("a", "b")}


def test_a_run_within_a_run_gives_the_outer_one_back() -> None:
    with recorded_run() as outer:
        with recorded_run() as inner:
            current_run().log("inner")
        current_run().log("outer")
    assert (inner.lines, outer.lines) == (["inner"], ["outer"])


@pytest.fixture
def sink() -> RecordedRun:
    return RecordedRun()


@pytest.fixture
def output(sink: RecordedRun) -> RunOutput:
    return RunOutput(sink, lambda: MOMENT)


def test_pieces_of_a_line_are_joined_for_each_stream(sink: RecordedRun, output: RunOutput) -> None:
    output.write("stdout", "one ")
    output.write("stderr", "wa")
    output.write("stdout", "line\nand a re")
    assert sink.entries == [(MOMENT, "info", "one line")]
    output.write("stderr", "rning\n")
    output.close()
    assert sink.entries[1:] == [(MOMENT, "warning", "warning"), (MOMENT, "info", "and a re")]


def test_an_empty_line_stays_a_line(sink: RecordedRun, output: RunOutput) -> None:
    output.write("stdout", "a\n\nb\n")
    output.close()
    assert sink.lines == ["a", "", "b"]


def test_a_progress_bar_leaves_its_last_state_only(sink: RecordedRun, output: RunOutput) -> None:
    for percent in (10, 60, 100):
        output.write("stderr", f"\r{percent}%")
    output.write("stderr", "\r\nnext\r\n")
    assert sink.lines == ["100%", "next"]


def test_output_without_newlines_is_cut_into_bounded_lines(sink: RecordedRun, output: RunOutput) -> None:
    for _ in range(10):
        output.write("stdout", "x" * LINE_LIMIT)
    output.write("stdout", "y")
    output.close()
    assert {len(line) for line in sink.lines} == {LINE_LIMIT, 1}
    assert "".join(sink.lines) == "x" * LINE_LIMIT * 10 + "y"


def test_a_rewritten_line_without_end_does_not_fill_memory(sink: RecordedRun, output: RunOutput) -> None:
    for number in range(10_000):
        output.write("stdout", f"\r{number} of 10000")
    output.close()
    assert len(sink.lines) <= 1
    assert sink.lines[-1] == "9999 of 10000"


def test_what_no_database_takes_is_replaced(sink: RecordedRun, output: RunOutput) -> None:
    output.say("info", "nul \x00 half \ud800 ümlaut")
    assert sink.lines == ["nul \ufffd half ? ümlaut"]
