"""Who leads the schedule, since when, with which workers, and what happened to the scheduler itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.store.types import BigId, UtcDateTime, key, long_text


class SchedulerLease(Base):
    """The one row (id 1) that says who leads. ``epoch`` grows at every change of holder."""

    __tablename__ = "scheduler_lease"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    holder: Mapped[str | None] = mapped_column(String(120))
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    renewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SchedulerSpan(Base):
    """A time in which one leader served due times; the gaps between the rows are down time."""

    __tablename__ = "scheduler_span"
    __table_args__ = (Index("ix_scheduler_span_until", "until_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    holder: Mapped[str] = mapped_column(String(120))
    epoch: Mapped[int] = mapped_column(Integer)
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Worker(Base):
    """A process that runs or may run things; ``seen_at`` is its heartbeat."""

    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    host: Mapped[str] = mapped_column(String(120))
    pid: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class EngineEvent(Base):
    """Something that happened to the scheduler and not to one run: a clock jump, an outage, a take-over."""

    __tablename__ = "engine_event"
    __table_args__ = (Index("ix_engine_event_at", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(String(500))
    worker: Mapped[str | None] = mapped_column(String(120))


class Installation(Base):
    """Facts about this installation as a whole, by name: the setup token's hash, the state of the global pause."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(key(64), primary_key=True)
    value: Mapped[str] = mapped_column(long_text())  # JSON text
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
