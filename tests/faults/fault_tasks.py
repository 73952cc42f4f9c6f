"""Tasks that leave a trace outside the database, so that a run that was started twice is seen."""

from __future__ import annotations

import os
import time

from webapp.tasks import current_run, task


@task(key="fault.trace", title="Leaves a trace")
def trace(path: str, seconds: float = 0.3) -> None:
    """Write a line when it starts, in one system call, and take its time."""
    run = current_run()
    line = f"{run.run_id} {run.job_id} {run.due_at.timestamp() if run.due_at else 0} {run.attempt}\n"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line.encode())
    os.close(file)
    time.sleep(seconds)
