"""Tasks for a first look: something that takes time, something that fails, something that talks."""

from __future__ import annotations

import random
import time
from typing import Annotated, Any

from pydantic import Field

from webapp.tasks import current_run, task

_NAP_S = 0.1
"""How long a sleep goes on before it asks whether to stop."""

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class ChanceFailure(RuntimeError):
    """``demo.flaky`` had bad luck. Nothing is wrong."""


@task(title="Sleep")
def sleep(seconds: Seconds = 10.0, steps: Annotated[int, Field(ge=1, le=1000)] = 10) -> dict[str, float]:
    """Do nothing for a while and show the progress; stops when asked to.

    Args:
        seconds: How long, all in all.
        steps: How often the progress is reported.
    """
    run = current_run()
    started = time.monotonic()
    for step in range(1, steps + 1):
        _sleep_until(started + seconds * step / steps)
        run.progress(step / steps, f"step {step} of {steps}")
    elapsed_s = round(time.monotonic() - started, 3)
    run.log(f"Slept for {elapsed_s} s")
    return {"elapsed_s": elapsed_s}


@task(title="Fail sometimes")
def flaky(failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.5) -> str:
    """Succeed or fail by chance, to see what failures, retries and alerts look like.

    Args:
        failure_rate: 0 never fails, 1 always does.
    """
    drawn = random.random()  # noqa: S311  (a demonstration, not a key)
    current_run().log(f"Drew {drawn:.3f}; fails below {failure_rate:g}")
    if drawn < failure_rate:
        raise ChanceFailure(f"drew {drawn:.3f}, which is below {failure_rate:g}")
    return "lucky"


@task(title="Write log lines")
def log(
    lines: Annotated[int, Field(ge=0, le=1_000_000)] = 20, interval_s: Seconds = 0.5, text: str = "Hello from line"
) -> int:
    """Write numbered lines to the log, one after the other; stops when asked to.

    Args:
        lines: How many.
        interval_s: Pause between two lines, in seconds.
        text: What each line says before its number.
    """
    run = current_run()
    started = time.monotonic()
    for number in range(1, lines + 1):
        run.log(f"{text} {number}")
        run.progress(number / lines)
        _sleep_until(started + interval_s * number)
    return lines


@task(title="Echo")
def echo(message: str = "Hello", **values: Any) -> dict[str, Any]:
    """Log the message and give everything back as the result. Good for a first job.

    Args:
        message: What to say.
        values: Anything more to give back.
    """
    current_run().log(message)
    return {"message": message, **values}


def _sleep_until(moment: float) -> None:
    run = current_run()
    run.check_stop()
    while (left := moment - time.monotonic()) > 0:
        time.sleep(min(left, _NAP_S))
        run.check_stop()
