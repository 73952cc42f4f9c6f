"""What may be said of an executor of type celery, and what a start without it answers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from webapp import celery_worker, create_app
from webapp.engine import broker
from webapp.engine.executors import CeleryExecutor
from webapp.settings import Settings, SettingsError

REDIS = "redis://127.0.0.1:1/0"


def app_with(folder: Path, **executors: dict[str, Any]) -> Any:
    return create_app(Settings(instance_path=folder, executors=executors, _env_file=None))


@pytest.mark.parametrize("url", [None, "", 5, "redis", "sqs://", "filesystem:///tmp", "http://127.0.0.1"])
def test_a_broker_that_is_neither_redis_nor_rabbitmq_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match="URL of a Redis or RabbitMQ broker"):
        CeleryExecutor(broker_url=url)


@pytest.mark.parametrize(
    "url", [REDIS, "rediss://:pw@host:6380/1", "amqp://guest@host//", "sentinel://a:1;sentinel://b:2"]
)
def test_a_broker_is_named_by_its_url(url: str) -> None:
    assert CeleryExecutor(broker_url=url).broker_url == url


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue": ""}, "queue must be a name"),
        ({"queue": "a\nb"}, "queue must be a name"),
        ({"inner": "celery"}, "inner must be one of processpool, threadpool, asyncio"),
        ({"max_workers": 0}, "max_workers must be a whole number"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CeleryExecutor(broker_url=REDIS, **options)


def test_bad_options_end_the_start_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^SCHEDULER_EXECUTORS: broker_url must be .*$"):
        app_with(tmp_path, farm={"type": "celery"})
    with pytest.raises(SettingsError, match="unexpected keyword argument 'speed'"):
        app_with(tmp_path, farm={"type": "celery", "broker_url": REDIS, "speed": 9})


@pytest.mark.parametrize("missing", ["celery", "redis"])
def test_a_missing_extra_is_refused_with_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "find_spec", lambda name: None if name == missing else importlib.util.find_spec(name))
    with pytest.raises(SettingsError, match=rf"package {missing} is not installed: pip install 'carillon\[celery\]'"):
        app_with(tmp_path, farm={"type": "celery", "broker_url": REDIS})


def test_without_such_an_executor_there_is_no_celery_app(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="names no executor of type celery"):
        celery_worker.celery_app(app_with(tmp_path))


def test_one_worker_serves_one_broker(tmp_path: Path) -> None:
    app = app_with(
        tmp_path,
        farm={"type": "celery", "broker_url": REDIS},
        barn={"type": "celery", "broker_url": "amqp://guest@host//"},
    )
    with pytest.raises(SettingsError, match="farm, barn name different brokers"):
        celery_worker.celery_app(app)


def test_the_celery_app_takes_nothing_but_runs_and_never_pickles(tmp_path: Path) -> None:
    app = app_with(
        tmp_path,
        farm={"type": "celery", "broker_url": REDIS},
        barn={"type": "celery", "broker_url": REDIS, "queue": "barn"},
    )
    celery = celery_worker.celery_app(app)
    assert [name for name in celery.tasks if not name.startswith("celery.")] == [broker.TASK]
    assert set(celery.conf.task_queues) == {"carillon", "barn"}
    assert (celery.conf.accept_content, celery.conf.task_serializer) == (["json"], "json")
    assert celery.conf.task_acks_late
