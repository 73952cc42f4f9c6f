"""Log records and prints made inside a run go to that run's log, without a line of code in the task.

Installed once for a process. Which run a record or a print belongs to is decided by the context variable that
``activate`` sets, so runs in several threads and asyncio tasks never mix.

- **Logging** is taken where a logger passes a record on to its handlers, not by a handler at the root: a root handler
  would turn off Python's last-resort handler and ``logging.basicConfig`` for the whole server, and would miss loggers
  that do not propagate. The record then goes on to the server's handlers exactly as it would without us.
- **INFO lines** of a logger without a level of its own are dropped by Python when the root stands at WARNING.
  Inside a run they are let in for the run only: the root's level stays, and the server's handlers are not given
  such a record.
  A level set on a logger (or on a parent below the root) is respected both ways: DEBUG shows more, ERROR less.
- **Prints** go to the run instead of the server's output; text written past ``sys.stdout`` (its ``buffer``, a child
  process) is not seen.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from webapp.tasks.context import active_output
from webapp.tasks.output import RunOutput, bypassed, is_bypassed

_STREAMS = ("stdout", "stderr")
_LEVEL_FLOORS = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)
_muted: ContextVar[frozenset[str]] = ContextVar("carillon_muted_loggers", default=frozenset())
_install_lock = threading.Lock()


def install() -> None:
    """Begin to capture in this process. Calling it again changes nothing.

    Cheap enough to be called before every run: others replace ``sys.stdout`` too, and then it is wrapped anew.
    """
    with _install_lock:
        if _LoggingHook.installed is None:
            _LoggingHook.installed = _LoggingHook()
        for name in _STREAMS:
            stream = getattr(sys, name)
            if not isinstance(stream, RunStream):
                setattr(sys, name, RunStream(name, stream))


def uninstall() -> None:
    """Give logging and the streams back; where others have wrapped ours since, ours stays and only passes on."""
    with _install_lock:
        if _LoggingHook.installed is not None:
            _LoggingHook.installed.remove()
            _LoggingHook.installed = None
        for name in _STREAMS:
            stream = getattr(sys, name)
            if isinstance(stream, RunStream):
                setattr(sys, name, stream.server_stream)


@contextmanager
def muted(*logger_names: str) -> Iterator[None]:
    """Keep these loggers and their children out of the run's log, for a built-in task that says it better itself."""
    token = _muted.set(_muted.get() | frozenset(logger_names))
    try:
        yield
    finally:
        _muted.reset(token)


class RunStream:
    """Stands for ``sys.stdout`` or ``sys.stderr``: a run's text goes to its log, everything else passes on.

    Anything but writing is the server's stream's own (encoding, ``fileno``, ``isatty``, ``buffer``).
    """

    def __init__(self, name: str, server_stream: TextIO | None) -> None:
        self.stream_name = name
        self.server_stream = server_stream

    def write(self, text: str) -> int:
        output = None if is_bypassed() or _LoggingHook.installed is None else active_output()
        if output is not None:
            if not isinstance(text, str):
                raise TypeError(f"write() argument must be str, not {type(text).__name__}")
            output.write(self.stream_name, text)
            return len(text)
        return self.server_stream.write(text) if self.server_stream else len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.server_stream:
            self.server_stream.flush()

    def close(self) -> None:
        """Only outside a run: a task that closes its output must not close the server's."""
        if active_output() is None and self.server_stream:
            self.server_stream.close()

    def __getattr__(self, name: str) -> Any:
        if self.server_stream is None:
            raise io.UnsupportedOperation(f"{self.stream_name} has no {name}: the server runs without one")
        return getattr(self.server_stream, name)


class _LoggingHook:
    """Our two methods on ``logging.Logger``, over whatever stood there when we were installed."""

    installed: _LoggingHook | None = None

    def __init__(self) -> None:
        self._is_on = True
        self._theirs = (logging.Logger.isEnabledFor, logging.Logger.callHandlers)
        self._ours = (self._is_enabled_for(), self._call_handlers())
        logging.Logger.isEnabledFor, logging.Logger.callHandlers = self._ours  # type: ignore[method-assign]

    def remove(self) -> None:
        self._is_on = False
        if logging.Logger.isEnabledFor is self._ours[0]:
            logging.Logger.isEnabledFor = self._theirs[0]  # type: ignore[method-assign]
        if logging.Logger.callHandlers is self._ours[1]:
            logging.Logger.callHandlers = self._theirs[1]  # type: ignore[method-assign]

    def _is_enabled_for(self) -> Any:
        server_wants = self._theirs[0]

        def isEnabledFor(logger: logging.Logger, level: int) -> bool:
            return server_wants(logger, level) or (self._is_on and _run_wants(logger, level))

        return isEnabledFor

    def _call_handlers(self) -> Any:
        server_wants, pass_on = self._theirs

        def callHandlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            output = _output_for(logger) if self._is_on else None
            if self._is_on and not is_bypassed() and (speaker := active_output()) is not None:
                record = speaker.redactor.record(record)
            if output is None:
                pass_on(logger, record)
                return
            _tell(output, record)
            if server_wants(logger, record.levelno):
                with bypassed():
                    pass_on(logger, record)

        return callHandlers


def _output_for(logger: logging.Logger) -> RunOutput | None:
    if is_bypassed():
        return None
    output = active_output()
    if output is not None and any(_is_under(logger.name, muted_name) for muted_name in _muted.get()):
        return None
    return output


def _is_under(name: str, parent: str) -> bool:
    return name == parent or name.startswith(parent + ".")


def _run_wants(logger: logging.Logger, level: int) -> bool:
    """Whether only the root's level keeps this record out, and it is one that a run's log shows."""
    if level < logging.INFO or logger.disabled or logger.manager.disable >= level or _output_for(logger) is None:
        return False
    ancestor: logging.Logger | None = logger
    while ancestor is not None and ancestor.parent is not None:
        if ancestor.level:
            return False
        ancestor = ancestor.parent
    return True


def _tell(output: RunOutput, record: logging.LogRecord) -> None:
    try:
        text = _text(record)
    except Exception as error:
        text = f"{record.msg!r} (this log line could not be formatted: {type(error).__name__}: {error})"
    output.say(_level(record.levelno), text, datetime.fromtimestamp(record.created, UTC))


_formatter = logging.Formatter()


def _text(record: logging.LogRecord) -> str:
    parts = [record.getMessage()]
    if record.exc_info:
        parts.append(record.exc_text or _formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _level(number: int) -> str:
    """The highest usual level that a record reaches; what is below INFO counts as debug."""
    return next((name for floor, name in _LEVEL_FLOORS if number >= floor), "debug")
