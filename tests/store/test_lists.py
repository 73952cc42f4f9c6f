"""What the catalogue's lists find and in which order: the same on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.conftest import CODE, NOW
from webapp.domain.states import RunState
from webapp.extensions import db
from webapp.services import job_lists, jobs, runs
from webapp.store import job_words
from webapp.store.filters import JobFilter
from webapp.store.models import Job, Run

MakeJob = Callable[..., Job]


def found(**filter: str) -> list[str]:
    return [job.id for job in job_lists.listing(JobFilter.parse(filter)).rows]


@pytest.mark.parametrize("sort", ["next", "-next"])
def test_jobs_without_a_next_due_time_come_last_either_way(make_job: MakeJob, sort: str) -> None:
    make_job(id="paused")
    jobs.pause("paused", actor=CODE, now=NOW)
    make_job(id="soon", trigger={"kind": "interval", "minutes": 1})
    make_job(id="later", trigger={"kind": "interval", "hours": 1})
    due = ["soon", "later"] if sort == "next" else ["later", "soon"]
    assert found(sort=sort) == [*due, "paused"]


@pytest.mark.parametrize("tag", ["night", "größe", "日本", "50%", "a_b"])
def test_a_tag_finds_its_jobs_and_no_others(make_job: MakeJob, tag: str) -> None:
    make_job(id="with", tags=["other", tag])
    make_job(id="without", tags=["axb", "50", "nigh"])
    assert found(tag=tag) == ["with"]
    assert found(q=tag) == ["with"]
    assert job_words.tags(db.session()) == sorted({"other", tag, "axb", "50", "nigh"})


def test_words_are_found_in_any_case_and_signs_stand_for_themselves(make_job: MakeJob) -> None:
    make_job(id="one", name="Nightly BACKUP 100%")
    make_job(id="two", name="Nightly backup 1000")
    assert found(q="nightly backup 100%") == ["one"]
    assert sorted(found(q="backup")) == ["one", "two"]


def test_ids_that_differ_in_case_or_accent_are_different_jobs(make_job: MakeJob) -> None:
    for job_id in ("backup", "Backup", "báckup", "backup-ß", "backup-ss"):
        make_job(id=job_id)
        assert jobs.get(job_id).id == job_id
    assert len(found()) == 5


def test_the_newest_runs_of_each_job_are_read_for_all_of_them(make_job: MakeJob, make_run: Callable[..., Run]) -> None:
    """Whatever else is in the ledger, and in the order in which they were queued, not in which they were due."""
    many, few, never = make_job(id="many"), make_job(id="few"), make_job(id="never")
    made = [
        make_run(job, due_at=NOW - timedelta(hours=number), queued_at=NOW + timedelta(minutes=number)).id
        for number, job in enumerate([many, few, many, many, few, many])
    ]
    bars = runs.strips([many.id, few.id, never.id], 3)
    assert {job_id: [bar.id for bar in found] for job_id, found in bars.items()} == {
        "many": [made[2], made[3], made[5]],
        "few": [made[1], made[4]],
        "never": [],
    }
    assert bars["few"][0].duration_s == 1
    assert runs.strips([], 3) == {}


def test_a_filter_that_finds_many_jobs_finds_all_of_them(make_job: MakeJob) -> None:
    """Their ids go to the database as one list, with whatever signs are in them."""
    ids = {make_job(id=f'{{a,"b",NULL}}-{number}', tags=["odd"]).id for number in range(30)}
    make_job(id="even")
    assert set(found(tag="odd")) == ids
    assert [job.id for job in job_lists.listing(JobFilter(tag="odd", sort="-name"), limit=100).rows] == sorted(
        ids, reverse=True
    )


def test_what_failed_says_nothing_of_how_long_a_job_usually_takes(
    make_job: MakeJob, make_run: Callable[..., Run]
) -> None:
    job = make_job()
    assert runs.usual_duration_s(job.id) is None
    for number, took in enumerate((2, 9, 4)):
        make_run(job, due_at=NOW - timedelta(hours=number), finished_at=NOW + timedelta(seconds=took))
    make_run(job, due_at=NOW + timedelta(hours=1), state=RunState.FAILED, finished_at=NOW + timedelta(seconds=900))
    make_run(job, due_at=NOW + timedelta(hours=2), state=RunState.TIMED_OUT, finished_at=NOW + timedelta(seconds=900))
    assert runs.usual_duration_s(job.id) == 4
