"""The pages about a job's past: why it ran or did not, and what may be run after all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import CODE, NOW
from tests.web.conftest import PageClient, soup, text
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import jobs
from webapp.store.models import Run

HOUR = timedelta(hours=1)
HOURLY = {"kind": "cron", "minute": "0", "timezone": "UTC"}


@pytest.fixture
def job(make_job: Any, make_run: Any) -> Any:
    """An hourly job, three hours old: 10:00 failed, 11:00 succeeded, 12:00 was missed."""
    made = make_job(now=NOW - 3 * HOUR + timedelta(minutes=30), trigger=HOURLY)
    for hours, state in ((2, RunState.FAILED), (1, RunState.SUCCEEDED), (0, RunState.MISSED)):
        make_run(made, due_at=NOW - hours * HOUR, state=state)
    made.next_due_at = NOW + HOUR
    db.session.commit()
    return made


def test_a_moment_is_explained_in_order_with_links(admin_client: PageClient, job: Any) -> None:
    page = admin_client.page(f"/jobs/{job.id}/why?at=2026-06-01T10:00")
    reasons = page.select("#explanation .reasons li")
    assert reasons
    run = db.session.scalar(select(Run).where(Run.state == RunState.FAILED))
    assert run is not None
    assert page.select_one(f'#explanation a[href="/runs/{run.id}"]') is not None


def test_a_deleted_job_can_still_be_asked_about(admin_client: PageClient, job: Any) -> None:
    jobs.delete(job.id, actor=CODE, now=NOW)
    page = admin_client.page(f"/jobs/{job.id}/why?at=2026-06-01T11:00")
    assert "(deleted)" in text(page)
    assert page.select("#explanation .reasons li")


def test_a_moment_that_is_none_is_said_at_the_field(admin_client: PageClient, job: Any) -> None:
    answer = admin_client.get(f"/jobs/{job.id}/why?at=yesterday")
    error = soup(answer).select_one("#at-err")
    assert (answer.status_code, error is not None) == (422, True)


def test_a_job_that_never_was_is_not_found(admin_client: PageClient) -> None:
    assert admin_client.get("/jobs/nobody/why").status_code == 404
    assert admin_client.get("/jobs/nobody/why?at=2026-06-01T10:00").status_code == 404


def test_what_did_not_succeed_is_listed_and_what_is_ticked_runs(admin_client: PageClient, job: Any) -> None:
    page = admin_client.page(f"/jobs/{job.id}/catch-up")
    values = [box["value"] for box in page.select('input[name="moment"]')]
    assert values == [(NOW - 2 * HOUR).isoformat(), NOW.isoformat()]
    answer = admin_client.post(f"/jobs/{job.id}/catch-up", data={"moment": values})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job.id}")
    db.session.rollback()
    made = db.session.scalars(select(Run).where(Run.trigger == "catch-up").order_by(Run.due_at)).all()
    assert [(run.due_at, run.attempt, run.state) for run in made] == [
        (NOW - 2 * HOUR, 2, RunState.QUEUED),
        (NOW, 2, RunState.QUEUED),
    ]


@pytest.mark.parametrize("sent", [{}, {"moment": "soon"}, {"moment": "2026-06-01T10:07:00+00:00"}])
def test_what_cannot_run_is_said_and_nothing_is_queued(
    admin_client: PageClient, job: Any, sent: dict[str, str]
) -> None:
    answer = admin_client.post(f"/jobs/{job.id}/catch-up", data=sent)
    assert answer.status_code == 422
    assert soup(answer).select_one('[role="alert"]') is not None
    assert db.session.scalars(select(Run).where(Run.trigger == "catch-up")).all() == []


def test_the_jobs_page_leads_to_both(admin_client: PageClient, job: Any) -> None:
    page = admin_client.page(f"/jobs/{job.id}")
    assert page.select_one("#why") is not None
    assert page.select_one("#catch-up") is not None


@pytest.mark.parametrize(
    ("declared", "said"), [(True, "Declared in code"), (False, "No longer declared in code. It goes on until")]
)
def test_the_page_of_a_job_from_code_says_whether_the_code_still_has_it(
    admin_client: PageClient, job: Any, declared: bool, said: str
) -> None:
    job.origin, job.code_definition = "code", {"said": {}, "made": {}, "declared": declared}
    db.session.commit()
    assert said in text(admin_client.page(f"/jobs/{job.id}"))


def test_the_page_of_a_persons_job_says_nothing_of_code(admin_client: PageClient, job: Any) -> None:
    assert admin_client.page(f"/jobs/{job.id}").select_one("#declared") is None
