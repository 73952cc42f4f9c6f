"""Tasks for runs at a worker: they tell where they are and leave a trace of each start."""

from __future__ import annotations

import os
import time

from webapp.tasks import current_run, task


@task(key="far.slowly", title="Says something, waits, says something")
def slowly(seconds: float = 1.0) -> dict[str, int]:
    print("begun")
    current_run().progress(0.5, "half")
    time.sleep(seconds)
    print("done")
    return {"pid": os.getpid(), "parent": os.getppid()}


@task(key="far.large", title="Returns a lot")
def large() -> str:
    return "x" * 200_000


@task(key="far.broken", title="Fails, but not at its second attempt")
def broken() -> str:
    if current_run().attempt == 1:
        raise LookupError("nothing there")
    return "there"


@task(key="far.forever", title="Never ends")
def forever() -> None:
    print(f"pid {os.getpid()}")
    while True:
        time.sleep(0.05)


@task(key="far.trace", title="Leaves a trace, and stays long at its first attempt")
def trace(path: str, seconds: float = 0.0) -> None:
    run = current_run()
    leave(path, f"{run.run_id} {run.job_id} {run.attempt}\n")
    if run.attempt == 1:
        time.sleep(seconds)
    leave(f"{path}.ends", f"{run.run_id} {run.job_id} {run.attempt}\n")


def leave(path: str, line: str) -> None:
    """Add a line in one system call."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line.encode())
    os.close(file)
