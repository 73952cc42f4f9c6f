"""How many polls with nothing changed a served Carillon answers each second, over loopback and for a few seconds."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.server import Server

SECONDS = 5.0
CONNECTIONS = 4
BROWSER = "bench"
"""What calls itself so at login must do so afterwards: another browser's session gets a new cookie each time."""


def rate(folder: Path, url: str, path: str, cookie: str) -> float:
    """Answers a second of two server processes without a scheduler; raises AssertionError for one that is no 204."""
    server = Server(folder, CARILLON_DATABASE_URL=url, CARILLON_SCHEDULER="off", CARILLON_LOG_LEVEL="WARNING")
    try:
        server.start("--workers", "2")
        with ProcessPoolExecutor(CONNECTIONS) as pool:
            counts = pool.map(_ask, [server.port] * CONNECTIONS, [path] * CONNECTIONS, [cookie] * CONNECTIONS)
            return sum(counts) / SECONDS
    finally:
        server.close()


def _ask(port: int, path: str, cookie: str) -> int:
    """Ask over one connection, again and again; how often it was answered."""
    headers = {"Host": f"127.0.0.1:{port}", "Cookie": f"carillon={cookie}", "HX-Request": "true", "User-Agent": BROWSER}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    line, answered = "\r\n".join(lines).encode(), 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            connection.sendall(line)
            answer = connection.recv(65536)
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 204"), answer[:200]
            answered += 1
    return answered
