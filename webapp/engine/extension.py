"""Flask-APScheduler's extension, bound to the factory without starting anything."""

from __future__ import annotations

import copy
import logging
import os
import threading
from datetime import datetime
from typing import Any

from flask import Flask
from flask_apscheduler import APScheduler
from sqlalchemy.exc import SQLAlchemyError

from webapp import scheduling
from webapp.clock import now
from webapp.engine.executors import RunExecutor
from webapp.engine.fallback import MemoryFallback
from webapp.engine.job_store import CatalogueJobStore, function_of
from webapp.engine.mirror import Mirror, Mirrors, nothing_against
from webapp.engine.scheduler import CarillonScheduler
from webapp.services import declared, jobs
from webapp.services.definitions import Definition
from webapp.services.signals import catalogue_changed
from webapp.settings import Settings, SettingsError
from webapp.store import jobstores
from webapp.tasks.declarations import Declarations

log = logging.getLogger(__name__)


class Scheduler(APScheduler):  # type: ignore[misc]  # Flask-APScheduler ships no types
    """Attaches a ``CarillonScheduler`` to an app. Building the app never starts it; the serving process does."""

    def __init__(self) -> None:
        super().__init__(scheduler=CarillonScheduler())
        self._start_lock = threading.Lock()
        self._pid: int | None = None
        self.declarations = Declarations()
        self._read_declarations = self._stored_declarations = False
        self._last_seen: list[Definition] | None = None
        self._look_again = True

    def init_app(self, app: Flask) -> None:
        """Configure from the app's settings. The JSON API is a room of its own, so the library's is not loaded."""
        settings: Settings = app.config["CARILLON"]
        app.config.setdefault("SCHEDULER_EXECUTORS", settings.executor_table())
        app.config.setdefault("SCHEDULER_TIMEZONE", settings.timezone)
        app.config.setdefault("SCHEDULER_JOBS", settings.jobs)
        app.config.setdefault("SCHEDULER_JOB_DEFAULTS", settings.job_defaults())
        app.config["SCHEDULER_API_ENABLED"] = False
        app.config["SCHEDULER_API_PREFIX"] = settings.api_prefix
        self._scheduler.app = app
        self._scheduler.stop_wait_s = float(settings.stop_wait_s)
        self._scheduler.on_round = self._on_round
        if settings.memory_fallback:
            self._scheduler.fallback = MemoryFallback(app, self._declared_definitions, settings.max_workers)
            catalogue_changed.connect(self._on_catalogue_changed)
        try:
            super().init_app(app)
        except (LookupError, TypeError, ValueError) as error:
            raise SettingsError(f"SCHEDULER_EXECUTORS: {error}") from error
        self._scheduler.add_jobstore(CatalogueJobStore(app), "default")
        self._scheduler.mirrors = Mirrors([self._mirror(app, each) for each in sorted(settings.jobstores)])
        app.extensions["carillon_scheduler"] = self

    def _mirror(self, app: Flask, alias: str) -> Mirror:
        """What keeps a job store and the catalogue alike. Raises SettingsError for one that cannot be made."""
        settings: Settings = app.config["CARILLON"]
        options = dict(settings.jobstores[alias])
        kind = options.pop("type")
        face = CatalogueJobStore(app, alias)
        self._scheduler.add_jobstore(face, alias)
        try:
            store = jobstores.build(kind, options, function_of)
        except ModuleNotFoundError as error:
            raise SettingsError(f"SCHEDULER_JOBSTORES: {alias}: the module {error.name} is not installed") from None
        except Exception as error:  # whatever the store's library has against its options
            raise SettingsError(f"SCHEDULER_JOBSTORES: {alias}: {error}") from None
        store.start(self._scheduler, alias)
        refusal = self._scheduler.others_may_lead if kind == "memory" else nothing_against
        place = jobstores.place(kind, options)
        return Mirror(app, alias, kind, place, store, face.outward, self._scheduler.still_leads, refusal)

    def start(self, paused: bool = False) -> None:
        """Start serving due times in this process; a second call does nothing."""
        with self._start_lock:
            if self._pid == os.getpid() and self._scheduler.running:
                return
            self._pid = os.getpid()
            self._read_declarations = self._stored_declarations = False
            self._scheduler.start(paused=paused)

    def shutdown(self, wait: bool = True) -> None:
        with self._start_lock:
            if self._pid == os.getpid() and self._scheduler.running:
                self._scheduler.shutdown(wait)

    def executors(self) -> dict[str, RunExecutor]:
        """The executors by their alias."""
        return dict(self._scheduler._executors)

    @property
    def loop_alive(self) -> bool:
        return bool(self._scheduler.loop_alive)

    def _load_config(self) -> None:
        """The library takes its option dicts apart; give it copies, so that a second app can use the same settings."""
        kept: dict[str, Any] = {}
        for name in ("SCHEDULER_EXECUTORS", "SCHEDULER_JOBSTORES"):
            if name in self.app.config:
                kept[name] = self.app.config[name]
                self.app.config[name] = copy.deepcopy(kept[name])
        super()._load_config()
        self.app.config.update(kept)

    def _load_jobs(self) -> None:
        """Jobs declared in the configuration are stored when the scheduler starts, never while the app is built."""

    # -- jobs declared in code ---------------------------------------------------------------------------------

    @property
    def task(self) -> Any:
        """The decorator that declares a job. APScheduler's own would overwrite what a person has edited or paused."""
        self._read_declarations = self._stored_declarations = False
        return self.declarations.task

    def add_job(self, id: str, func: Any, **kwargs: Any) -> Any:
        """Add a job; before the start this declares it, so that it is there once however often the server starts."""
        if self._scheduler.running:
            return super().add_job(id, func, **kwargs)
        return self.declarations.add_job(id, func, **kwargs)

    def _plan(self) -> declared.Plan:
        """What the settings, the modules and this app's own code declare."""
        entries = self.app.config.get("SCHEDULER_JOBS") or self.app.config.get("JOBS") or []
        return declared.read([*declared.from_settings(entries), *scheduling.scheduler, *self.declarations])

    def _declared_definitions(self) -> list[Definition]:
        """The declared jobs for the time in which nobody can ask the catalogue.

        As the catalogue had them last; as the code has them, where this process has never seen the catalogue.
        """
        if self._last_seen is not None:
            return self._last_seen
        moment = now()
        wanted = [each for each in self._plan().wanted if not each.paused]
        return [jobs.check({**each.said, "id": each.id}, now=moment) for each in wanted]

    def _on_round(self, moment: datetime, leads: bool) -> None:
        """With each round that reaches the database: store declarations, remember declared jobs for an outage."""
        self._store_declarations(moment, leads)
        if leads and self._look_again and self._scheduler.fallback is not None:
            self._look_again = False
            self._last_seen = jobs.declared_definitions()

    def _on_catalogue_changed(self, sender: Any) -> None:
        self._look_again = True

    def fall_back(self) -> None:
        """Run declared jobs from memory until the database answers, if the settings allow it."""
        if self._scheduler.fallback is not None:
            self._scheduler.fallback.begin(now())

    def _store_declarations(self, moment: datetime, leads: bool) -> None:
        """Once in each process, tell what is wrong with the declarations; once, when it leads, store them.

        A database error is raised, so that the next round tries again; nothing else may keep the scheduler from work.
        """
        if self._stored_declarations or (self._read_declarations and not leads):
            return
        self._read_declarations, self._stored_declarations = True, leads
        try:
            plan = self._plan()
            if leads:
                declared.apply(plan, now=moment)
            declared.report(plan)
        except SQLAlchemyError:
            self._read_declarations = self._stored_declarations = False
            raise
        except Exception:
            log.exception("the jobs that the code declares could not be stored")
