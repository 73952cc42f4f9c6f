"""The ledger: one row for each due time or request, with its outcome; and the log lines of each run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.store.types import BigId, UtcDateTime, key, long_text


class Run(Base):
    """One due time (or a request, then ``due_at`` is None), one attempt, one outcome.

    What it copies from the job stays true when the job is edited or deleted; there is no foreign key to break.
    The unique key is the claim: a due time can be inserted once for each attempt. ``due_count`` due times,
    from ``first_due_at`` to ``due_at``, share this row when they were folded.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("job_id", "due_at", "attempt"),
        Index("ix_run_dispatch", "state", "executor", "rank", "available_at"),
        Index("ix_run_job", "job_id", "queued_at", "id"),
        Index("ix_run_job_state", "job_id", "state", "queued_at", "id"),
        Index("ix_run_state", "state", "queued_at", "id"),
        Index("ix_run_task", "task", "queued_at", "id"),
        Index("ix_run_trigger", "trigger", "queued_at", "id"),
        Index("ix_run_queued", "queued_at", "id"),
        Index("ix_run_due", "due_at"),
        Index("ix_run_updated", "updated_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[str] = mapped_column(key())
    job_name: Mapped[str] = mapped_column(String(200))
    job_revision: Mapped[int] = mapped_column(Integer)
    task: Mapped[str] = mapped_column(key())
    args: Mapped[list[Any]] = mapped_column(JSON)
    kwargs: Mapped[dict[str, Any]] = mapped_column(JSON)
    trigger: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(500))
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    previous_id: Mapped[int | None] = mapped_column(BigId)  # the attempt before this one
    next_id: Mapped[int | None] = mapped_column(BigId)  # the attempt after it; None: this one's state is the outcome
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_count: Mapped[int] = mapped_column(Integer, default=1)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)  # not to be started before
    start_by_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # later it is missed; None: never too late
    group: Mapped[str | None] = mapped_column(key(64))
    follow_up: Mapped[bool] = mapped_column(Boolean, default=False)  # its job wants something done at its end
    cause_id: Mapped[int | None] = mapped_column(BigId)  # the run whose end started this one (a chain)
    instances_max: Mapped[int | None] = mapped_column(Integer)  # waits while so many runs of its job are running
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    executor: Mapped[str] = mapped_column(String(64))
    rank: Mapped[int] = mapped_column(Integer, default=0)  # the job's priority, negated: the least starts first
    timeout_s: Mapped[float | None] = mapped_column(Float)
    worker: Mapped[str | None] = mapped_column(String(120))
    requested_by: Mapped[str | None] = mapped_column(String(120))
    stop_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stop_requested_by: Mapped[str | None] = mapped_column(String(120))
    progress: Mapped[float | None] = mapped_column(Float)
    progress_text: Mapped[str | None] = mapped_column(String(200))
    result: Mapped[str | None] = mapped_column(long_text())  # JSON text
    error: Mapped[str | None] = mapped_column(String(1000))
    traceback: Mapped[str | None] = mapped_column(long_text())
    log_lines: Mapped[int] = mapped_column(Integer, default=0)


class Sending(Base):
    """A queued run that was sent to a broker, and when. Only such a run may be started by a Celery worker, which takes
    the row away; one that does not come is sent again. No foreign key: what is left over is swept.
    """

    __tablename__ = "sending"

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    executor: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RunLog(Base):
    """A piece of a run's log: whole lines ``first_line`` .. ``first_line + lines - 1``, joined by newlines.

    A line is ``<UTC time with milliseconds>Z\\t<level>\\t<text>``.
    """

    __tablename__ = "run_log"
    __table_args__ = (UniqueConstraint("run_id", "first_line"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(BigId, ForeignKey("run.id", ondelete="CASCADE"))
    first_line: Mapped[int] = mapped_column(Integer)
    lines: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(long_text())
