"""Settings: read once, checked, said in one line when they are wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webapp.settings import PROJECT_ROOT, Settings, SettingsError, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's own, no .env file."""
    for name in Settings.model_fields:
        for prefix in ("CARILLON", "SCHEDULER"):
            monkeypatch.delenv(f"{prefix}_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CARILLON_INSTANCE_PATH", str(tmp_path / "instance"))


def environment_names() -> dict[str, str]:
    """Each setting's name in the environment, with its description."""
    return {f"CARILLON_{name.upper()}": field.description or "" for name, field in Settings.model_fields.items()}


def test_every_setting_stands_in_the_readme_with_its_description() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    for name, description in environment_names().items():
        assert f"| `{name}` |" in readme, f"{name} is missing in README's table of settings"
        assert description, name
        assert description in readme, f"README describes {name} differently"


def test_the_readme_names_no_setting_that_is_not_there() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    known = set(environment_names()) | {"CARILLON_REQUIRE_SERVICES", "CARILLON_CHROMIUM"}
    assert set(re.findall(r"CARILLON_[A-Z_]+[A-Z]", readme)) <= known


def test_the_guides_names_are_understood_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("SCHEDULER_MAX_WORKERS", "3")
    monkeypatch.setenv("SCHEDULER_MISFIRE_GRACE_TIME", "60")
    settings = load()
    assert (settings.timezone, settings.max_workers, settings.misfire_grace_time) == ("Europe/Berlin", 3, 60)
    assert settings.executor_table() == {"default": {"type": "threadpool", "max_workers": 3}}


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_TASK_MODULES", "reports, backups.nightly ,")
    assert load().task_modules == ["reports", "backups.nightly"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CARILLON_PORT", "http", "CARILLON_PORT: "),
        ("CARILLON_TIMEZONE", "Mars/Olympus", "CARILLON_TIMEZONE: 'Mars/Olympus' is not an IANA time zone"),
        ("CARILLON_DATABASE_URL", "nonsense", "CARILLON_DATABASE_URL: is not a database URL"),
        ("CARILLON_ADMIN_PASSWORD", "short", "CARILLON_ADMIN_PASSWORD: needs at least 8 characters"),
        ("CARILLON_API_PREFIX", "scheduler", "CARILLON_API_PREFIX: must be a path"),
        ("CARILLON_EXECUTORS", "{not json", "executors"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_instance_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CARILLON_INSTANCE_PATH", str(tmp_path / "file" / "instance"))
    with pytest.raises(SettingsError, match="CARILLON_INSTANCE_PATH: cannot make"):
        load()


def test_the_session_key_is_made_once_and_private() -> None:
    first, second = load(), load()
    assert first.signing_key == second.signing_key
    assert len(first.signing_key) == 64
    assert (first.instance_path / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://me@db/x", "postgresql+psycopg://me@db/x"),
        ("postgres://me:pw@db/x", "postgresql+psycopg://me:pw@db/x"),
        ("mysql://me@db/x", "mysql+pymysql://me@db/x"),
    ],
)
def test_bare_database_urls_mean_the_drivers_that_are_installed(given: str, used: str) -> None:
    assert load(database_url=given).database == used
