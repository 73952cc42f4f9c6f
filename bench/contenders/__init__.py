"""Those who run the same jobs side by side, and what "recorded" means for each of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Who:
    """A contender: the name in the tables, what it is, and when one of its runs counts as recorded."""

    name: str
    module: str
    options: dict[str, str]
    what: str
    recorded: str


_IN_MEMORY = "a listener has heard EVENT_JOB_EXECUTED; nothing is kept"

CARILLON = Who(
    "carillon",
    "bench.contenders.carillon",
    {},
    "Carillon, embedded SQLite, as it is served",
    "its row is committed with queued, started and finished times; `running` was committed before the call",
)
RIVALS = (
    Who(
        "default",
        "bench.contenders.bare",
        {"store": "default"},
        "APScheduler, SQLAlchemyJobStore on SQLite, defaults",
        _IN_MEMORY,
    ),
    Who(
        "wal",
        "bench.contenders.bare",
        {"store": "wal"},
        "the same with WAL and synchronous NORMAL",
        _IN_MEMORY,
    ),
    Who("memory", "bench.contenders.bare", {"store": "memory"}, "APScheduler, MemoryJobStore", _IN_MEMORY),
    Who(
        "django",
        "bench.contenders.django",
        {},
        "django-apscheduler in a Django project of its own, SQLite",
        "its DjangoJobExecution row says Executed",
    ),
)
EVERYONE = (CARILLON, *RIVALS)
