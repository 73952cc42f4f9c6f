"""The same over RabbitMQ, with PostgreSQL as the ledger: what differs from Redis, and the loss of the database."""

from __future__ import annotations

import signal

import pytest

from tests.celery.conftest import Farm, is_alive, send
from tests.conftest import CODE
from webapp import clock
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import runs
from webapp.store.models import Sending

pytestmark = pytest.mark.services


def test_runs_end_in_the_ledger_with_their_log(far_farm: Farm) -> None:
    ids = [far_farm.begin("far.slowly", executor, kwargs={"seconds": 0.2}) for executor in ("light", "heavy") * 3]
    for run_id in ids:
        assert far_farm.ended(run_id).state == RunState.SUCCEEDED
        assert far_farm.texts(run_id) == ["begun", "done"]
    assert db.session.query(Sending).count() == 0


def test_an_abort_ends_the_process(far_farm: Farm) -> None:
    run_id = far_farm.begin("far.forever", "heavy")
    said = far_farm.eventually(lambda: far_farm.texts(run_id))
    runs.stop(run_id, actor=CODE, now=clock.now())
    run = far_farm.ended(run_id)
    assert (run.state, run.stop_requested_by) == (RunState.CANCELLED, "test")
    far_farm.eventually(lambda: not is_alive(int(said[0].split()[1])))


def test_an_outcome_waits_for_the_database(far_farm: Farm) -> None:
    assert far_farm.database is not None
    run_id = far_farm.begin("far.trace", kwargs={"path": str(far_farm.trace), "seconds": 1.0})
    far_farm.eventually(lambda: run_id in far_farm.starts())
    far_farm.running(run_id)
    far_farm.database.stop()
    assert run_id not in far_farm.ends()
    far_farm.worker.wait_until(lambda: run_id in far_farm.ends(), 60)
    far_farm.worker.wait_until(lambda: "what runs said is kept" in far_farm.worker.log.read_text(), 60)
    far_farm.database.start()
    assert far_farm.ended(run_id).state == RunState.SUCCEEDED
    after = far_farm.begin("far.trace", kwargs={"path": str(far_farm.trace)})
    assert far_farm.ended(after).state == RunState.SUCCEEDED
    assert [far_farm.starts().count(each) for each in (run_id, after)] == [1, 1]


def test_runs_wait_for_the_broker_and_those_that_are_with_it_are_not_lost(far_farm: Farm) -> None:
    server = far_farm.broker
    kwargs = {"path": str(far_farm.trace)}
    far_farm.signal(signal.SIGSTOP)
    try:
        sent = far_farm.begin("far.trace", kwargs=kwargs)
        far_farm.eventually(lambda: db.session.get(Sending, sent))
        server.stop()
    finally:
        far_farm.signal(signal.SIGCONT)
    waiting = [far_farm.begin("far.trace", kwargs=kwargs) for _ in range(3)]
    assert far_farm.ended(far_farm.begin("demo.echo", "default")).state == RunState.SUCCEEDED
    assert {far_farm.state(run_id) for run_id in waiting} == {RunState.QUEUED}
    server.start()
    for run_id in (sent, *waiting):
        assert far_farm.ended(run_id, 120).state == RunState.SUCCEEDED
        assert far_farm.starts().count(run_id) == 1


def test_a_message_that_comes_back_from_a_killed_worker_does_not_start_its_run_again(far_farm: Farm) -> None:
    ids = [far_farm.begin("far.trace", kwargs={"path": str(far_farm.trace), "seconds": 60}) for _ in range(5)]
    for run_id in ids:
        far_farm.eventually(lambda i=run_id: i in far_farm.starts())
    far_farm.signal(signal.SIGKILL)
    far_farm.start_worker()
    for run_id in ids:
        assert far_farm.ended(run_id).state == RunState.LOST
        send(far_farm, run_id)
    assert far_farm.ended(far_farm.begin("demo.echo")).state == RunState.SUCCEEDED
    assert {far_farm.starts().count(run_id) for run_id in ids} == {1}
