"""Carillon's scheduler: APScheduler's background scheduler with a loop that cannot die and a due pass that is a ledger.

It sleeps until the next due time, at most half a second. Each round: notice what the clock did, hold or seek the lease,
and if there are due times, let one transaction turn them into runs.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MISSED,
    JobExecutionEvent,
)
from apscheduler.schedulers.base import STATE_STOPPED
from flask import Flask

from webapp import clock
from webapp.domain.states import RunState
from webapp.engine.executors import KINDS, RunExecutor
from webapp.engine.executors.child import ChildSetup
from webapp.engine.fallback import MemoryFallback
from webapp.engine.mirror import Mirrors
from webapp.engine.plain_calls import PlainCalls
from webapp.engine.recorder import Recorder
from webapp.extensions import db
from webapp.services import due, heartbeat, ledger, liveness, recovery, status
from webapp.services.signals import catalogue_changed, runs_queued
from webapp.store import jobs, lease
from webapp.store.database import writing
from webapp.store.models import Worker

SLEEP_MAX_S = 0.5
"""What another process changes is seen within this time."""
SEEK_EVERY_S = 0.5
LOCKED_S = 0.05
"""How long to leave jobs alone that are due but that somebody else is just changing."""
MORE_S = 0.002
"""Between two passes of many due jobs the recorder gets its turn, so that the first runs need not wait for the last."""
TURN_MAX_S = 0.1
"""While runs wait for the recorder its turn is as long as a pass took, at most so long: due times come without end
where more are due than can be run, and would keep it from starting any."""
JUMP_S = 2.0
"""Wall clock and monotonic clock may drift apart by so much between two rounds before it is called a jump."""
_BACKOFF_S = (0.1, 0.2, 0.5)
FALLBACK_AFTER = 3
"""Failed rounds after which declared jobs run from memory, where that is allowed."""

log = logging.getLogger(__name__)


class CarillonScheduler(PlainCalls):
    """One in each serving process; active only while it holds the lease."""

    def __init__(self, **options: Any) -> None:
        self._executor_classes: dict[str, type[RunExecutor]] = dict(KINDS)
        self.app: Flask | None = None
        self.recorder: Recorder | None = None
        self.held: lease.Held | None = None
        self.last_loop_at: datetime | None = None
        self.stop_wait_s = 30.0
        self.worker_id = ""
        self.fallback: MemoryFallback | None = None
        self.mirrors = Mirrors()
        self.on_round: Callable[[datetime, bool], None] | None = None  # told the time, and whether this process leads
        super().__init__(**options)

    # -- starting and stopping ---------------------------------------------------------------------------------

    def start(self, paused: bool = False) -> None:
        """Start the executors, the recorder and the loop. Leading begins when the lease is ours."""
        self.begin()
        assert self.recorder is not None
        catalogue_changed.connect(self._on_catalogue_changed)
        runs_queued.connect(self._on_runs_queued)
        self.recorder.start()
        super().start(paused=paused)

    def begin(self) -> None:
        """A new life of this process's scheduler: a new name, no lease, nothing running. Starts no thread."""
        app = self._require_app()
        self.worker_id = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._failures = 0
        self._stopping = False
        self._last_beat = self._last_seek = float("-inf")
        self._clocks: tuple[datetime, float] | None = None
        self.held = None
        here = {alias: executor for alias, executor in self._executors.items() if not executor.is_remote}
        self.recorder = Recorder(app, self.worker_id, here, lambda: self.held, self._tell_ended)
        child = ChildSetup("webapp:create_app", app.config["CARILLON"], tuple(sys.path))
        for executor in self._executors.values():
            executor.bind(self.recorder.report, app.app_context, child)

    def shutdown(self, wait: bool = True) -> None:
        """Stop in order: start nothing more, let runs end (``stop_wait_s`` at most), record the rest as lost.

        The lease goes first, so that another process leads while this one waits for its runs.
        """
        recorder = self.recorder
        if recorder is None:
            return
        self._stopping = True
        recorder.stop_claiming()
        self.mirrors.stop()
        self.wakeup()
        self._wait_for_runs(recorder, self.stop_wait_s if wait else 0.0)
        catalogue_changed.disconnect(self._on_catalogue_changed)
        runs_queued.disconnect(self._on_runs_queued)
        left = recorder.active_ids()
        recorder.close(timeout_s=10.0)
        super().shutdown(wait=False)
        self._leave(left)

    def _wait_for_runs(self, recorder: Recorder, limit_s: float) -> None:
        until = clock.monotonic() + limit_s
        pause = threading.Event()
        said = False
        while not recorder.idle() and clock.monotonic() < until:
            if not said:
                log.info("stopping: waiting up to %.0f s for runs %s", limit_s, recorder.active_ids())
                said = True
            pause.wait(0.05)

    def _leave(self, left: list[int]) -> None:
        """Record what still runs as lost, give up the lease, take this process off the list."""
        app = self._require_app()
        with app.app_context():
            try:
                if left:
                    reason = "stopped: the server was stopped and did not wait any longer for this run."
                    with writing() as session:
                        recovery.lose_own(session, left, reason, clock.now())
                heartbeat.leave(self.worker_id, self.held)
            except Exception:
                log.exception("the database could not be told that this server stops; others will notice by themselves")
        self.held = None

    # -- the loop ----------------------------------------------------------------------------------------------

    def _main_loop(self) -> None:
        wait_s = 0.0
        while self.state != STATE_STOPPED:
            self._event.wait(wait_s)
            self._event.clear()
            if self.state != STATE_STOPPED:
                wait_s = self._guarded_round()

    def _guarded_round(self) -> float:
        """One round; whatever goes wrong in it, the loop goes on and tries again soon."""
        app = self._require_app()
        try:
            with app.app_context():
                wait_s = self.round(clock.now(), clock.monotonic())
            if self._failures:
                log.info("the scheduler works again after %d failed tries", self._failures)
            self._failures = 0
            return wait_s
        except Exception:
            self._failures += 1
            self._fall_back()
            if self._failures in (1, 10) or self._failures % 100 == 0:
                log.exception("the scheduler's round failed (try %d); it goes on", self._failures)
            return _BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1]

    def round(self, now: datetime, mono: float) -> float:
        """One round at wall time ``now`` and monotonic time ``mono`` (seconds); how long to sleep after it."""
        self._notice_jump(now, mono)
        self.last_loop_at = now
        leads = self._lead(now, mono)
        if leads:
            self._take_over_from_memory(now)
        self.mirrors.follow(leads, now)
        if self.on_round is not None:
            self.on_round(now, leads)
        if not leads:
            return SEEK_EVERY_S
        waiting = self.mirrors.waiting()
        next_due_at = jobs.next_wake_at(db.session(), waiting)
        if next_due_at is not None and next_due_at <= now and self.held is not None:
            began = clock.monotonic()
            try:
                settled = due.due_pass(self.held, now, self._executors, waiting)
            except due.LeaseLost:
                self._lost()
                return 0.0
            if settled.queued:
                self._wake_runs()
            if settled.more:  # the lease may have to be renewed before the rest is served
                return self._turn_s(clock.monotonic() - began) if settled.jobs else LOCKED_S
            next_due_at = settled.next_due_at
        db.session.rollback()
        if next_due_at is None:
            return SLEEP_MAX_S
        return min(SLEEP_MAX_S, max(0.0, (next_due_at - clock.now()).total_seconds()))

    def _turn_s(self, took_s: float) -> float:
        """How long to leave the database to the recorder after a pass that took so long."""
        waited_for = self.recorder is not None and self.recorder.has_more
        return max(MORE_S, min(took_s, TURN_MAX_S)) if waited_for else MORE_S

    def _fall_back(self) -> None:
        """Let declared jobs run from memory after some failed rounds; what goes wrong there must not end the loop."""
        if self.fallback is None or self._failures < FALLBACK_AFTER:
            return
        try:
            self.fallback.begin(clock.now())
        except Exception:
            log.exception("declared jobs cannot run from memory now")

    def _take_over_from_memory(self, now: datetime) -> None:
        """The database is back: write what ran from memory, before the due pass looks at the same due times."""
        recorder = self.recorder
        if self.fallback is not None and self.fallback.has_runs and recorder is not None:
            jobs.next_due_at(db.session())  # raises while the database is still away
            self.fallback.end(now)
            self.fallback.hand_over(self.worker_id, recorder.receive, recorder.report)

    def _process_jobs(self) -> float:
        """APScheduler's name for a round."""
        return self._guarded_round()

    def _lead(self, now: datetime, mono: float) -> bool:
        """Whether this process leads, after seeking or renewing the lease when it is time to."""
        if self._stopping:
            if self.held is not None:
                heartbeat.release(self.held)
                self.held = None
            if mono - self._last_beat >= lease.RENEW_EVERY_S:
                self._last_beat = mono
                heartbeat.alive(self._worker())
            return False
        if self.held is not None and mono - self._last_beat >= lease.RENEW_EVERY_S:
            if not heartbeat.keep(self._worker(), self.held, now):
                self._lost()
            self._last_beat = mono
        if self.held is None and mono - self._last_seek >= SEEK_EVERY_S * 0.9:
            self._seek(now, mono)
            self._last_seek = mono
        return self.held is not None

    def _seek(self, now: datetime, mono: float) -> None:
        """Take the lease if it can be had; else only tell, from time to time, that this process lives."""
        if heartbeat.may_take(self.worker_id):
            self.held = heartbeat.take(self._worker(), now)
            self._last_beat = mono
        elif mono - self._last_beat >= lease.RENEW_EVERY_S:
            heartbeat.alive(self._worker())
            self._last_beat = mono
        if self.held is not None:
            log.info("this process leads the schedule (epoch %d)", self.held.epoch)
            self._wake_runs()

    def _lost(self) -> None:
        """The lease ran out or is another's: seek it again at once, since after an outage nobody may have it."""
        log.warning("this process leads the schedule no more; it stands by")
        self.held = None
        self._last_seek = float("-inf")

    def _notice_jump(self, now: datetime, mono: float) -> None:
        """Compare what the wall clock and the monotonic clock say has passed since the last round."""
        if self._clocks is not None:
            jump_s = (now - self._clocks[0]).total_seconds() - (mono - self._clocks[1])
            if abs(jump_s) > JUMP_S:
                way = "forward" if jump_s > 0 else "back"
                message = f"The clock went {way} by {abs(jump_s):.0f} s (set, or the machine slept)."
                log.warning(message)
                heartbeat.note("clock", message, self.worker_id, now)
        self._clocks = now, mono

    def _worker(self) -> Worker:
        """This process as the others see it."""
        recorder = self.recorder
        active = recorder.active if recorder is not None else {}
        return Worker(
            id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            detail={
                "identity": liveness.identity(),
                "stopping": self._stopping,
                "waits_for": recorder.active_ids()[:50] if self._stopping and recorder is not None else [],
                "last_loop_at": self.last_loop_at.isoformat() if self.last_loop_at else None,
                "thread_alive": recorder.is_alive if recorder is not None else False,
                "jobstores": self.mirrors.told(),
                "executors": {
                    alias: {
                        "kind": executor.kind,
                        "max_workers": executor.max_workers,
                        "active": active.get(alias, 0),
                    }
                    for alias, executor in self._executors.items()
                },
            },
        )

    def still_leads(self) -> bool:
        """Whether the database, asked now, says that this process leads."""
        held, row = self.held, lease.read(db.session())
        return held is not None and row is not None and (row.holder, row.epoch) == (held.holder, held.epoch)

    def others_may_lead(self) -> str | None:
        """Why jobs must not stand in the memory of this process; None: nobody else may lead."""
        others = [name for name in status.may_lead() if name != self.worker_id]
        if not others:
            return None
        return f"{', '.join(others)} may lead, too, and would not know the jobs in the memory of this process."

    @property
    def loop_alive(self) -> bool:
        """Whether the scheduler's own threads live in this process."""
        thread = self._thread
        alive = thread is not None and thread.is_alive()
        return alive and self.recorder is not None and self.recorder.is_alive

    # -- what others tell it -----------------------------------------------------------------------------------

    def _on_catalogue_changed(self, sender: Any) -> None:
        self.wakeup()

    def _on_runs_queued(self, sender: Any) -> None:
        self._wake_runs()

    def _wake_runs(self) -> None:
        """Tell those who start runs that there may be some."""
        if self.recorder is not None:
            self.recorder.wake()
        for executor in self._executors.values():
            executor.wake()

    def wakeup(self) -> None:
        if self._event is not None:
            self._event.set()

    def _tell_ended(self, written: ledger.Written) -> None:
        self.tell_ended(written.ended)

    def tell_ended(self, ended: list[ledger.Ended]) -> None:
        """Tell APScheduler's listeners what ended; called after the commit, in the thread of who wrote it."""
        if not self._listeners:
            return
        for each in ended:
            self._dispatch_event(_event_of(each))


_EVENTS = {RunState.SUCCEEDED: EVENT_JOB_EXECUTED, RunState.MISSED: EVENT_JOB_MISSED}


def _event_of(ended: ledger.Ended) -> JobExecutionEvent:
    code = _EVENTS.get(ended.state, EVENT_JOB_ERROR)
    error = None if code != EVENT_JOB_ERROR else RuntimeError(f"run {ended.run_id}: {ended.state.label}")
    return JobExecutionEvent(code, ended.job_id, "default", ended.due_at, exception=error)
