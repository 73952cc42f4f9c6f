"""The catalogue: one row for each job, and one for each period in which a job had one definition and one state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.store.types import BigId, UtcDateTime, key, long_text


class Job(Base):
    """What is scheduled. ``next_due_at`` is the first due time that has no outcome yet; None: there is none."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_due", "state", "next_due_at", "id"),
        Index("ix_job_resume", "resume_at"),
        Index("ix_job_name", "name", "id"),
        Index("ix_job_updated", "updated_at", "id"),
        Index("ix_job_jobstore", "jobstore"),
    )

    id: Mapped[str] = mapped_column(key(), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    task: Mapped[str] = mapped_column(key())
    func: Mapped[str] = mapped_column(key(400))  # the task as the client spelled it: its key or module:function
    args: Mapped[list[Any]] = mapped_column(JSON, default=list)
    kwargs: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    trigger: Mapped[dict[str, Any]] = mapped_column(JSON)
    timezone: Mapped[str] = mapped_column(String(64))
    calendar_pins: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))  # name -> digest
    jobstore: Mapped[str] = mapped_column(String(64), default="default")
    executor: Mapped[str] = mapped_column(String(64), default="default")
    coalesce: Mapped[bool] = mapped_column(Boolean, default=True)
    max_instances: Mapped[int] = mapped_column(Integer, default=1)
    misfire_grace_s: Mapped[int | None] = mapped_column(Integer)
    overlap: Mapped[str] = mapped_column(String(16), default="skip")
    timeout_s: Mapped[float | None] = mapped_column(Float)
    retry: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    rerun_if_lost: Mapped[bool] = mapped_column(Boolean, default=False)
    auto_pause_after: Mapped[int | None] = mapped_column(Integer)  # failures in a row; None: never
    chains: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)  # [{"job_id", "on"}]: run these next
    priority: Mapped[int] = mapped_column(Integer, default=0)
    group: Mapped[str | None] = mapped_column(key(64))  # jobs that share a limit of runs going on together
    description: Mapped[str] = mapped_column(long_text(), default="")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    state: Mapped[str] = mapped_column(String(16), default="active")
    state_reason: Mapped[str | None] = mapped_column(String(500))
    next_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resume_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # a paused job resumes by itself then
    origin: Mapped[str] = mapped_column(String(16), default="user")  # user, or code: declared by the installation
    code_definition: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what the code said when it was last applied
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(120))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(120))


class JobWords(Base):
    """What a job is found by; beside it, so that a search reads no wide rows and a due time writes no index of it."""

    __tablename__ = "job_words"
    __table_args__ = (Index("ix_job_words_task", "task", "job_id"),)

    job_id: Mapped[str] = mapped_column(key(), ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    task: Mapped[str] = mapped_column(key())
    text: Mapped[str] = mapped_column(long_text())  # name, id, task and tags, case folded


class JobTag(Base):
    """A tag of a job."""

    __tablename__ = "job_tag"
    __table_args__ = (Index("ix_job_tag_tag", "tag", "job_id"),)

    job_id: Mapped[str] = mapped_column(key(), ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(key(50), primary_key=True)


class JobRevision(Base):
    """A period of a job's life. Its due times are those of ``definition`` with from_at < t <= until_at, if ``serving``.

    No foreign key: the record outlives the job.
    """

    __tablename__ = "job_revision"
    __table_args__ = (UniqueConstraint("job_id", "revision"), Index("ix_job_revision_until", "serving", "until_at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[str] = mapped_column(key())
    revision: Mapped[int] = mapped_column(Integer)
    change: Mapped[str] = mapped_column(String(24))  # created, edited, paused, resumed, quarantined, deleted ...
    serving: Mapped[bool] = mapped_column(Boolean)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    saved_by: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str | None] = mapped_column(String(500))
