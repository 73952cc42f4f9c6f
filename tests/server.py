"""A real server in a process group of its own, for tests that stop, kill or freeze it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_S = 30.0


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``python app.py`` on a free port, with an instance folder of the test's."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CARILLON_", "SCHEDULER_"))}
        self.environment = {
            **kept,
            "CARILLON_INSTANCE_PATH": str(folder),
            "CARILLON_ADMIN_USER": "admin",
            "CARILLON_ADMIN_PASSWORD": "correct horse",
            "PYTHONPATH": str(ROOT),
            **environment,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str, wait: bool = True) -> Server:
        """Start it and, unless told otherwise, wait until it serves."""
        self.launch([sys.executable, str(ROOT / "app.py"), "--port", str(self.port), *arguments])
        if wait:
            self.wait_until(self.is_live, START_S)
        return self

    def launch(self, command: Sequence[str]) -> None:
        """Start any command in the server's surroundings."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def is_live(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_until(self, question: Callable[[], Any], seconds: float) -> Any:
        """Ask until the answer is true; fail with the server's log when it does not come or the server has ended."""
        until = time.monotonic() + seconds
        while True:
            answer = question()
            if answer:
                return answer
            ended = self.process is not None and self.process.poll() is not None
            if ended or time.monotonic() > until:
                raise AssertionError(f"in vain:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Send a signal to the server and all its workers."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End all its processes at once, as a power failure would."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

    def stop(self, seconds: float = 30) -> int:
        """End it in order; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(seconds)

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process is not None:
            try:
                self.signal(signal.SIGKILL)
            except ProcessLookupError:
                return
            self.process.wait(10)
