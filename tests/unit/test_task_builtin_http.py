"""The task http.request, against a real server on the loopback interface."""

from __future__ import annotations

import gzip
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from webapp.domain.errors import Invalid
from webapp.tasks import Stopped, capture, registry
from webapp.tasks.builtin import http
from webapp.tasks.testing import recorded_run


class Handler(BaseHTTPRequestHandler):
    seen: list[dict[str, Any]]
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.seen.append(
            {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": self.rfile.read(length)}
        )
        name = self.path.strip("/").partition("?")[0]
        if name.isdigit():
            self.send(int(name), b"the reason why")
        elif name == "redirect":
            self.send(302, b"", {"Location": "/200"})
        elif name == "far":
            self.send(302, b"", {"Location": "ftp://example.org/"})
        elif name == "big":
            self.send(200, "ü".encode() * 500_000)
        elif name == "zipped":
            self.send(200, gzip.compress(b"unzipped"), {"Content-Encoding": "gzip"})
        elif name == "latin":
            self.send(200, "Grüße".encode("latin-1"), {"Content-Type": "text/plain; charset=latin-1"})
        elif name == "odd-codec":
            self.send(200, b"plain", {"Content-Type": "text/plain; charset=hex"})
        elif name == "drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b".")
                time.sleep(0.05)
        elif name == "silent":
            time.sleep(3)
        elif name == "broken":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None: ...  # clients hang up on purpose here

    made = QuietServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def url(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    Handler.seen = []
    return f"http://127.0.0.1:{server.server_port}"


def test_an_answer_is_checked_told_in_one_line_and_returned(url: str) -> None:
    with recorded_run() as run:
        result = http.request(f"{url}/200")
    assert result == {"status": 200, "elapsed_s": result["elapsed_s"], "bytes": 14, "body": "the reason why"}
    assert 0 <= result["elapsed_s"] < 5
    assert len(run.lines) == 1
    assert run.lines[0].startswith(f"GET {url}/200: 200 OK, 14 bytes in ")


def test_everything_asked_for_is_sent(url: str) -> None:
    with recorded_run():
        http.request(
            f"{url}/200?a=b",
            method="POST",
            headers={"Content-Type": "text/plain", "X-Name": "Grüße"},
            authorization="Bearer token",
            body="schön",
        )
    [seen] = Handler.seen
    assert (seen["method"], seen["path"], seen["body"].decode()) == ("POST", "/200?a=b", "schön")
    assert (seen["headers"]["Authorization"], seen["headers"]["Content-Type"]) == ("Bearer token", "text/plain")
    assert seen["headers"]["X-Name"].encode("latin-1").decode() == "Grüße"


def test_an_unexpected_status_fails_with_what_the_server_said(url: str) -> None:
    with recorded_run() as run, pytest.raises(http.UnexpectedAnswer) as caught:
        http.request(f"{url}/503")
    assert str(caught.value) == "the server answered 503 Service Unavailable; expected 2xx: the reason why"
    assert run.entries[0][1] == "error"


@pytest.mark.parametrize(
    ("expected", "codes"),
    [
        ("2xx", set(range(200, 300))),
        ("200-204, 404", {200, 201, 202, 203, 204, 404}),
        ("418,", {418}),
        ("3XX", set(range(300, 400))),
    ],
)
def test_expected_statuses_are_lists_and_ranges(expected: str, codes: set[int]) -> None:
    assert http.statuses(expected) == codes


def test_any_status_can_be_the_expected_one(url: str) -> None:
    with recorded_run():
        assert http.request(f"{url}/404", expected_status="404")["status"] == 404
        with pytest.raises(http.UnexpectedAnswer, match="200 OK; expected 404"):
            http.request(f"{url}/200", expected_status="404")


def test_redirects_are_followed_unless_told_otherwise(url: str) -> None:
    with recorded_run():
        assert http.request(f"{url}/redirect")["status"] == 200
        with pytest.raises(http.UnexpectedAnswer, match="302 Found, redirect to /200; expected 2xx"):
            http.request(f"{url}/redirect", follow_redirects=False)


def test_a_redirect_never_leads_out_of_http(url: str) -> None:
    with recorded_run(), pytest.raises(http.RequestFailed, match="protocol"):
        http.request(f"{url}/far")


def test_only_the_beginning_of_a_large_answer_is_kept(url: str) -> None:
    with recorded_run():
        result = http.request(f"{url}/big")
    assert result["bytes"] == 1_000_000
    assert result["body"] == "ü" * 1024


@pytest.mark.parametrize(("path", "text"), [("zipped", "unzipped"), ("latin", "Grüße"), ("odd-codec", "plain")])
def test_answers_are_decoded(url: str, path: str, text: str) -> None:
    with recorded_run():
        assert http.request(f"{url}/{path}")["body"] == text


def test_head_has_no_body(url: str) -> None:
    with recorded_run():
        assert http.request(f"{url}/200", method="HEAD")["body"] == ""


def test_an_answer_that_drips_is_cut_off_at_the_time_limit(url: str) -> None:
    started = time.monotonic()
    with recorded_run(), pytest.raises(http.RequestFailed, match=r"no complete answer within 0\.3 s"):
        http.request(f"{url}/drip", timeout_s=0.3)
    assert time.monotonic() - started < 2


def test_a_run_that_should_stop_stops_between_pieces(url: str) -> None:
    with recorded_run() as run:
        run.stop = True
        with pytest.raises(Stopped):
            http.request(f"{url}/drip")


def test_a_stop_does_not_wait_for_a_silent_server(url: str) -> None:
    started = time.monotonic()
    with recorded_run() as run:
        threading.Timer(0.2, lambda: setattr(run, "stop", True)).start()
        with pytest.raises(Stopped):
            http.request(f"{url}/silent")
    assert time.monotonic() - started < 2


def test_a_connection_that_breaks_fails_the_run(url: str) -> None:
    with recorded_run(), pytest.raises(http.RequestFailed, match=f"GET {url}/broken: .*disconnected"):
        http.request(f"{url}/broken")


def test_nobody_listening_is_a_clear_failure() -> None:
    with recorded_run(), pytest.raises(http.RequestFailed, match=r"GET http://127\.0\.0\.1:9/: .*refused"):
        http.request("http://127.0.0.1:9/")


def test_a_password_in_the_address_does_not_reach_the_log(url: str) -> None:
    with recorded_run() as run:
        http.request(url.replace("//", "//user:hunter2@") + "/200")
    assert "Authorization" in Handler.seen[0]["headers"]
    assert "hunter2" not in run.lines[0]


def test_the_client_library_does_not_log_a_second_line(url: str) -> None:
    stdout = sys.stdout
    capture.install()
    try:
        with recorded_run() as run:
            http.request(f"{url}/200")
            logging.getLogger("httpx").info("from elsewhere")
    finally:
        capture.uninstall()
        sys.stdout = stdout
    assert [line[:4] for line in run.lines] == ["GET ", "from"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("url", "ftp://example.org", "must be an address that begins with http:// or https://"),
        ("url", "/etc/passwd", "must be an address that begins with http:// or https://"),
        ("url", "file:///etc/passwd", "must be an address that begins with http:// or https://"),
        ("url", "http://", "must be an address that begins with http:// or https://"),
        ("method", "BREW", "must be one of GET, POST"),
        ("expected_status", "ok", "must be a list of status codes"),
        ("expected_status", "600", "must be a list of status codes"),
        ("expected_status", "", "must name at least one status code"),
        ("timeout_s", 0, "must be more than 0"),
        ("headers", {"Bad Name": "x"}, "'Bad Name' is not the name of a header"),
        ("headers", {"X": "a\r\nEvil: 1"}, "must not contain a line break"),
        ("authorization", "Bearer x\nEvil: 1", "is kept from view"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_stored(field: str, value: Any, message: str) -> None:
    with registry.temporary(), pytest.raises(Invalid) as caught:
        registry.get("http.request").validate([], {"url": "https://example.org", field: value})
    assert caught.value.fields[field][0].startswith(message)


def test_the_authorization_is_kept_from_view() -> None:
    with registry.temporary():
        shown = registry.get("http.request").redacted({"url": "https://example.org", "authorization": "Bearer x"})
    assert shown == {"url": "https://example.org", "authorization": "••••••"}
