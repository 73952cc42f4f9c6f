"""Tasks for runs in processes of their own, which import this module by its name."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from webapp.tasks import current_run, task


@task(key="child.pid", title="Where it runs")
def pid() -> int:
    print("from the child")
    current_run().progress(0.25, "a quarter")
    return os.getpid()


@task(key="child.count_jobs", title="Uses the database")
def count_jobs() -> int:
    from webapp.extensions import db
    from webapp.store.models import Job

    return db.session.query(Job).count()


@task(key="child.exit", title="Ends its process")
def exit_now(code: int = 7) -> None:
    os._exit(code)


@task(key="child.killed", title="Is killed")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task(key="child.forever", title="Never ends")
def forever() -> None:
    print("started", flush=True)
    while True:
        time.sleep(0.05)


@task(key="child.lock", title="Returns what cannot be pickled")
def lock() -> object:
    import threading

    return threading.Lock()


@task(key="child.raises", title="Raises what cannot be pickled")
def raises() -> None:
    class Local(Exception):
        pass

    raise Local("only known here")


@task(key="child.flood", title="Prints a lot")
def flood(megabytes: int = 100) -> None:
    line = "x" * 1023
    for _ in range(megabytes * 1024):
        print(line)


@task(key="child.napping", title="A coroutine that waits")
async def napping(seconds: float = 0.05) -> str:
    await asyncio.sleep(seconds)
    return "awake"


@task(key="child.plain_nap", title="A function that waits")
def plain_nap(seconds: float = 0.05) -> str:
    time.sleep(seconds)
    return "awake"
