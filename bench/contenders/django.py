"""django-apscheduler as its documentation shows it: a Django project of one folder, SQLite, DjangoJobStore."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import django
from apscheduler.jobstores.base import BaseJobStore
from django.conf import settings
from django.core.management import call_command

from bench.contenders.bare import BareScheduler


class DjangoScheduler(BareScheduler):
    """Records runs in the table DjangoJobExecution. Waits 20 s for a locked database, as Django's manual advises."""

    def __init__(self, folder: Path, **options: str) -> None:
        super().__init__(folder)
        settings.configure(
            INSTALLED_APPS=["django_apscheduler"],
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": str(folder / "django.sqlite"),
                    "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
                }
            },
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            USE_TZ=True,
            TIME_ZONE="UTC",
        )
        django.setup()
        call_command("migrate", verbosity=0)

    def job_store(self) -> BaseJobStore:
        from django_apscheduler.jobstores import DjangoJobStore

        return DjangoJobStore()

    def fill(self, store: BaseJobStore, states: list[dict[str, Any]]) -> None:
        from django_apscheduler.models import DjangoJob

        DjangoJob.objects.bulk_create(
            [
                DjangoJob(
                    id=state["id"],
                    next_run_time=state["next_run_time"],
                    job_state=pickle.dumps(state, store.pickle_protocol),
                )
                for state in states
            ],
            batch_size=200,
        )

    def recorded(self) -> int:
        from django_apscheduler.models import DjangoJobExecution

        return DjangoJobExecution.objects.filter(status=DjangoJobExecution.SUCCESS).count()


contender = DjangoScheduler
