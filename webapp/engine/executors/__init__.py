"""Executors: how a claimed run is executed. Chosen per job by alias, configured as ``SCHEDULER_EXECUTORS``."""

from webapp.engine.executors.aio import AsyncIOExecutor
from webapp.engine.executors.base import RunExecutor
from webapp.engine.executors.processes import ProcessPoolExecutor
from webapp.engine.executors.remote import CeleryExecutor
from webapp.engine.executors.threads import ThreadPoolExecutor

KINDS: dict[str, type[RunExecutor]] = {
    executor.kind: executor for executor in (ThreadPoolExecutor, ProcessPoolExecutor, AsyncIOExecutor, CeleryExecutor)
}

__all__ = ["KINDS", "AsyncIOExecutor", "CeleryExecutor", "ProcessPoolExecutor", "RunExecutor", "ThreadPoolExecutor"]
