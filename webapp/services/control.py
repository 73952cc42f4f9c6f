"""The switch of the whole installation: running, paused (due times are held) or stopped (as if it were down)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from webapp.domain.errors import Conflict
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit
from webapp.services.actors import Actor
from webapp.services.signals import catalogue_changed
from webapp.store import installation
from webapp.store.database import retried, writing

_NAME = "mode"


class Mode(StrEnum):
    """What the leader does with due times."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Switch:
    """The mode, and who set it when; nobody has while it was always running."""

    mode: Mode = Mode.RUNNING
    by: str | None = None
    since: datetime | None = None

    @property
    def held_reason(self) -> str | None:
        """Why a due time is held now; None: it is not."""
        if self.mode is not Mode.PAUSED or self.since is None:
            return None
        return f"Everything was paused by {self.by} at {self.since:%Y-%m-%d %H:%M} UTC."


def read(session: Session | None = None) -> Switch:
    """How the switch stands in the database now."""
    value = installation.read(session or db.session(), _NAME)
    if value is None:
        return Switch()
    return Switch(Mode(value["mode"]), value["by"], datetime.fromisoformat(value["since"]))


def hold(*, actor: Actor, now: datetime) -> None:
    """Pause everything; each job keeps its own state. Conflict when it is not running."""
    _set(Mode.PAUSED, "scheduler.paused", {Mode.RUNNING}, Role.OPERATOR, actor, now)


def release(*, actor: Actor, now: datetime) -> None:
    """End the pause. Conflict when it is not paused."""
    _set(Mode.RUNNING, "scheduler.resumed", {Mode.PAUSED}, Role.OPERATOR, actor, now)


def shut_down(*, actor: Actor, now: datetime) -> None:
    """Serve no due times until ``start``; jobs and runs stay. Conflict when it is stopped already."""
    _set(Mode.STOPPED, "scheduler.stopped", {Mode.RUNNING, Mode.PAUSED}, Role.ADMIN, actor, now)


def start(*, actor: Actor, now: datetime) -> None:
    """Serve due times again; those that passed meanwhile are judged by each job's rules. Conflict when not stopped."""
    _set(Mode.RUNNING, "scheduler.started", {Mode.STOPPED}, Role.ADMIN, actor, now)


@retried
def _set(mode: Mode, action: str, allowed: set[Mode], role: Role, actor: Actor, now: datetime) -> None:
    actor.require(role)
    with writing() as session:
        installation.hold(session, _NAME, now)
        before = read(session)
        if before.mode not in allowed:
            raise Conflict(f"The scheduler is {before.mode.value}.")
        installation.write(session, _NAME, {"mode": mode, "by": actor.name, "since": now.isoformat()}, now)
        audit.record(
            action,
            "scheduler",
            "scheduler",
            actor=actor,
            now=now,
            before={"mode": before.mode},
            after={"mode": mode},
        )
    catalogue_changed.send()
