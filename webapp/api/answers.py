"""What the API answers beside jobs: runs, log lines, tasks, schedules in words. Times are ISO 8601 in UTC."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from flask import Response, current_app

from webapp.api.shapes import shown_arguments
from webapp.services.runs import LogSlice
from webapp.store.models import Run
from webapp.tasks import Parameter, Task
from webapp.tasks.redaction import MASK


def respond(value: object, status: int = 200) -> Response:
    """``value`` as JSON. What JSON cannot hold is shown as text: one odd value must not cost the whole answer."""
    try:
        text = json.dumps(value, default=repr, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), default=repr)
    response = current_app.response_class(text + "\n", status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def nothing() -> Response:
    """204: done, and there is nothing to say."""
    return Response(status=204)


def instant(moment: datetime | None) -> str | None:
    """A stored moment as ISO 8601 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def run_shape(run: Run, result: str | None) -> dict[str, Any]:
    """One run in a list. ``result`` is its JSON text."""
    took = None
    if run.started_at is not None and run.finished_at is not None:
        took = (run.finished_at - run.started_at).total_seconds()
    return {
        "id": run.id,
        "job_id": run.job_id,
        "task": run.task,
        "state": run.state,
        "trigger": run.trigger,
        "attempt": run.attempt,
        "due_at": instant(run.due_at),
        "queued_at": instant(run.queued_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
        "duration_s": took,
        "result": _value(result),
        "error": run.error,
        "reason": run.reason,
    }


def run_detail(run: Run, attempts: list[Run]) -> dict[str, Any]:
    """One run with everything that is known of it; secret arguments masked."""
    args, kwargs = shown_arguments(run.task, run.args, run.kwargs)
    return {
        **run_shape(run, run.result),
        "job_name": run.job_name,
        "job_revision": run.job_revision,
        "args": args,
        "kwargs": kwargs,
        "first_due_at": instant(run.first_due_at),
        "due_count": run.due_count,
        "attempts": [{"id": other.id, "attempt": other.attempt, "state": other.state} for other in attempts],
        "executor": run.executor,
        "worker": run.worker,
        "timeout_s": run.timeout_s,
        "requested_by": run.requested_by,
        "stop_requested_at": instant(run.stop_requested_at),
        "stop_requested_by": run.stop_requested_by,
        "progress": run.progress,
        "progress_text": run.progress_text,
        "traceback": run.traceback,
        "log_lines": run.log_lines,
    }


def log_shape(run_id: int, part: LogSlice) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "lines": [{"n": line.n, "at": instant(line.at), "level": line.level, "text": line.text} for line in part.lines],
        "text": "\n".join(line.text for line in part.lines),
        "next_line": part.next_line,
        "total": part.total,
        "complete": part.complete,
    }


def task_shape(task: Task) -> dict[str, Any]:
    return {
        "key": task.key,
        "func": task.reference,
        "title": task.title,
        "description": task.description,
        "enabled": task.enabled,
        "disabled_reason": task.disabled_reason or None,
        "is_async": task.is_async,
        "parameters": [_parameter(parameter) for parameter in task.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    default = MASK if parameter.is_secret and parameter.default is not None else parameter.default
    return {
        "name": parameter.name,
        "kind": parameter.kind,
        "type": parameter.annotation,
        "required": parameter.required,
        "default": default,
        "choices": [choice.value for choice in parameter.choices] or None,
        "nullable": parameter.optional,
        "secret": parameter.is_secret,
        "help": parameter.help,
    }


def _value(text: str | None) -> Any:
    """A stored result as JSON; as it stands when it is not JSON (it was cut for length)."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _finite(value: Any) -> Any:
    """The value with NaN and the infinities as text: JSON has no such numbers."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value
