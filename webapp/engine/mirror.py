"""One thread for each job store beside the catalogue: takes in what others change there, writes what has changed here.

A store that does not answer stops nobody but its own jobs, whose due times are judged when it is back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

from apscheduler.job import Job as SchedulerJob
from apscheduler.jobstores.base import JobLookupError
from flask import Flask

from webapp import clock
from webapp.services import heartbeat, store_copies
from webapp.services.signals import catalogue_changed
from webapp.store.job_states import Unreadable, read_state
from webapp.store.jobstores import KeptStore
from webapp.store.jobstores.base import pickled
from webapp.store.models import Job

ROUND_S = 0.5
LOOK_EVERY_S = 5.0
"""What other programs change in a store is seen within this time, and 20 times what a look takes."""
SILENT_S = 30.0
"""A look that takes longer is one that never ends."""
BATCH = 100

log = logging.getLogger(__name__)


class Away(Exception):
    """The store's server does not answer, or refuses; the text says how."""


class Refused(Exception):
    """The store must not be used now; the text says why."""


def nothing_against() -> None:
    """A store that may be used at any time."""


class Mirror:
    """Keeps one job store and the catalogue alike while this process leads."""

    def __init__(
        self,
        app: Flask,
        alias: str,
        kind: str,
        place: str,
        store: KeptStore,
        outward: Callable[[Job], SchedulerJob],
        leads: Callable[[], bool],
        refusal: Callable[[], str | None],
    ) -> None:
        self.alias, self.kind, self.place, self.store = alias, kind, place, store
        self._app, self._outward, self._leads, self._refusal = app, outward, leads, refusal
        self.state, self.problem, self.since = "starting", "", clock.now()
        self._answered = clock.monotonic()
        self._next_look = float("-inf")
        self._opened = False
        self._failures = 0
        self._seen: dict[str, bytes] = {}
        self._stop: threading.Event | None = None
        self._wake = threading.Event()

    # -- from other threads --------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether the jobs of this store may be served now."""
        return self.state == "ready" and clock.monotonic() - self._answered < SILENT_S

    def told(self) -> dict[str, Any]:
        """What the System page and the health check say about it."""
        silent = self.state == "ready" and not self.is_ready
        return {
            "kind": self.kind,
            "place": self.place,
            "state": "away" if silent else self.state,
            "problem": "It has not answered for some time." if silent else self.problem,
            "since": self.since.isoformat(),
        }

    def start(self) -> None:
        """Begin to mirror; what is known from an earlier time as the leader is looked at again."""
        if self._stop is not None:
            return
        self._stop = threading.Event()
        self.state, self.problem, self.since = "starting", "", clock.now()
        self._next_look, self._seen = float("-inf"), {}
        catalogue_changed.connect(self._on_change)
        name = f"carillon-store-{self.alias}"
        threading.Thread(target=self._loop, args=(self._stop,), name=name, daemon=True).start()

    def stop(self) -> None:
        """End at the next step; an answer that is waited for is not used any more."""
        if self._stop is not None:
            self._stop.set()
            self._wake.set()
            self._stop = None
            self.state = "standby"
            catalogue_changed.disconnect(self._on_change)

    def _on_change(self, sender: Any) -> None:
        self._wake.set()

    # -- its own thread ------------------------------------------------------------------------------------------

    def _loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._wake.clear()
            with self._app.app_context():
                self.guarded_round(stop)
            self._wake.wait(ROUND_S)

    def guarded_round(self, stop: threading.Event | None = None) -> None:
        """One round; whatever goes wrong, the next one follows."""
        stop = stop or threading.Event()
        try:
            self.round(clock.now(), clock.monotonic(), stop)
        except Away as error:
            self._turn(stop, "away", str(error))
            self._next_look = float("-inf")
            stop.wait(1.0)
        except Refused as error:
            self._turn(stop, "refused", str(error))
        except Exception:
            self._failures += 1
            if self._failures in (1, 10) or self._failures % 100 == 0:
                log.exception("mirroring the job store %s failed (try %d); it goes on", self.alias, self._failures)
            stop.wait(1.0)
        else:
            self._failures = 0

    def round(self, now: datetime, mono: float, stop: threading.Event) -> None:
        """Look if it is time to, write what is behind, remove what is left over. Raises Away, Refused."""
        if not self._leads():  # a process that was frozen must not write what is old by now
            return
        why = self._refusal()
        if why is not None:
            raise Refused(why)
        if not self._opened:
            with self._asking():
                self.store.open()
            self._opened = True
        if mono >= self._next_look:
            began = clock.monotonic()
            self._look(now, stop)
            self._next_look = mono + max(LOOK_EVERY_S, 20 * (clock.monotonic() - began))
            self._turn(stop, "ready", "")
        while not stop.is_set() and self._write(now, stop):
            pass
        self._remove_left_over()

    def _look(self, now: datetime, stop: threading.Event) -> None:
        known = store_copies.known_ids(self.alias)
        with self._asking():
            states = self.store.states()
        for job_id, data in states.items():
            if stop.is_set():
                return
            self._take(job_id, data, now)
        for job_id in known - states.keys():
            store_copies.vanished(self.alias, job_id, now, is_memory=self.kind == "memory")
            self._seen.pop(job_id, None)

    def _take(self, job_id: str, data: bytes, now: datetime) -> None:
        digest = sha256(data).digest()
        if self._seen.get(job_id) == digest:
            return
        try:
            state = read_state(data)
            if state.id != job_id:
                raise Unreadable("It stands under the id of another job.")
        except Unreadable as error:
            store_copies.take_unreadable(self.alias, job_id, str(error), now)
        else:
            store_copies.take(self.alias, state, now)
        self._seen[job_id] = digest

    def _write(self, now: datetime, stop: threading.Event) -> bool:
        """Write some jobs that are behind; whether there may be more."""
        jobs = store_copies.behind(self.alias, BATCH)
        written = [each for job in jobs if not stop.is_set() and (each := self._write_one(job, now)) is not None]
        if written:
            store_copies.note_written(self.alias, written, now)
        return len(jobs) == BATCH and bool(written)

    def _write_one(self, job: Job, now: datetime) -> store_copies.Written | None:
        """Write a job, unless somebody else has changed it there since we looked: then that comes first."""
        with self._asking():
            data = self.store.state(job.id)
        if data is not None and self._seen.get(job.id) != sha256(data).digest():
            self._take(job.id, data, now)
            return None
        outward = self._outward(job)
        if outward.trigger is None:
            return None
        state = read_state(pickled(outward))
        try:
            with self._asking():
                self.store.put(outward)
                data = self.store.state(job.id)
        except Away as error:
            with self._asking():
                self.store.open()  # it answers, so it has something against this job
            store_copies.note_refused(self.alias, job, str(error), now)
            return None
        if data is not None and read_state(data) == state:
            self._seen[job.id] = sha256(data).digest()
        return store_copies.Written(job.id, job.revision, job.next_due_at, store_copies.fingerprint(state))

    def _remove_left_over(self) -> None:
        ids: Sequence[str] = store_copies.left_over(self.alias, BATCH)
        for job_id in ids:
            with self._asking(), suppress(JobLookupError):
                self.store.remove_job(job_id)
            self._seen.pop(job_id, None)
        if ids:
            store_copies.forget(self.alias, ids)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Around everything that is asked of the store: whatever it raises means that it cannot be had now."""
        try:
            yield
        except JobLookupError:
            raise
        except Exception as error:
            text = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
            raise Away(text.splitlines()[0][:300]) from error
        self._answered = clock.monotonic()

    def _turn(self, stop: threading.Event, state: str, problem: str) -> None:
        """Note how it stands, and tell when that changes."""
        self._answered = clock.monotonic()
        if stop.is_set() or (state, problem) == (self.state, self.problem):
            return
        before, self.state, self.problem, self.since = self.state, state, problem, clock.now()
        if state == before:
            return
        message = f"The job store {self.alias} is {state}{f': {problem}' if problem else '.'}"
        log.log(logging.INFO if state == "ready" else logging.WARNING, message)
        heartbeat.note("job_store", message, "", self.since)
        catalogue_changed.send()


class Mirrors:
    """The mirrors of a process, which work only while it leads."""

    def __init__(self, mirrors: Sequence[Mirror] = ()) -> None:
        self._mirrors = list(mirrors)
        self._leads = False

    def follow(self, leads: bool, now: datetime) -> None:
        """Told with each round of the scheduler whether this process leads."""
        if leads == self._leads:
            return
        self._leads = leads
        if leads:
            store_copies.quarantine_homeless(["default", *(each.alias for each in self._mirrors)], now)
        for mirror in self._mirrors:
            mirror.start() if leads else mirror.stop()

    def waiting(self) -> tuple[str, ...]:
        """The job stores whose jobs cannot be served now."""
        return tuple(each.alias for each in self._mirrors if not each.is_ready)

    def told(self) -> dict[str, dict[str, Any]]:
        return {each.alias: each.told() for each in self._mirrors}

    def stop(self) -> None:
        for mirror in self._mirrors:
            mirror.stop()
        self._leads = False
