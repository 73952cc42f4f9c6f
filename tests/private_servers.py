"""Database servers of the tests' own: started from the installed programs, with their data in a folder that goes away.

Nothing is asked of a server that is there already, so these may be stopped, killed and frozen.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.server import free_port

START_S = 60.0


class NotInstalled(Exception):
    """The programs of a server are not on this machine; the text says which."""


def program(name: str) -> str:
    """Where a server's program is: on the path, or where Debian keeps it."""
    places = [shutil.which(name), f"/usr/sbin/{name}", *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))[::-1]]
    for place in places:
        if place and os.access(place, os.X_OK):
            return place
    raise NotInstalled(f"the program {name} is not installed")


def _end_with_parent() -> None:
    """Also tests that are killed leave no server behind (Linux only)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class PrivateServer:
    """A server process on a free port of the loopback address. Subclasses say how it is made and started."""

    user: str | None = None
    """The account it runs as when the tests run as root."""
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="carillon-test-server-"))
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        if self._account:
            shutil.chown(self.folder, self._account, self._account)

    @property
    def _account(self) -> str | None:
        return self.user if os.geteuid() == 0 else None

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _run(self, command: Sequence[str]) -> None:
        """Run a command to its end as the server's account; its output is in the error when it fails."""
        done = subprocess.run(
            command, user=self._account, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout.decode(errors='replace')[-2000:]}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self._command(), user=self._account, cwd=self.folder, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
        until = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self._command()[0]} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it takes connections and speaks its protocol."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it in order, whoever is connected, and wait until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            self.process.wait(60)

    def kill(self) -> None:
        """End all its processes at once, as a power failure would."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _reply(self, said: bytes = b"") -> bytes:
        """The first bytes that the server says, to ``said`` or of its own accord; none when it does not hear."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.settimeout(5)
                connection.sendall(said)
                return connection.recv(7)
        except OSError:
            return b""


class Postgres(PrivateServer):
    """A PostgreSQL cluster in which ``postgres`` may do everything without a password."""

    user = "postgres"
    stop_signal = signal.SIGINT  # SIGTERM would wait until everybody has gone

    def __init__(self) -> None:
        initdb, self._postgres = program("initdb"), program("postgres")
        super().__init__()
        self._run(
            [initdb, "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        )

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
            "fsync": "off",
            "autovacuum": "off",  # statistics at some moment would give other plans than the ones that are tested
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._postgres, "-D", str(self.data), *options]

    def answers(self) -> bool:
        """It sends an error while it still recovers, which a plain connection does not tell."""
        import psycopg

        try:
            psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class MariaDb(PrivateServer):
    """A MariaDB server in which ``root`` may do everything without a password; its default character set is latin1."""

    def __init__(self) -> None:
        install, self._mariadbd = program("mariadb-install-db"), program("mariadbd")
        super().__init__()
        self._as_root = ["--user=root"] if os.geteuid() == 0 else []
        # A server that starts deletes the temporary tables of all servers in its folder for them.
        own_tables = self.folder / "tables"
        own_tables.mkdir()
        self._tables = f"--tmpdir={own_tables}"
        self._run(
            [install, "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal",
             "--skip-test-db", self._tables, *self._as_root]
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/mysql"

    def _command(self) -> Sequence[str]:
        return [
            self._mariadbd, "--no-defaults", f"--datadir={self.data}", "--bind-address=127.0.0.1",
            f"--port={self.port}", f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}",
            "--max-connections=300", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2",
            self._tables, *self._as_root,
        ]  # fmt: skip

    def answers(self) -> bool:
        return self._reply() != b""


class Redis(PrivateServer):
    """A Redis server. Unless it ``keeps`` its data on disk, it is empty after a new start."""

    def __init__(self, *, keeps: bool = False) -> None:
        self._redis = program("redis-server")
        self._keeps = "yes" if keeps else "no"
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> Sequence[str]:
        return [
            self._redis, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", self._keeps,
            "--appendfsync", "always",
            "--dir", str(self.folder), "--daemonize", "no",
        ]  # fmt: skip

    def answers(self) -> bool:
        return self._reply(b"PING\r\n").startswith(b"+PONG")


class RabbitMq(PrivateServer):
    """A RabbitMQ node with its own port mapper, which keeps its queues on the disk: stopped, it forgets nothing."""

    def __init__(self) -> None:
        found = sorted(glob.glob("/usr/lib/rabbitmq/bin/rabbitmq-server"))
        self._rabbitmq = found[0] if found else program("rabbitmq-server")
        self._epmd = program("epmd")
        super().__init__()
        self._mapper, self._peers = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def _command(self) -> Sequence[str]:
        settings = {
            "HOME": self.folder,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": self._mapper,
            "RABBITMQ_NODENAME": f"carillon{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": self._peers,
            "RABBITMQ_MNESIA_BASE": self.data,
            "RABBITMQ_LOG_BASE": self.folder / "log",
            "RABBITMQ_PID_FILE": self.folder / "pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_CONFIG_FILE": self.folder / "none",
            "RABBITMQ_CONF_ENV_FILE": self.folder / "none",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        end_with_tests = f"(while kill -0 {os.getpid()}; do sleep 1; done; kill -KILL 0) 2>/dev/null"
        mapper = f"{self._epmd} -port {self._mapper} -address 127.0.0.1"
        both = f"{end_with_tests} & {mapper} & exec {self._rabbitmq}"
        return ["env", *(f"{name}={value}" for name, value in settings.items()), "sh", "-c", both]

    def stop(self) -> None:
        """The port mapper does not end with its node."""
        super().stop()
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def answers(self) -> bool:
        return self._reply(b"AMQP\x00\x00\x09\x01") != b""
