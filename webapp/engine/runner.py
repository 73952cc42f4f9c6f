"""One run, from its claim to its outcome, inside whatever thread, process or event loop the executor gives it."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from webapp import clock
from webapp.domain.errors import CarillonError, Invalid
from webapp.domain.rules import span_words
from webapp.domain.states import RunState
from webapp.engine.claims import Claim, Outcome
from webapp.engine.sink import LiveSink
from webapp.services import secrets
from webapp.tasks import RunContext, Stopped, Task, activate, capture, current_run, references, registry

RESULT_MAX = 65_536
TRACEBACK_MAX = 65_536
ERROR_MAX = 1_000

AppContext = Callable[[], AbstractContextManager[Any]]


def execute(claim: Claim, sink: LiveSink, app_context: AppContext) -> Outcome:
    """Call the task of ``claim`` and return how it ended. A coroutine runs to its end in a loop of its own."""
    try:
        with surroundings(claim, sink, app_context):
            task, args, kwargs = prepared(claim)
            value = task.func(*args, **kwargs)
            if asyncio.iscoroutine(value):
                value = asyncio.run(value)
            result = result_text(value)
    except BaseException as error:  # a task may raise anything, SystemExit too; the run must end in a row
        return closed(sink, raised(claim, sink, error))
    return closed(sink, returned(claim, sink, result))


@contextmanager
def surroundings(claim: Claim, sink: LiveSink, app_context: AppContext) -> Iterator[RunContext]:
    """What a task finds around it: an app context and ``current_run()``, which also gathers its log."""
    context = RunContext(
        run_id=claim.run_id,
        job_id=claim.job_id,
        job_name=claim.job_name,
        task=claim.task,
        attempt=claim.attempt,
        due_at=claim.due_at,
        trigger=claim.trigger,
        sink=sink,
        redactor=sink.redactor,
    )
    capture.install()  # others replace sys.stdout too; if nobody did, this costs nothing
    with app_context(), activate(context):
        yield context


def prepared(claim: Claim) -> tuple[Task, list[Any], dict[str, Any]]:
    """The task and its arguments as Python values, secrets put in. To be called inside ``surroundings``.

    From here on the values are masked in whatever the run says. Raises NotFound, Invalid.
    """
    task = registry.get(claim.task)
    if not task.enabled:
        raise Invalid({"": f"The task {task.key} is off: {task.disabled_reason}"})
    values = secrets.reveal(references.names_for(task, claim.args, claim.kwargs))
    current_run().redactor.learn(values)
    return task, *task.bind(*references.filled(task, claim.args, claim.kwargs, values))


def closed(sink: LiveSink, outcome: Outcome) -> Outcome:
    """Let the sink say its last line before the outcome follows, in which secrets are masked."""
    sink.close(outcome.finished_at)
    told = {name: getattr(outcome, name) for name in ("error", "traceback", "reason")}
    hidden: dict[str, Any] = {name: text and sink.redactor.hide(text) for name, text in told.items()}
    return replace(outcome, result=outcome.result and sink.redactor.hide_json(outcome.result), **hidden)


def result_text(value: Any) -> str | None:
    """``value`` as JSON text, at most RESULT_MAX characters; what JSON cannot say is kept as its ``repr``."""
    if value is None:
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(_repr(value), ensure_ascii=False)
    if len(text) > RESULT_MAX:
        text = json.dumps(f"{text[: RESULT_MAX // 2]} ... ({len(text):,} characters in all)", ensure_ascii=False)
    return text.replace("\\u0000", "\\ufffd").encode("utf-8", "replace").decode()


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def returned(claim: Claim, sink: LiveSink, result: str | None) -> Outcome:
    """The outcome of a task that came to its end; past its time limit that is not a success."""
    now = clock.now()
    if sink.is_overdue():
        return Outcome(claim.run_id, RunState.TIMED_OUT, now, result, over_limit(claim, now))
    return Outcome(claim.run_id, RunState.SUCCEEDED, now, result)


def raised(claim: Claim, sink: LiveSink, error: BaseException) -> Outcome:
    """The outcome of a task that raised: stopped by request, over its limit, or failed."""
    now = clock.now()
    agreed = isinstance(error, (Stopped, asyncio.CancelledError))
    told: dict[str, Any] = {}
    if not agreed:
        told = {"error": error_line(error), "traceback": traceback_text(error), "error_names": error_names(error)}
    if sink.was_stopped:
        reason = "It stopped when asked to." if agreed else "It ended with an error after it was asked to stop."
        return Outcome(claim.run_id, RunState.CANCELLED, now, reason=reason, **told)
    if sink.is_overdue():
        told.setdefault("error", over_limit(claim, now))
        return Outcome(claim.run_id, RunState.TIMED_OUT, now, reason=over_limit(claim, now), **told)
    told.setdefault("error", f"It stopped by itself: {error_line(error)}")
    return Outcome(claim.run_id, RunState.FAILED, now, **told)


def over_limit(claim: Claim, now: datetime) -> str:
    """How long the run took, and how long it might have."""
    took = (now - claim.started_at).total_seconds()
    return f"It took {span_words(took)}; its time limit is {span_words(claim.timeout_s or 0)}."


def error_line(error: BaseException) -> str:
    """The error in one line: its kind and its message."""
    if isinstance(error, CarillonError):
        return str(error)[:ERROR_MAX]
    try:
        text = "".join(traceback.format_exception_only(error)).strip()
    except Exception:
        text = type(error).__name__
    return _clean(" ".join(text.split()))[:ERROR_MAX]


def error_names(error: BaseException) -> tuple[str, ...]:
    """The names that a retry rule may give this error: ``TimeoutError``, ``builtins.TimeoutError``, ``OSError`` ..."""
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, BaseException)]
    return tuple(name for kind in kinds for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}"))


def traceback_text(error: BaseException) -> str:
    """The traceback without Carillon's own frames; the end is kept where it is too long."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith("webapp.engine."):
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception as problem:
        text = f"{type(error).__name__} (its traceback cannot be written: {type(problem).__name__})"
    return _clean(text)[-TRACEBACK_MAX:]


def _clean(text: str) -> str:
    """``text`` as every database takes it: no NUL, no half surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
