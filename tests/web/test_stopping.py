"""The page of a run that goes on says what an abort can do, and when it is over its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import CODE, NOW
from tests.web.conftest import PageClient, text
from webapp.domain.states import RunState
from webapp.services import runs
from webapp.web.presenters.stopping import Stopping


@pytest.fixture
def going(make_job: Any, make_run: Any) -> Any:
    def make(**values: Any) -> Any:
        return make_run(make_job(), **{"state": RunState.RUNNING, "finished_at": None, **values})

    return make


def test_an_abort_of_a_thread_says_that_it_can_only_ask(admin_client: PageClient, going: Any) -> None:
    run = going()
    assert "cannot be ended from outside" not in text(admin_client.page(f"/runs/{run.id}"))
    runs.stop(run.id, actor=CODE, now=NOW)
    assert "It runs in a thread, which cannot be ended from outside" in text(admin_client.page(f"/runs/{run.id}"))


def test_a_run_over_its_time_limit_is_shown_as_overdue(admin_client: PageClient, going: Any) -> None:
    run = going(timeout_s=60, started_at=NOW - timedelta(seconds=150))
    assert "Over its time limit since 1 min 30 s" in text(admin_client.page(f"/runs/{run.id}"))


def test_a_run_within_its_time_limit_is_not(admin_client: PageClient, going: Any) -> None:
    run = going(timeout_s=600, started_at=NOW - timedelta(seconds=150))
    assert "Over its time limit" not in text(admin_client.page(f"/runs/{run.id}"))


def test_where_an_abort_is_certain_there_is_nothing_to_explain() -> None:
    assert Stopping(certain=True).note == ""
    assert Stopping(certain=True, overdue_s=5).note == "Over its time limit since 5 s."
