"""What every executor is: an APScheduler executor that takes claimed runs instead of jobs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from apscheduler.executors.base import BaseExecutor

from webapp.engine.claims import Claim, Report
from webapp.engine.executors.child import ChildSetup
from webapp.engine.runner import AppContext


class RunExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler ships no types
    """Runs at most ``max_workers`` claims at a time. The recorder never hands it more, so it needs no queue."""

    kind: ClassVar[str]
    can_stop: ClassVar[bool]
    """Whether a run can be ended against its task's will."""
    is_remote: ClassVar[bool] = False
    """Whether its runs are started by other processes: then the recorder claims none for it."""

    def __init__(self, max_workers: int = 10) -> None:
        super().__init__()
        if isinstance(max_workers, bool) or not isinstance(max_workers, int) or not 1 <= max_workers <= 10_000:
            raise ValueError(f"max_workers must be a whole number from 1 to 10000, not {max_workers!r}")
        self.max_workers = max_workers

    def bind(self, report: Report, app_context: AppContext, child_setup: ChildSetup) -> None:
        """Say where runs report to, which app context they get, and how a process makes one; before ``start``."""
        self._report = report
        self._app_context = app_context
        self.child_setup = child_setup

    @abstractmethod
    def launch(self, claim: Claim) -> None:
        """Start a claimed run; its outcome is reported exactly once."""

    @abstractmethod
    def stop_run(self, run_id: int) -> None:
        """Ask a run to end; one that is not here is ignored."""

    def wake(self) -> None:
        """There may be queued runs, or a run to stop; for executors that look for themselves."""

    def _do_submit_job(self, job: Any, run_times: Any) -> None:
        raise NotImplementedError("Due times go through the ledger, not straight to an executor.")
