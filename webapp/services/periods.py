"""The periods of a job's life: each change closes one and opens the next, so that the due times of any past window
can be computed again from what was in force then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from webapp.domain.states import JobState
from webapp.services.definitions import FIELDS
from webapp.store import history, jobs
from webapp.store.models import Job, JobRevision

_AHEAD_MAX = timedelta(days=1)


def definition_of(job: Job) -> dict[str, Any]:
    """The job's content as ``Definition`` names it."""
    return {name: getattr(job, name) for name in FIELDS}


def boundary(session: Session, job_id: str, now: datetime) -> datetime:
    """Where a period that is changed at ``now`` ends: not before it began, nor before a due time with an outcome.

    A due pass may have settled a due time just after the moment at which the one who changes the job read the clock,
    or the clock was set back. What lies more than a day ahead comes from a clock that was wrong and binds nobody.
    """
    until = now + _AHEAD_MAX
    begun, settled = history.latest_from_at(session, job_id, until), history.latest_due_at(session, job_id, until)
    return max(filter(None, (now, begun, settled)))


def close_and_open(
    session: Session, job: Job, change: str, *, by: str, now: datetime, reason: str | None = None
) -> None:
    """End the open period at ``now``, begin one with the job's present definition, give the job its next revision."""
    since = boundary(session, job.id, now)
    jobs.close_revision(session, job.id, since)
    job.revision = jobs.latest_revision(session, job.id) + 1
    job.updated_at, job.updated_by = now, by
    session.add(
        JobRevision(
            job_id=job.id,
            revision=job.revision,
            change=change,
            serving=job.state == JobState.ACTIVE and change != "deleted",
            definition=definition_of(job),
            from_at=since,
            until_at=since if change == "deleted" else None,
            saved_by=by,
            reason=reason,
        )
    )
