"""Clients that fall silent, send too much, or do not read: they cost nothing that lasts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server import Server

LOGIN = ("admin", "correct horse")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("served")
    server = Server(folder, CARILLON_THREADS="2", CARILLON_CLIENT_SILENCE_S="1")
    try:
        yield server.start()
    finally:
        server.close()


BEGUN = [
    b"POST /scheduler/jobs HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000\r\n\r\nname=x",
    b"POST /scheduler/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46Y29ycmVjdCBob3JzZQ==\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
]


def test_silent_clients_do_not_keep_the_threads(server: Server) -> None:
    hung = [socket.create_connection(("127.0.0.1", server.port)) for _ in BEGUN]
    try:
        for each, begun in zip(hung, BEGUN, strict=True):
            each.sendall(begun)
        assert httpx.get(f"{server.url}/health/live", timeout=30).status_code == 200
        assert httpx.get(f"{server.url}/scheduler", auth=LOGIN, timeout=30).status_code == 200
        for each in hung:  # each of them was told, or hung up on
            each.settimeout(30)
            said = each.recv(1000)
            assert said == b"" or said.startswith(b"HTTP/1.1 4")
    finally:
        for each in hung:
            each.close()
    assert "Traceback" not in server.log.read_text()


def test_ten_megabytes_of_json_are_refused_also_without_a_length(server: Server) -> None:
    body = json.dumps({"id": "x", "description": "x" * 10_000_000}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    before = resident_kb(server)
    for content in (body, pieces()):
        try:
            answer = httpx.post(f"{server.url}/scheduler/jobs", auth=LOGIN, content=content, timeout=30)
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):  # it had hung up before all was sent
            continue
        assert answer.status_code == 413, answer.text
        assert answer.json()["error_message"]
    assert httpx.get(f"{server.url}/scheduler/jobs", auth=LOGIN, timeout=30).json() == []
    assert resident_kb(server) - before < 8_000


def resident_kb(server: Server) -> int:
    """Memory of the server's processes."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    sizes = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in [str(server.process.pid), *children]]
    return sum(map(int, sizes)) * 4
