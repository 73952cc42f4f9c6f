"""Calls a web address: health checks, web hooks, starting something elsewhere."""

from __future__ import annotations

import contextvars
import re
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field

from webapp.tasks import LongText, SecretRef, current_run, task
from webapp.tasks.capture import muted

EXCERPT_BYTES = 2048
_TICK_S = 0.2
"""How often a waiting request is asked whether to stop."""

Exchange = tuple[httpx.Response, bytes, int]
"""The answer, the beginning of its body, and the size of its body."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_RANGE = re.compile(r"([1-5]xx|[1-5][0-9][0-9](-[1-5][0-9][0-9])?)", re.IGNORECASE)


class UnexpectedAnswer(RuntimeError):
    """The server answered with a status that was not expected."""


class RequestFailed(RuntimeError):
    """No complete answer came: no connection, a broken one, or too slow."""


def http_url(url: str) -> str:
    """Raises ValueError unless it is an absolute http or https address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    return url


def status_list(text: str) -> str:
    """Raises ValueError unless it is a list such as ``2xx, 304, 400-403``."""
    statuses(text)
    return text


def statuses(text: str) -> set[int]:
    """The status codes that such a list means."""
    found: set[int] = set()
    for part in (stripped for item in text.split(",") if (stripped := item.strip())):
        if not _RANGE.fullmatch(part):
            raise ValueError("must be a list of status codes such as 2xx, or 200-299, 404")
        first, _, last = part.lower().partition("-")
        found.update(range(int(first.replace("x", "0")), int((last or first).replace("x", "9")) + 1))
    if not found:
        raise ValueError("must name at least one status code, such as 2xx")
    return found


def header_value(text: str) -> str:
    """Raises ValueError for a line break, which would begin another header. The text itself is not repeated."""
    if re.search(r"[\r\n\0]", text):
        raise ValueError("must not contain a line break")
    return text.strip()


def header_map(headers: dict[str, str]) -> dict[str, str]:
    """Raises ValueError for a name that HTTP does not allow."""
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
    return {name: header_value(value) for name, value in headers.items()}


@task(key="http.request", title="HTTP request", takes_secrets=True)
def request(
    url: Annotated[str, AfterValidator(http_url)],
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = "GET",
    headers: Annotated[dict[str, str], AfterValidator(header_map)] = {},  # noqa: B006  (never changed)
    authorization: Annotated[SecretRef, AfterValidator(header_value)] | None = None,
    body: LongText = "",
    expected_status: Annotated[str, AfterValidator(status_list)] = "2xx",
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0,
    follow_redirects: bool = True,
) -> dict[str, Any]:
    """Call a web address and check the status of the answer.

    Fails when no answer comes, when it comes too late, or when its status is not an expected one. The result holds
    the status, the time it took and the beginning of the answer.

    Args:
        url: The address, beginning with http:// or https://.
        method: GET asks, POST sends; the others as the server defines them.
        headers: Sent with the request. Everybody who may see the job sees them, but not what {{secret:NAME}} is.
        authorization: Value of the Authorization header, such as "Bearer {{secret:NAME}}".
        body: Sent as it stands, in UTF-8. Set the header Content-Type to say what it is.
        expected_status: The statuses that count as success: 2xx, or a list such as 200-299, 404.
        timeout_s: Seconds until the whole answer must be there.
        follow_redirects: Go on to the address that a redirect names.
    """
    sent = {**headers, **({"Authorization": authorization} if authorization else {})}
    started = time.monotonic()

    def work() -> Exchange:
        with httpx.Client(verify=_trust(), timeout=timeout_s, follow_redirects=follow_redirects) as client:
            encoded = [(name.encode(), value.encode()) for name, value in sent.items()]
            prepared = client.build_request(method, url, headers=encoded, content=body.encode() or None)
            return _exchange(client, prepared, started + timeout_s)

    try:
        with muted("httpx", "httpcore"):
            answer, excerpt, size = _abortable(work)
    except httpx.TimeoutException:
        raise RequestFailed(f"{method} {_shown(url)}: no complete answer within {timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RequestFailed(f"{method} {_shown(url)}: {error or type(error).__name__}") from error
    elapsed_s = round(time.monotonic() - started, 3)
    text = _decoded(excerpt, answer.encoding or "utf-8", is_cut=size > len(excerpt))
    line = f"{method} {_shown(url)}: {answer.status_code} {answer.reason_phrase}, {size} bytes in {elapsed_s:.3f} s"
    is_expected = answer.status_code in statuses(expected_status)
    current_run().log(line, level="info" if is_expected else "error")
    if not is_expected:
        raise UnexpectedAnswer(_complaint(answer, expected_status, text))
    return {"status": answer.status_code, "elapsed_s": elapsed_s, "bytes": size, "body": text}


@cache
def _trust() -> ssl.SSLContext:
    """The authorities that are trusted. Reading them takes longer than most requests, so it is done once."""
    return httpx.create_ssl_context()


def _abortable(work: Callable[[], Exchange]) -> Exchange:
    """Do the work in a thread of its own, so that a stop need not wait for a silent server.

    After a stop the thread ends by itself: at the next piece of the answer, or at the time limit.
    """
    run = current_run()
    outcome: Future[Exchange] = Future()
    context = contextvars.copy_context()

    def settle() -> None:
        try:
            outcome.set_result(context.run(work))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=settle, name="http.request", daemon=True).start()
    while not wait([outcome], timeout=_TICK_S).done:
        run.check_stop()
    return outcome.result()


def _exchange(client: httpx.Client, request: httpx.Request, deadline: float) -> Exchange:
    """The answer, its first bytes and its size; the rest is counted and dropped.

    ``deadline`` is on the monotonic clock: httpx's own limits are for each piece of the answer. Stops between two
    pieces when the run should.
    """
    run = current_run()
    excerpt, size = b"", 0
    answer = client.send(request, stream=True)
    try:
        for chunk in answer.iter_bytes():
            size += len(chunk)
            excerpt = (excerpt + chunk[:EXCERPT_BYTES])[:EXCERPT_BYTES]
            run.check_stop()
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer took too long")
    finally:
        answer.close()
    return answer, excerpt, size


def _decoded(excerpt: bytes, encoding: str, is_cut: bool) -> str:
    try:
        text = excerpt.decode(encoding, "replace")
    except LookupError:  # the server named a codec that is not one for text
        text = excerpt.decode("utf-8", "replace")
    return text.rstrip("\ufffd") if is_cut else text


def _complaint(answer: httpx.Response, expected: str, text: str) -> str:
    where = f", redirect to {answer.headers['location']}" if answer.is_redirect and "location" in answer.headers else ""
    beginning = " ".join(text.split())[:200]
    return f"the server answered {answer.status_code} {answer.reason_phrase}{where}; expected {expected}" + (
        f": {beginning}" if beginning else ""
    )


def _shown(url: str) -> str:
    """The address for the log: without a password in it."""
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
