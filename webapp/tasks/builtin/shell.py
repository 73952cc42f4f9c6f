"""Runs a shell command. Off until the settings allow it: whoever may edit jobs may then run anything."""

from __future__ import annotations

import codecs
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Annotated, Any

from pydantic import Field

from webapp.tasks import LongText, current_run, registry
from webapp.tasks.context import active_output
from webapp.tasks.references import REFERENCE

_TICK_S = 0.2
"""How often a silent command is looked at: has it ended, should it stop."""
_GRACE_S = 5.0
"""Between the request to end (SIGTERM) and the end (SIGKILL)."""
_TAIL = 4096
"""Characters kept of each stream, to quote its last line."""


class CommandFailed(RuntimeError):
    """The command could not start, ended with an exit code other than 0, or was ended by a signal."""


class CommandTimedOut(CommandFailed):
    """The command took longer than it was allowed to."""


def run(
    command: LongText,
    timeout_s: Annotated[float, Field(gt=0)] | None = None,
    cwd: str | None = None,
    env: dict[str, str] = {},  # noqa: B006  (never changed; the form shows it)
) -> dict[str, Any]:
    """Run a command in the shell of the server's machine, as the user that Carillon runs as.

    Its output appears in the log line by line. The run fails when the exit code is not 0. Stopping the run, or the
    time limit, ends the command and everything it started.

    Args:
        command: As typed at a prompt of /bin/sh; several lines are a script. {{secret:NAME}} is put in as a variable:
            write it bare or in "double quotes", not in single ones.
        timeout_s: Seconds after which the command is ended; empty for no limit of its own.
        cwd: Folder to run it in; empty for the server's.
        env: Environment variables besides the server's. Everybody who may see the job sees them, but not what
            {{secret:NAME}} is.
    """
    if not registry.settings.shell_enabled:
        raise CommandFailed(_why_off())
    started = time.monotonic()
    heard = _Heard()
    command, variables = _with_variables(command)
    with _process(command, cwd, {**env, **variables}) as process:
        _follow(process, heard, None if timeout_s is None else started + timeout_s)
    heard.finish()
    if process.returncode:
        raise CommandFailed(_complaint(process.returncode, heard.last_line("stderr") or heard.last_line("stdout")))
    return {
        "exit_code": 0,
        "elapsed_s": round(time.monotonic() - started, 3),
        "lines": heard.lines,
        "last_line": heard.last_line("stdout"),
    }


class _Heard:
    """What the command has said: decoded, passed on to the run's log, counted, its last lines remembered."""

    def __init__(self) -> None:
        self.lines = 0
        self._tails = {"stdout": "", "stderr": ""}
        new_decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: new_decoder("replace") for stream in self._tails}

    def hear(self, stream: str, data: bytes, *, is_last: bool = False) -> None:
        text = self._decoders[stream].decode(data, is_last)
        self.lines += text.count("\n")
        self._tails[stream] = (self._tails[stream] + text)[-_TAIL:]
        output = active_output()
        if output is not None:
            output.write(stream, text)

    def finish(self) -> None:
        """Count and show what the streams ended with after their last newline."""
        for stream, tail in self._tails.items():
            if tail and not tail.endswith("\n"):
                self.hear(stream, b"\n", is_last=True)

    def last_line(self, stream: str) -> str:
        lines = [line.strip() for line in self._tails[stream].splitlines() if line.strip()]
        return lines[-1][:500] if lines else ""


@contextmanager
def _process(command: str, cwd: str | None, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The running command as leader of a process group of its own; nothing of it is left after an error inside."""
    try:
        process = subprocess.Popen(  # noqa: S603  (running what the editor of the job wrote is this task's purpose)
            ["/bin/sh", "-c", command],
            cwd=cwd or None,
            env={**_server_environment(), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise CommandFailed(f"the command could not be started: {error}") from error
    try:
        yield process
    except BaseException:
        _end_group(process)
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _follow(process: subprocess.Popen[bytes], heard: _Heard, deadline: float | None) -> None:
    """Listen until the command has ended and its pipes are empty.

    Not until the pipes are closed: a program left in the background holds them open for as long as it lives.
    """
    run = current_run()
    with selectors.DefaultSelector() as selector:
        _listen(selector, process.stdout, "stdout")
        _listen(selector, process.stderr, "stderr")
        while True:
            has_ended = process.poll() is not None
            ready = selector.select(0 if has_ended else _TICK_S)
            for key, _ in ready:
                data = os.read(key.fd, 65_536)
                heard.hear(key.data, data)
                if not data:
                    selector.unregister(key.fileobj)
            if has_ended and not ready:
                return
            run.check_stop()
            if deadline is not None and time.monotonic() > deadline and not has_ended:
                raise CommandTimedOut("the command took longer than its time limit and was ended")


def _listen(selector: selectors.BaseSelector, pipe: IO[bytes] | None, name: str) -> None:
    if pipe is not None:
        selector.register(pipe, selectors.EVENT_READ, name)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask every process of the group to end, and make it end when it does not."""
    deadline = time.monotonic() + _GRACE_S
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # reaps the leader, so that the group can become empty
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _server_environment() -> dict[str, str]:
    """What the command inherits. Our own settings stay here: they hold passwords and database addresses."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}


def _complaint(code: int, last_line: str) -> str:
    ended = f"exit code {code}" if code > 0 else f"ended by {_signal_name(-code)}"
    return f"{ended}: {last_line}" if last_line else ended


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _why_off() -> str:
    return "" if registry.settings.shell_enabled else "It is switched off: set CARILLON_SHELL_ENABLED=true"


def _with_variables(command: str) -> tuple[str, dict[str, str]]:
    """The command with a variable in place of each secret: its text would stand in the machine's list of processes."""
    variables: dict[str, str] = {}

    def placed(found: re.Match[str]) -> str:
        name = "CARILLON_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", found[1])
        variables[name] = current_run().secret(found[1])
        return f"${{{name}}}"

    return REFERENCE.sub(placed, command), variables


registry.register(
    run, key="shell.run", title="Shell command", gate=_why_off, takes_secrets=True, own_references=["command"]
)
