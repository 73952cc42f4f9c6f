"""What ``celery -A app.celery_app worker`` serves: runs that the leader sends, and never the schedule itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from flask import Flask

from webapp import serving
from webapp.engine import broker
from webapp.engine.executors import CeleryExecutor
from webapp.settings import Settings, SettingsError

if TYPE_CHECKING:
    from webapp.engine.worker.host import Host


class Working:
    """How Celery's pool comes to what runs things."""

    def __init__(self, app: Flask, remote: dict[str, CeleryExecutor]) -> None:
        settings: Settings = app.config["CARILLON"]
        self._app = app
        self._remote = remote
        self.stop_wait_s = float(settings.stop_wait_s)

    def open(self, slots: int, name: str, queues: Collection[str], settled: Callable[[int], None]) -> Host:
        """Wait for the database, then be ready for runs from these queues, ``slots`` at a time."""
        from webapp.engine.worker.host import Host

        serving.prepare_when_possible(self._app)
        served = {alias: executor for alias, executor in self._remote.items() if executor.queue in queues}
        host = Host(self._app, served, slots, name, settled)
        host.start(serving.scheduler_of(self._app).scheduler)
        return host


def celery_app(app: Flask) -> Any:
    """The Celery application of this app's executors of type celery. Raises SettingsError when it has none."""
    executors = serving.scheduler_of(app).executors()
    remote = {alias: executor for alias, executor in executors.items() if isinstance(executor, CeleryExecutor)}
    if not remote:
        raise SettingsError(
            "SCHEDULER_EXECUTORS names no executor of type celery, "
            'such as {"farm": {"type": "celery", "broker_url": "redis://host:6379/0"}}'
        )
    brokers = {executor.broker_url for executor in remote.values()}
    if len(brokers) > 1:
        raise SettingsError(f"SCHEDULER_EXECUTORS: {', '.join(remote)} name different brokers; a worker serves one")
    first = next(iter(remote.values()))
    queues = list(dict.fromkeys(executor.queue for executor in remote.values()))
    celery = broker.make(first.broker_url, queues, first.transport_options, receives=True)
    celery.carillon = Working(app, remote)
    return celery
