"""Shared calendars of excluded times, and every content that each ever had."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.store.types import BigId, UtcDateTime, key


class Calendar(Base):
    """A calendar that jobs name in their schedules. ``content`` is the domain's normal form, name included.

    ``digest`` is that of ``content``. ``labels`` say what days and windows are called; no due time depends on them.
    """

    __tablename__ = "calendar"
    __table_args__ = ({"sqlite_autoincrement": True},)  # the history of a deleted one must not become another's

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(key(100), unique=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    labels: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    digest: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(120))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(120))


class CalendarRevision(Base):
    """One content of a calendar. Rows are never removed: the periods of jobs refer to them by ``digest``."""

    __tablename__ = "calendar_revision"
    __table_args__ = (UniqueConstraint("calendar_id", "revision"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calendar_id: Mapped[int] = mapped_column(BigId)
    revision: Mapped[int] = mapped_column(Integer)
    change: Mapped[str] = mapped_column(String(24))  # created, edited, imported, restored, deleted
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    labels: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    saved_by: Mapped[str] = mapped_column(String(120))
