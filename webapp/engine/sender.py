"""The leader's thread for one Celery executor: sends queued runs to the broker, and revokes what is to stop.

It waits for the broker so that nothing else has to: while the broker is away its runs stay queued, and the scheduler
and the other executors go on.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from flask import Flask

from webapp import clock
from webapp.engine.broker import TASK, TIMEOUT_S
from webapp.extensions import db
from webapp.services import heartbeat, ledger, sending
from webapp.store import lease
from webapp.store.database import writing

ROUND_S = 0.5
CHECK_S = 2.0
"""How often to look for runs that were sent and did not arrive."""
AWAY_S = 1.0
"""How long to leave a broker alone that does not answer."""

log = logging.getLogger(__name__)


class Leader(Protocol):
    """What the sender needs to know of the scheduler."""

    app: Flask | None
    held: lease.Held | None
    worker_id: str

    def tell_ended(self, ended: list[ledger.Ended]) -> None: ...


class BrokerAway(Exception):
    """The broker did not take what was sent."""


class Sender:
    """One for each Celery executor; active only while its process leads."""

    def __init__(self, alias: str, most: int, celery: Any, leader: Leader) -> None:
        assert leader.app is not None
        self._alias = alias
        self._most = most
        self._celery = celery
        self._leader = leader
        self._app = leader.app
        self._group_limits: dict[str, int] = self._app.config["CARILLON"].group_limits
        self._producer: Any = None
        self._epoch: int | None = None
        self._check_at = 0.0
        self._revoked: set[int] = set()
        self._failures = 0
        self.is_away = False
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"carillon-sender-{alias}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """Send nothing more. What is on its way may end within a moment."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)

    def _loop(self) -> None:
        wait_s = 0.0
        while True:
            self._wake.wait(wait_s)
            if self.is_away and not self._stopped:
                threading.Event().wait(AWAY_S)
            self._wake.clear()
            if self._stopped:
                self._disconnect()
                return
            wait_s = self._guarded_round()

    def _guarded_round(self) -> float:
        """One round; whatever goes wrong in it, the next one tries again."""
        try:
            with self._app.app_context():
                self.round(clock.now(), clock.monotonic())
            self._failures = 0
        except Exception:
            self._failures += 1
            if self._failures in (1, 10) or self._failures % 100 == 0:
                log.exception("sending runs of %s failed (try %d); it goes on", self._alias, self._failures)
        return ROUND_S

    def round(self, now: datetime, mono: float) -> None:
        """Do what there is to do, in an app context. Raises what the database raises."""
        held = self._leader.held
        if held is None:
            self._epoch = None
            return
        left = sending.leftovers(db.session(), self._alias)
        if left:
            with writing() as writer:
                sending.take_back(writer, left)
        try:
            self._revoke()
            self._send_overdue(held, now, mono)
            self._send_waiting(held, now)
            if self.is_away:
                self._connect()
        except BrokerAway as error:
            self._is_away(error, now)
        else:
            self._is_back(now)
        finally:
            db.session.rollback()

    def _send_waiting(self, held: lease.Held, now: datetime) -> None:
        slots = sending.room(db.session(), self._alias, self._most, now)
        if not slots:
            return
        self._connect()
        with writing() as session:
            taken = sending.take(session, held, self._alias, slots, now, self._group_limits)
        if taken.ended:
            self._leader.tell_ended(taken.ended)
        self._publish(taken.messages, taken_now=True)
        if taken.messages or taken.ended:
            self._wake.set()  # there may be more

    def _send_overdue(self, held: lease.Held, now: datetime, mono: float) -> None:
        """Send again what did not arrive: what a new leader finds, as its predecessor may not have come to send it, and
        what no worker got although one waits: the broker has lost it, or a worker that is dead now had it.
        """
        is_new = self._epoch != held.epoch
        if not is_new and mono < self._check_at:
            return
        self._check_at = mono + CHECK_S
        session = db.session()
        messages = sending.overdue(session, self._alias, now if is_new else sending.before(now))
        if messages and (is_new or sending.workers_wait(session, self._alias)):
            self._connect()
            with writing() as writer:
                still_ours = sending.sent_again(writer, held, [message.run_id for message in messages], now)
            if still_ours:
                self._publish(messages)
        self._epoch = held.epoch

    def _revoke(self) -> None:
        """The worker sees stop requests in the ledger too; this reaches one that cannot see the ledger."""
        asked = sending.stops(db.session(), self._alias)
        new = [message for message in asked if message.run_id not in self._revoked]
        if new:
            producer = self._connect()
            try:
                names = [message.task_id for message in new]
                self._celery.control.revoke(names, terminate=True, connection=producer.connection)
            except Exception as error:
                raise self._away(error) from error
        self._revoked = {message.run_id for message in asked}

    def _publish(self, messages: Sequence[sending.Message], *, taken_now: bool = False) -> None:
        """Send them; those that the broker did not take are not marked as sent any more, if they were ``taken_now``."""
        for number, message in enumerate(messages):
            try:
                self._celery.send_task(
                    TASK, (message.run_id,), task_id=message.task_id, queue=self._celery.conf.task_default_queue,
                    producer=self._connect(), retry=False, confirm_timeout=TIMEOUT_S,
                )  # fmt: skip
            except Exception as error:
                if taken_now:
                    with writing() as session:
                        sending.take_back(session, [left.run_id for left in messages[number:]])
                raise self._away(error) from error

    def _connect(self) -> Any:
        if self._producer is None:
            connection = self._celery.connection_for_write()
            try:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT_S)
                self._producer = self._celery.amqp.Producer(connection)
            except Exception as error:
                _close(connection)
                raise self._away(error) from error
        return self._producer

    def _away(self, error: Exception) -> BrokerAway:
        self._disconnect()
        return error if isinstance(error, BrokerAway) else BrokerAway(f"{type(error).__name__}: {error}")

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _close(producer.connection)

    def _is_away(self, error: BrokerAway, now: datetime) -> None:
        if not self.is_away:
            self.is_away = True
            log.warning("the broker of %s does not answer (%s); its runs stay queued", self._alias, error)
            heartbeat.note(
                "broker",
                f"The broker of {self._alias} does not answer: its runs stay queued.",
                self._leader.worker_id,
                now,
            )

    def _is_back(self, now: datetime) -> None:
        if self.is_away:
            self.is_away = False
            log.warning("the broker of %s answers again", self._alias)
            heartbeat.note("broker", f"The broker of {self._alias} answers again.", self._leader.worker_id, now)


def _close(connection: Any) -> None:
    """Let go of a connection that may be broken in any way."""
    for end in (connection.release, connection.collect):
        with contextlib.suppress(Exception):
            end()
