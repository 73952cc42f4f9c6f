"""The task shell.run, with real commands."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from webapp.tasks import Stopped, registry
from webapp.tasks.builtin import shell
from webapp.tasks.testing import RecordedRun, recorded_run


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    with registry.temporary():
        registry.configure(shell_enabled=True)
        yield


def wait_for(condition: Callable[[], bool], limit_s: float = 10) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_switched_off_it_runs_nothing(tmp_path: Path) -> None:
    registry.configure(shell_enabled=False)
    with recorded_run(), pytest.raises(shell.CommandFailed, match="CARILLON_SHELL_ENABLED=true"):
        shell.run(f"touch {tmp_path / 'made'}")
    assert not (tmp_path / "made").exists()


def test_output_comes_line_by_line_with_its_stream() -> None:
    with recorded_run() as run:
        result = shell.run("echo one; printf 'two\\nthree'; echo oops >&2")
    assert sorted(entry[1:] for entry in run.entries) == [
        ("info", "one"),
        ("info", "three"),
        ("info", "two"),
        ("warning", "oops"),
    ]
    assert (result["exit_code"], result["lines"], result["last_line"]) == (0, 4, "three")


def test_lines_are_seen_while_the_command_still_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    seen: list[RecordedRun] = []

    def work() -> None:
        with recorded_run() as run:
            seen.append(run)
            shell.run(f"echo started; while [ ! -e {gate} ]; do sleep 0.02; done; echo ended")

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: bool(seen) and seen[0].lines == ["started"])
    assert thread.is_alive()
    gate.touch()
    thread.join(10)
    assert seen[0].lines == ["started", "ended"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo fine; echo 'no such thing' >&2; exit 3", "exit code 3: no such thing"),
        ("echo only this; exit 4", "exit code 4: only this"),
        ("exit 5", "exit code 5"),
        ("kill -KILL $$", "ended by SIGKILL"),
        ("no-such-command-here", "exit code 127: .*not found"),
    ],
)
def test_a_command_that_fails_fails_the_run_with_its_last_error_line(command: str, message: str) -> None:
    with recorded_run(), pytest.raises(shell.CommandFailed, match=message):
        shell.run(command)


def test_folder_and_environment_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_ADMIN_PASSWORD", "hunter2")
    monkeypatch.setenv("ORDINARY", "kept")
    with recorded_run() as run:
        shell.run('pwd; echo "$NAME $ORDINARY [$CARILLON_ADMIN_PASSWORD]"', cwd=str(tmp_path), env={"NAME": "value"})
    assert run.lines == [str(tmp_path), "value kept []"]


def test_a_folder_that_does_not_exist_is_a_clear_failure() -> None:
    with recorded_run(), pytest.raises(shell.CommandFailed, match=r"could not be started: .*no/such/folder"):
        shell.run("true", cwd="/no/such/folder")


def test_a_time_limit_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with recorded_run() as run, pytest.raises(shell.CommandTimedOut, match="time limit"):
        shell.run(f"echo begun; sleep 60 & echo $! > {pid_file}; wait", timeout_s=0.4)
    assert run.lines == ["begun"]
    child = int(pid_file.read_text())
    wait_for(lambda: not is_alive(child))


def test_a_stop_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    caught: list[BaseException] = []
    runs: list[RecordedRun] = []

    def work() -> None:
        with recorded_run() as run:
            runs.append(run)
            try:
                shell.run(f"sleep 60 & echo $! > {pid_file}; wait")
            except Stopped as stopped:
                caught.append(stopped)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    runs[0].stop = True
    thread.join(10)
    assert len(caught) == 1
    child = int(pid_file.read_text())
    wait_for(lambda: not is_alive(child))


def test_a_command_that_ignores_the_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "_GRACE_S", 0.3)
    pid_file = tmp_path / "pid"
    with recorded_run(), pytest.raises(shell.CommandTimedOut):
        shell.run(f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 0.05; done", timeout_s=0.4)
    child = int(pid_file.read_text())
    wait_for(lambda: not is_alive(child))


def test_a_program_left_in_the_background_does_not_hold_the_run(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    with recorded_run() as run:
        shell.run(f"sleep 30 & echo $! > {pid_file}; echo done")
    assert time.monotonic() - started < 5
    assert run.lines == ["done"]
    child = int(pid_file.read_text())
    assert is_alive(child), "what a command leaves behind on purpose is left alone"
    os.kill(child, 9)


def test_a_flood_of_output_is_followed_to_its_end() -> None:
    with recorded_run() as run:
        result = shell.run("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done")
    assert run.lines == [str(number) for number in range(2000)]
    assert result["lines"] == 2000


def test_bytes_that_are_no_text_and_long_lines_are_shown_somehow() -> None:
    with recorded_run() as run:
        shell.run("printf '\\377\\n'; head -c 20000 /dev/zero | tr '\\0' x")
    assert run.lines[0] == "\ufffd"
    assert "".join(run.lines[1:]) == "x" * 20_000


def test_a_command_waiting_for_input_gets_none() -> None:
    with recorded_run() as run:
        shell.run("read line || echo no input")
    assert run.lines == ["no input"]
