"""The recorder: the one thread that writes what runs do, and that claims queued runs for free workers.

Each round is one transaction: everything that has been reported since the last one (outcomes, log lines, progress) is
written, and as many queued runs as there are free workers become ``running``. Only after the commit are those runs
handed to their executors, so ``running`` is durable before a function is called, and ten workers cost one commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from webapp import clock
from webapp.domain.states import RunState
from webapp.engine.claims import Claim, Line, Outcome, Progress
from webapp.engine.executors import RunExecutor
from webapp.services import ledger
from webapp.store import lease
from webapp.store.database import writing

ROUND_S = 0.5
"""Queued runs and stop requests of other processes are seen within this time."""
GATHER_S = 0.002
"""While more runs wait than there are workers, a round waits so long for further runs to end and share its commit."""
LINES_S = 0.25
"""Log lines and progress wait at most so long for others to share their commit."""
BATCH_MAX = 2_000
_BACKOFF_S = (0.1, 0.2, 0.5)

log = logging.getLogger(__name__)


@dataclass
class Batch:
    """What one round writes."""

    outcomes: list[Outcome] = field(default_factory=list)
    lines: dict[int, list[str]] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.lines or self.progress)

    def add(self, message: Line | Progress | Outcome) -> None:
        if isinstance(message, Outcome):
            self.outcomes.append(message)
        elif isinstance(message, Progress):
            self.progress[message.run_id] = message
        else:
            self.lines.setdefault(message.run_id, []).append(message.text)


class Recorder:
    """Owns the claims of this process: which runs are out with which executor."""

    def __init__(
        self,
        app: Flask,
        worker_id: str,
        executors: Mapping[str, RunExecutor],
        leading: Callable[[], lease.Held | None],
        ended: Callable[[ledger.Written], None],
    ) -> None:
        self._app = app
        self._worker_id = worker_id
        self._executors = executors
        self._leading = leading
        self._ended = ended
        self._inbox: deque[Line | Progress | Outcome] = deque()
        self._wake = threading.Event()
        self._out: dict[str, set[int]] = {alias: set() for alias in executors}
        self._claims: dict[int, Claim] = {}
        self._group_limits: dict[str, int] = app.config["CARILLON"].group_limits
        self._line_counts: dict[int, int] = {}
        self._retry_at: datetime | None = None
        self._busy = False
        self._stops_asked = False
        self._in_doubt = False
        self._claiming = True
        self._closing = False
        self._failures = 0
        self.last_round_at: datetime | None = None
        self._thread = threading.Thread(target=self._loop, name="carillon-recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def report(self, message: Line | Progress | Outcome) -> None:
        """Take what a run says. Outcomes are written at once, the rest shares the next commit."""
        self._inbox.append(message)
        if isinstance(message, Outcome):
            self._wake.set()

    def wake(self) -> None:
        """There may be something to claim, or a run to stop."""
        self._stops_asked = True
        self._wake.set()

    def receive(self, claim: Claim, lines: int) -> None:
        """Look after a run that was started elsewhere and is ``running`` in the ledger, with so many log lines."""
        if claim.executor not in self._out:  # a remote one, whose run goes on here all the same: it began in memory
            self._out = {**self._out, claim.executor: set()}
        self._out[claim.executor].add(claim.run_id)
        self._claims[claim.run_id] = claim
        self._line_counts[claim.run_id] = lines

    @property
    def active(self) -> dict[str, int]:
        """How many runs are out, by executor alias."""
        return {alias: len(runs) for alias, runs in self._out.items()}

    @property
    def has_more(self) -> bool:
        """Whether runs wait that may start as soon as workers are free."""
        return self._busy

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop_claiming(self) -> None:
        """From now on no run is started; what runs may end."""
        self._claiming = False

    def idle(self) -> bool:
        """Whether nothing runs and everything is written."""
        return not any(self._out.values()) and not self._inbox

    def active_ids(self) -> list[int]:
        return [run_id for runs in self._out.values() for run_id in list(runs)]

    def close(self, timeout_s: float) -> None:
        """Write what is left and end the thread."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _loop(self) -> None:
        pending = Batch()
        next_poll = 0.0
        while True:
            self._wait(pending, next_poll)
            woken = self._wake.is_set()
            if self._busy:
                self._gather()
            self._wake.clear()
            self._drain(pending)
            closing = self._closing
            if self._retry_at is not None and clock.now() >= self._retry_at:
                woken, self._retry_at = True, None
            if clock.monotonic() >= next_poll:
                woken = self._stops_asked = True
                next_poll = clock.monotonic() + ROUND_S
            if not pending and not woken and not closing:
                continue
            try:
                self._round(pending)
            except Exception:
                self._in_doubt = True
                self._fail()
                if closing and self._failures > len(_BACKOFF_S):
                    return
                continue
            self._failures = 0
            pending = Batch()
            if closing and not self._inbox:
                return

    def _wait(self, pending: Batch, next_poll: float) -> None:
        if pending:  # the last round failed: its batch is still to be written
            threading.Event().wait(_BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1])
            return
        left = next_poll - clock.monotonic()
        if self._retry_at is not None:
            left = min(left, (self._retry_at - clock.now()).total_seconds())
        self._wake.wait(max(0.0, min(left, LINES_S if self._inbox or self._out_count() else left)))

    def _gather(self) -> None:
        """Let runs that are about to end share this round's commit."""
        until = clock.monotonic() + GATHER_S
        half = self._out_count() // 2
        while len(self._inbox) < half and clock.monotonic() < until:
            time.sleep(0.0005)

    def _out_count(self) -> int:
        return sum(len(runs) for runs in self._out.values())

    def _drain(self, pending: Batch) -> None:
        for _ in range(BATCH_MAX):
            try:
                pending.add(self._inbox.popleft())
            except IndexError:
                return
        self._wake.set()  # there is more: come back at once

    def _round(self, pending: Batch) -> None:
        """One transaction, then the hand-over."""
        now = clock.now()
        ended = {outcome.run_id for outcome in pending.outcomes}
        free = self._free(ended)
        claiming = bool(free) and self._claiming and not self._closing
        with self._app.app_context():
            stops = self._stops()
            if not pending and not self._in_doubt and not (claiming and self._anything_to_claim(now)):
                self._after(ended, stops, [])
                self._busy = False
                return
            with writing() as session:
                if self._in_doubt:
                    ledger.undo_claims(session, self._worker_id, self.active_ids(), now)
                written = ledger.write(session, self._entries(pending), now)
                claims = self._claim(session, free, now) if claiming else ledger.Claimed()
        self._in_doubt = False
        for run_id, lines in pending.lines.items():
            self._line_counts[run_id] = self._line_counts.get(run_id, 0) + len(lines)
        for run_id in ended:
            self._line_counts.pop(run_id, None)
            del self._claims[run_id]
        if written.next_at is not None:
            self._retry_at = min(filter(None, (self._retry_at, written.next_at)))
        written.ended += claims.ended
        self._after(ended, stops, [Claim(**row) for row in claims.rows])
        if written.ended:
            self._ended(written)
        self._busy = claims.more
        if claims.more:
            self._wake.set()

    def _anything_to_claim(self, now: datetime) -> bool:
        """A read that keeps idle processes from writing."""
        return self._leading() is not None and ledger.anything_queued(now)

    def _claim(self, session: Session, free: Mapping[str, int], now: datetime) -> ledger.Claimed:
        """Make runs ``running`` that this process must start."""
        held = self._leading()
        if held is None:
            return ledger.Claimed()
        return ledger.claim(session, held, free, now, self._worker_id, self._group_limits)

    def _stops(self) -> list[int]:
        """Runs of ours that somebody asked to stop; looked up when that may have happened, and every ROUND_S."""
        if not self._stops_asked or not self._out_count():
            return []
        self._stops_asked = False
        return ledger.stop_requests(self.active_ids())

    def _entries(self, pending: Batch) -> ledger.Entries:
        return ledger.Entries(
            outcomes=[self._entry(outcome) for outcome in pending.outcomes],
            lines={run_id: (self._line_counts.get(run_id, 0), lines) for run_id, lines in pending.lines.items()},
            progress=[vars(progress) for progress in pending.progress.values()],
        )

    def _entry(self, outcome: Outcome) -> dict[str, Any]:
        claim = self._claims[outcome.run_id]
        told = {"job_id": claim.job_id, "due_at": claim.due_at, "follow_up": claim.follow_up}
        return {**vars(outcome), **told}

    def _after(self, ended: set[int], stops: list[int], claims: list[Claim]) -> None:
        for runs in self._out.values():
            runs -= ended
        for run_id in stops:
            for executor in self._executors.values():
                executor.stop_run(run_id)
        for claim in claims:
            self._out[claim.executor].add(claim.run_id)
            self._claims[claim.run_id] = claim
            self._launch(claim)
        self.last_round_at = clock.now()

    def _launch(self, claim: Claim) -> None:
        try:
            self._executors[claim.executor].launch(claim)
        except Exception as error:  # no more threads, say: the run has its outcome and the others go on
            log.exception("run %d could not be started", claim.run_id)
            text = f"It could not be started: {error}"[:1000]
            self.report(Outcome(claim.run_id, RunState.FAILED, clock.now(), error=text))

    def _free(self, ended: set[int]) -> dict[str, int]:
        free = {}
        for alias, executor in self._executors.items():
            slots = executor.max_workers - len(self._out[alias] - ended)
            if slots > 0:
                free[alias] = slots
        return free

    def _fail(self) -> None:
        self._failures += 1
        if self._failures in (1, 10) or self._failures % 100 == 0:
            log.exception("the ledger could not be written (try %d); what runs said is kept", self._failures)
