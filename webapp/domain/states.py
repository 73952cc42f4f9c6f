"""States of runs and jobs, and the moves between them that are legal (DESIGN section 4)."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. Every run ends in exactly one final state."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    MISSED = "missed"
    SKIPPED = "skipped"
    HELD = "held"

    @property
    def is_final(self) -> bool:
        return self not in ACTIVE

    @property
    def label(self) -> str:
        """The state as people read it: "timed out"."""
        return self.value.replace("_", " ")

    def may_become(self, other: RunState) -> bool:
        return other in _MOVES.get(self, frozenset())


ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING})
NEVER_STARTED = frozenset({RunState.MISSED, RunState.SKIPPED, RunState.HELD})
ENDED_BADLY = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.LOST, RunState.MISSED})

_MOVES: dict[RunState, frozenset[RunState]] = {
    # A queued run may be overtaken by its grace, skipped by an overlap rule, or withdrawn before it starts.
    RunState.QUEUED: frozenset(
        {RunState.RUNNING, RunState.CANCELLED, RunState.MISSED, RunState.SKIPPED, RunState.FAILED}
    ),
    RunState.RUNNING: frozenset(
        {
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.TIMED_OUT,
            RunState.CANCELLED,
            RunState.LOST,
            RunState.QUEUED,  # only where it is certain that nothing was started
        }
    ),
}


class RunTrigger(StrEnum):
    """What asked for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    RETRY = "retry"
    CHAIN = "chain"
    API = "api"
    CATCH_UP = "catch-up"


class JobState(StrEnum):
    """Where a job stands in the catalogue."""

    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"
    QUARANTINED = "quarantined"


class Overlap(StrEnum):
    """What happens at a due time while the job's earlier run is still going."""

    SKIP = "skip"
    QUEUE = "queue"
    TOGETHER = "together"
    REPLACE = "replace"


class Role(StrEnum):
    """What a person or a token may do; each role includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def includes(self, other: Role) -> bool:
        return self.rank >= other.rank
