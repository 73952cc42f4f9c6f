"""The server's request worker: gunicorn's threads, with an end to waiting for a client that has fallen silent.

gunicorn waits without end for the rest of a request, and for a reader of its answer: as many silent clients as there
are threads would stop the server for good.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

SEND_S = 60
"""So long a client may take in nothing of its answer; how long it may be silent in a request is a setting."""


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The limits are the kernel's, for each wait: gunicorn sets and resets Python's own timeouts on the way."""

    def init_process(self) -> None:
        logging.getLogger("gunicorn.error").addFilter(_says_more_than_silence)
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        silence_s = self.wsgi.config["CARILLON"].client_silence_s
        for option, seconds in ((socket.SO_RCVTIMEO, silence_s), (socket.SO_SNDTIMEO, SEND_S)):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
        super().enqueue_req(conn)


def _says_more_than_silence(record: logging.LogRecord) -> bool:
    """Whether a log record is about more than a wait that has ended: that is no error of ours."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
