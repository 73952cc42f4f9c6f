"""Logs and prints of a run reach its log; everything else passes on as if nobody listened."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from webapp.tasks import activate, capture, current_run
from webapp.tasks.testing import RecordedRun, context_for, recorded_run


class Server:
    """The server's own output: its streams, and a handler on the root logger."""

    def __init__(self) -> None:
        self.stdout, self.stderr, self.handler_output = io.StringIO(), io.StringIO(), io.StringIO()
        self.handler = logging.StreamHandler(self.handler_output)
        self.handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    @property
    def logged(self) -> list[str]:
        return self.handler_output.getvalue().splitlines()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The root logger at WARNING, as Python has it, and capture installed."""
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.WARNING)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", self.stdout)
            patch.setattr(sys, "stderr", self.stderr)
            patch.setattr(root, "handlers", [self.handler])
            capture.install()
            try:
                yield
            finally:
                capture.uninstall()
                root.setLevel(level)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """Started around the test's body only: pytest puts its own streams and handlers in place just before that."""
    made = Server()
    test = request.node.obj

    def inside(**fixtures: object) -> None:
        with made.running():
            test(**fixtures)

    request.node.obj = inside
    return made


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> logging.Logger:
    return logging.getLogger(f"acme.{request.node.name}")


def test_info_lines_reach_the_run_and_leave_the_server_as_quiet_as_before(
    server: Server, logger: logging.Logger
) -> None:
    logger.info("before")
    with recorded_run() as run:
        logger.debug("too fine")
        logger.info("%s rows", 3)
        logger.warning("slow")
    logger.info("after")
    assert [entry[1:] for entry in run.entries] == [("info", "3 rows"), ("warning", "slow")]
    assert server.logged == ["WARNING slow"]


def test_the_root_level_and_its_handlers_are_left_alone(server: Server) -> None:
    assert logging.getLogger().level == logging.WARNING
    assert logging.getLogger().handlers == [server.handler]


def test_a_loggers_own_level_is_respected_both_ways(server: Server, logger: logging.Logger) -> None:
    chatty, strict = logger.getChild("chatty"), logger.getChild("strict")
    chatty.setLevel(logging.DEBUG)
    strict.setLevel(logging.ERROR)
    with recorded_run() as run:
        chatty.debug("detail")
        strict.getChild("below").info("unwanted")
        strict.error("wanted")
    assert [entry[1:] for entry in run.entries] == [("debug", "detail"), ("error", "wanted")]


def test_logging_that_is_switched_off_stays_off(server: Server, logger: logging.Logger) -> None:
    with recorded_run() as run:
        logging.disable(logging.INFO)
        try:
            logger.info("off")
            logger.warning("on")
        finally:
            logging.disable(logging.NOTSET)
    assert run.lines == ["on"]


def test_a_logger_that_does_not_propagate_is_heard_too(server: Server, logger: logging.Logger) -> None:
    logger.propagate = False
    with recorded_run() as run:
        logger.warning("alone")
    assert run.lines == ["alone"]


def test_a_traceback_comes_line_by_line_at_the_level_of_its_record(server: Server, logger: logging.Logger) -> None:
    with recorded_run() as run:
        try:
            raise LookupError("gone")
        except LookupError:
            logger.exception("could not read")
    assert run.lines[0] == "could not read"
    assert run.lines[1] == "Traceback (most recent call last):"
    assert run.lines[-1] == "LookupError: gone"
    assert {level for _, level, _ in run.entries} == {"error"}


def test_a_record_keeps_the_time_it_was_made(server: Server, logger: logging.Logger) -> None:
    record = logger.makeRecord(logger.name, logging.INFO, "f", 1, "old", (), None)
    record.created = 0.0
    with recorded_run() as run:
        logger.handle(record)
    assert run.entries[0][0].isoformat() == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(("number", "level"), [(5, "debug"), (25, "info"), (35, "warning"), (99, "critical")])
def test_levels_of_ones_own_become_the_usual_one_below(
    server: Server, logger: logging.Logger, number: int, level: str
) -> None:
    logger.setLevel(1)
    with recorded_run() as run:
        logger.log(number, "x")
    assert run.entries[0][1] == level


def test_a_log_line_with_wrong_arguments_is_shown_and_breaks_nothing(server: Server, logger: logging.Logger) -> None:
    with recorded_run() as run:
        logger.info("%d rows", "three")
    assert "'%d rows' (this log line could not be formatted: TypeError" in run.lines[0]


def test_prints_reach_the_run_as_whole_lines_and_not_the_server(server: Server) -> None:
    print("before")
    with recorded_run() as run:
        print("one", end=" ")
        print("line")
        print("oops", file=sys.stderr)
        sys.stdout.writelines(["a\n", "b\n"])
        print("unfinished", end="", flush=True)
    print("after")
    assert [entry[1:] for entry in run.entries] == [
        ("info", "one line"),
        ("warning", "oops"),
        ("info", "a"),
        ("info", "b"),
        ("info", "unfinished"),
    ]
    assert server.stdout.getvalue() == "before\nafter\n"
    assert server.stderr.getvalue() == ""


def test_the_streams_are_otherwise_the_servers_own(server: Server) -> None:
    assert sys.stdout.getvalue() == ""  # type: ignore[union-attr]
    assert not sys.stdout.isatty()
    assert sys.stdout.writable()
    with recorded_run():
        sys.stdout.close()
        with pytest.raises(TypeError, match="must be str, not bytes"):
            sys.stdout.write(b"x")  # type: ignore[arg-type]
    assert not server.stdout.closed


def test_without_any_handler_the_last_resort_still_works(
    server: Server, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger.warning("outside")
    with recorded_run() as run:
        logger.warning("inside")
    assert server.stderr.getvalue() == "outside\ninside\n"
    assert run.lines == ["inside"], "what the server's handler writes is not a print of the task"


def test_a_server_handler_that_writes_to_our_stream_does_not_double_the_line(
    server: Server, logger: logging.Logger
) -> None:
    late = logging.StreamHandler(sys.stderr)
    logger.addHandler(late)
    with recorded_run() as run:
        logger.warning("once")
    assert run.lines == ["once"]
    assert server.stderr.getvalue() == "once\n"
    logger.removeHandler(late)


def test_asyncio_tasks_of_two_runs_do_not_mix(server: Server, logger: logging.Logger) -> None:
    async def job(name: str) -> list[str]:
        with recorded_run() as run:
            for number in range(20):
                print(name, number)
                logger.info("%s logged %s", name, number)
                await asyncio.sleep(0)
        return run.lines

    async def both() -> list[list[str]]:
        return list(await asyncio.gather(job("a"), job("b")))

    for name, lines in zip("ab", asyncio.run(both()), strict=True):
        assert lines == [text for n in range(20) for text in (f"{name} {n}", f"{name} logged {n}")]


def test_a_thread_without_the_runs_context_speaks_to_the_server(server: Server, logger: logging.Logger) -> None:
    with recorded_run() as run:
        thread = threading.Thread(target=print, args=("elsewhere",))
        thread.start()
        thread.join()
    assert run.lines == []
    assert server.stdout.getvalue() == "elsewhere\n"


def test_what_is_left_over_after_the_run_speaks_to_the_server(server: Server, logger: logging.Logger) -> None:
    async def scenario() -> RecordedRun:
        ended = asyncio.Event()

        async def left_over() -> None:
            await ended.wait()
            print("late print")
            logger.warning("late log")

        with recorded_run() as run:
            task = asyncio.create_task(left_over())
            await asyncio.sleep(0)
        ended.set()
        await task
        return run

    assert asyncio.run(scenario()).lines == []
    assert server.stdout.getvalue() == "late print\n"
    assert server.logged == ["WARNING late log"]


class TalkingSink(RecordedRun):
    """A sink that itself logs and prints, as a recorder does when its database is slow."""

    def line(self, at: datetime, level: str, text: str) -> None:
        print("sink prints")
        logging.getLogger("sink").warning("sink logs")
        super().line(at, level, text)


def test_a_sink_that_talks_itself_is_not_talking_to_itself(server: Server, logger: logging.Logger) -> None:
    sink = TalkingSink()
    with activate(context_for(sink)):
        print("from the task")
        logger.info("logged by the task")
    assert sink.lines == ["from the task", "logged by the task"]
    assert server.stdout.getvalue() == "sink prints\n" * 2
    assert server.logged == ["WARNING sink logs"] * 2


def test_muted_loggers_stay_out_of_the_run_only(server: Server, logger: logging.Logger) -> None:
    with recorded_run() as run:
        with capture.muted(logger.name):
            logger.info("hidden")
            logger.getChild("below").warning("hidden too")
        logger.info("shown")
    assert run.lines == ["shown"]
    assert server.logged == ["WARNING hidden too"]


def test_installing_twice_is_installing_once(server: Server, logger: logging.Logger) -> None:
    capture.install()
    with recorded_run() as run:
        print("p")
        logger.info("l")
    assert run.lines == ["p", "l"]
    capture.uninstall()
    assert sys.stdout is server.stdout
    with recorded_run() as run:
        print("p")
        logger.info("l")
        logger.warning("w")
    assert run.lines == []
    assert server.logged[-1] == "WARNING w"


def test_a_stream_that_others_replaced_is_wrapped_again(server: Server) -> None:
    theirs = io.StringIO()
    sys.stdout = theirs
    capture.install()
    with recorded_run() as run:
        print("heard")
    print("theirs")
    assert (run.lines, theirs.getvalue()) == (["heard"], "theirs\n")


def test_logging_that_others_wrapped_over_ours_keeps_working(
    server: Server, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As error trackers do it: they wrap the same method later and never take it off."""
    ours = logging.Logger.callHandlers
    seen: list[str] = []

    def theirs(self: logging.Logger, record: logging.LogRecord) -> None:
        seen.append(record.getMessage())
        ours(self, record)

    monkeypatch.setattr(logging.Logger, "callHandlers", theirs)
    with recorded_run() as first:
        logger.warning("one")
    capture.uninstall()
    with recorded_run() as second:
        logger.warning("two")
    capture.install()
    with recorded_run() as third:
        logger.warning("three")
    capture.uninstall()
    assert (first.lines, second.lines, third.lines) == (["one"], [], ["three"])
    assert seen == ["one", "two", "three"]
    assert server.logged == ["WARNING one", "WARNING two", "WARNING three"]


def test_a_server_without_streams_loses_nothing_but_its_own_prints(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    capture.install()
    print("nowhere", flush=True)
    with recorded_run() as run:
        print("kept")
        current_run().log("too")
    assert run.lines == ["kept", "too"]
    with pytest.raises(io.UnsupportedOperation):
        sys.stdout.fileno()
