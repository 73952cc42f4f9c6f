"""What is known to stand in the job stores beside the catalogue."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.store.types import UtcDateTime, key


class JobCopy(Base):
    """A job as it was last seen or written in another job store. It outlives the job until it is removed there, too.

    ``revision`` is the job's revision that stands there: 0 for what is not ours, -1 for what is to be written anew.
    ``fingerprint`` is of its content, and ``problem`` says why that could not be taken.
    """

    __tablename__ = "job_copy"
    __table_args__ = (Index("ix_job_copy_job", "job_id"),)

    jobstore: Mapped[str] = mapped_column(key(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(key(), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, default=0)
    next_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    problem: Mapped[str | None] = mapped_column(String(500))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
