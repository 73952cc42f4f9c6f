"""SCHEDULER_JOBSTORES: the guide's dict form, checked before anything starts."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from webapp import create_app, jobstore_settings
from webapp.settings import Settings, SettingsError, load
from webapp.store import jobstores


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CARILLON_INSTANCE_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["SCHEDULER_JOBSTORES", "CARILLON_JOBSTORES"])
def test_the_guide_s_form_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    table = {
        "persistent": {"type": "sqlalchemy", "url": "postgresql://user:secret@db/scheduler", "tablename": "jobs"},
        "cache": {"class": "apscheduler.jobstores.redis:RedisJobStore", "host": "localhost", "db": 2},
        "quick": {"type": "memory"},
        "documents": {"type": "mongodb", "host": "mongodb://me:secret@db", "collection": "jobs"},
    }
    monkeypatch.setenv(name, json.dumps(table))
    settings = load()
    assert settings.jobstore_names == ("default", "cache", "documents", "persistent", "quick")
    assert settings.jobstores["cache"] == {"type": "redis", "host": "localhost", "db": 2}
    assert settings.jobstores["persistent"]["url"] == "postgresql+psycopg://user:secret@db/scheduler"
    places = {
        alias: jobstores.place(options["type"], {name: value for name, value in options.items() if name != "type"})
        for alias, options in settings.jobstores.items()
    }
    assert places["persistent"] == "postgresql+psycopg://user:***@db/scheduler, table jobs"
    assert places["cache"] == "localhost:6379, database 2"
    assert places["documents"] == "db, apscheduler.jobs"
    assert "secret" not in str(places)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"default": {"type": "memory"}}, "default is the catalogue itself"),
        ({"a b": {"type": "memory"}}, "letters, digits"),
        ({"x": {"type": "zookeeper"}}, "x: type is one of memory, sqlalchemy, redis, mongodb"),
        ({"x": {"class": "os:system"}}, "x: type is one of"),
        ({"x": {"type": "sqlalchemy"}}, "x: url is no database URL"),
        ({"x": {"type": "redis"}, "y": {"type": "redis"}}, "are the same place"),
    ],
)
def test_a_store_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, table: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("SCHEDULER_JOBSTORES", json.dumps(table))
    with pytest.raises(SettingsError, match="JOBSTORES") as caught:
        load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_whose_extra_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobstore_settings, "find_spec", lambda name: None if name == "redis" else util.find_spec(name))
    monkeypatch.setenv("SCHEDULER_JOBSTORES", '{"cache": {"type": "redis"}}')
    with pytest.raises(SettingsError, match=r"pip install 'carillon\[redis\]'"):
        load()


def test_memory_is_refused_with_the_reason_when_several_processes_may_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_JOBSTORES", '{"quick": {"type": "memory"}}')
    monkeypatch.setenv("CARILLON_WORKERS", "4")
    with pytest.raises(SettingsError, match=r"quick is of type memory, which needs CARILLON_WORKERS=1: when another"):
        load()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"type": "sqlalchemy", "url": "nosuchdb://x"}, "nosuchdb"),
        ({"type": "sqlalchemy", "url": "sqlite://", "nonsense": 1}, "nonsense"),
        ({"type": "redis", "decode_responses": True}, "decode_responses"),
        ({"type": "memory", "size": 5}, "size"),
    ],
)
def test_options_that_are_none_end_the_start_in_one_line(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    settings = Settings(instance_path=tmp_path, jobstores={"side": options}, _env_file=None)
    with pytest.raises(SettingsError, match=r"SCHEDULER_JOBSTORES: side: ") as caught:
        create_app(settings)
    assert said in str(caught.value)
