"""One typed ``Settings``: the only reader of the environment.

Every field's description is its line in the README's table; a test fails when one is missing there.
"""

from __future__ import annotations

import os
import secrets
import sys
from functools import cached_property
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from cryptography.fernet import Fernet
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from webapp import jobstore_settings

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """A setting that cannot be used; the text is one line for the person who starts the server."""


def _guide(name: str) -> AliasChoices:
    """Both spellings of a setting that the APScheduler guide also names: CARILLON_X and SCHEDULER_X."""
    return AliasChoices(f"carillon_{name}", f"scheduler_{name}")


class Settings(BaseSettings):
    """Everything that can be set from outside, read once when the app is made."""

    model_config = SettingsConfigDict(env_prefix="CARILLON_", env_file=".env", extra="ignore", populate_by_name=True)

    # Where
    instance_path: Path = Field(PROJECT_ROOT / "instance", description="Folder for the embedded database and keys.")
    database_url: str = Field("", description="SQLAlchemy URL of the database. Empty: SQLite in the instance folder.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Server processes; one leads the schedule, all serve pages.")
    threads: int = Field(8, ge=2, le=128, description="Request threads in each server process.")

    # Who
    admin_user: str = Field("", description="Name of the first admin, created at start when there is no user yet.")
    admin_password: SecretStr = Field(
        SecretStr(""), description="Password of that first admin (at least 8 characters)."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Key that signs sessions. Empty: made once and kept in the instance folder.",
    )
    secret_keys: Annotated[list[SecretStr], NoDecode] = Field(
        [],
        description="Fernet keys of stored secrets, comma-separated, the newest first. Empty: made once and kept in "
        "the instance folder.",
    )
    session_hours: int = Field(336, ge=1, le=8760, description="Hours after which an idle browser session ends.")
    login_rate: str = Field("10 per minute", description="Logins allowed for one address and one account.")
    rate_limit_storage: str = Field(
        "memory://", description="Where counts of rate limits are kept (Flask-Limiter storage URI)."
    )
    trusted_hosts: Annotated[list[str], NoDecode] = Field(
        [], description="Host names that may be asked for, comma-separated. Empty: any."
    )
    proxy_hops: int = Field(
        0, ge=0, le=5, description="Reverse proxies in front whose X-Forwarded headers are believed."
    )
    oidc_issuer: str = Field(
        "", description="OpenID Connect provider to log in at (needs the extra oidc). Empty: none."
    )
    oidc_client_id: str = Field("", description="This installation's name at that provider.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Its secret at that provider.")
    oidc_claim: str = Field("preferred_username", description="The claim that holds the name of the account here.")
    proxy_user_header: str = Field(
        "", description="Header in which a proxy says who is logged in, such as X-Remote-User. Empty: none."
    )
    proxy_user_addresses: Annotated[list[str], NoDecode] = Field(
        [], description="Addresses or networks of that proxy, comma-separated; from any other the header is ignored."
    )
    secure_cookies: bool = Field(False, description="Send cookies over HTTPS only. Set it behind an HTTPS proxy.")

    # What may run
    task_modules: Annotated[list[str], NoDecode] = Field(
        [], description="Python modules with tasks to import, comma-separated."
    )
    shell_enabled: bool = Field(False, description="Allow the task shell.run.")
    sql_databases: dict[str, str] = Field(
        {}, description="Databases for the task sql.execute, as JSON: name to SQLAlchemy URL."
    )

    # How the scheduler works
    scheduler: Literal["auto", "off"] = Field(
        "auto", description="auto: this server may lead the schedule. off: it serves pages only."
    )
    timezone: str = Field(
        "UTC",
        validation_alias=_guide("timezone"),
        description="Time zone that new jobs start with (IANA name).",
    )
    executors: dict[str, dict[str, Any]] = Field(
        {},
        validation_alias=_guide("executors"),
        description="Executors as JSON, in Flask-APScheduler's form: "
        '{"default": {"type": "threadpool", "max_workers": 20}}.',
    )
    jobstores: dict[str, dict[str, Any]] = Field(
        {},
        validation_alias=_guide("jobstores"),
        description="Job stores beside the catalogue as JSON, in Flask-APScheduler's form: "
        '{"cache": {"type": "redis", "host": "localhost"}}.',
    )
    jobs: list[dict[str, Any]] = Field(
        [],
        validation_alias=_guide("jobs"),
        description="Jobs to have as JSON, in Flask-APScheduler's form: "
        '[{"id": "tick", "func": "demo.echo", "trigger": "interval", "seconds": 10}].',
    )
    max_workers: int = Field(
        20,
        ge=1,
        le=1000,
        validation_alias=_guide("max_workers"),
        description="Threads of the default executor.",
    )
    coalesce: bool = Field(
        True,
        validation_alias=_guide("coalesce"),
        description="New jobs fold several missed due times into one run.",
    )
    max_instances: int = Field(
        1,
        ge=1,
        le=1000,
        validation_alias=_guide("max_instances"),
        description="Runs of one new job that may go on together.",
    )
    misfire_grace_time: int = Field(
        3600,
        ge=1,
        validation_alias=_guide("misfire_grace_time"),
        description="Seconds that a recurring new job may start late; later it is recorded as missed.",
    )
    group_limits: dict[str, int] = Field(
        {}, description='How many runs of a group of jobs may go on together, as JSON: {"warehouse": 2}.'
    )
    memory_fallback: bool = Field(
        False,
        description="Run jobs that the code declares from memory while the database is away (one server process only).",
    )
    stop_wait_s: int = Field(30, ge=0, le=3600, description="Seconds that a stopping server waits for running runs.")
    api_prefix: str = Field("/scheduler", validation_alias=_guide("api_prefix"), description="Path of the JSON API.")

    # What it says
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    client_silence_s: int = Field(
        10, ge=1, le=600, description="Seconds that a client may be silent in the middle of a request."
    )
    max_request_bytes: int = Field(1_048_576, ge=1024, description="Largest request body that is read, in bytes.")

    @field_validator("task_modules", "trusted_hosts", "secret_keys", "proxy_user_addresses", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("secret_keys")
    @classmethod
    def _fernet(cls, value: list[SecretStr]) -> list[SecretStr]:
        for key in value:
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                raise ValueError("each key must be 32 bytes as URL-safe base64 (flask secrets key makes one)") from None
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Berlin")
        return value

    @field_validator("database_url")
    @classmethod
    def _readable_url(cls, value: str) -> str:
        if value:
            try:
                make_url(value)
            except ArgumentError:
                raise ValueError("is not a database URL such as postgresql+psycopg://user@host/name") from None
        return value

    @field_validator("jobstores")
    @classmethod
    def _known_stores(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return jobstore_settings.checked(value)

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value()) < 8:
            raise ValueError("needs at least 8 characters")
        return value

    @field_validator("proxy_user_addresses")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for each in value:
            ip_network(each, strict=False)
        return value

    @model_validator(mode="after")
    def _whole_logins(self) -> Settings:
        if self.proxy_user_header and not self.proxy_user_addresses:
            raise ValueError("CARILLON_PROXY_USER_HEADER needs CARILLON_PROXY_USER_ADDRESSES: anybody sends headers")
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("CARILLON_OIDC_ISSUER needs CARILLON_OIDC_CLIENT_ID")
        if self.oidc_issuer and find_spec("joserfc") is None:
            raise ValueError("CARILLON_OIDC_ISSUER needs the extra oidc: pip install 'carillon[oidc]'")
        return self

    @model_validator(mode="after")
    def _one_process_for_memory(self) -> Settings:
        if self.memory_fallback and self.workers > 1:
            raise ValueError("CARILLON_MEMORY_FALLBACK needs CARILLON_WORKERS=1: only a database keeps two apart")
        in_memory = next((alias for alias, each in self.jobstores.items() if each["type"] == "memory"), None)
        if in_memory is not None and self.workers > 1:
            raise ValueError(
                f"SCHEDULER_JOBSTORES: {in_memory} is of type memory, which needs CARILLON_WORKERS=1: "
                "when another process leads, it does not know the jobs in the memory of this one"
            )
        return self

    @field_validator("api_prefix")
    @classmethod
    def _rooted(cls, value: str) -> str:
        if not value.startswith("/") or value == "/":
            raise ValueError("must be a path such as /scheduler")
        return value.rstrip("/")

    @cached_property
    def database(self) -> str:
        """The SQLAlchemy URL in use. Bare ``postgresql://`` and ``mysql://`` mean the drivers of Carillon's extras."""
        if not self.database_url:
            return f"sqlite:///{self.instance_path.resolve() / 'carillon.sqlite'}"
        return jobstore_settings.with_driver(self.database_url)

    @cached_property
    def signing_key(self) -> str:
        """The session key: the setting, or one made at the first start and kept with mode 0600."""
        given = self.secret_key.get_secret_value()
        if given:
            return given
        return _kept_key(self.instance_path / "secret_key", secrets.token_hex(32))

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def jobstore_names(self) -> tuple[str, ...]:
        """The aliases of the job stores; ``default`` is the catalogue itself."""
        return ("default", *sorted(self.jobstores))

    def job_defaults(self) -> dict[str, Any]:
        """What APScheduler takes where plain code is silent: the same as everybody else."""
        names = ("coalesce", "max_instances", "misfire_grace_time")
        return {name: getattr(self, name) for name in names}

    def executor_table(self) -> dict[str, dict[str, Any]]:
        """Executor alias -> options, always with a ``default``; a fresh copy, since schedulers take them apart."""
        table = {alias: dict(options) for alias, options in self.executors.items()}
        table.setdefault("default", {"type": "threadpool", "max_workers": self.max_workers})
        return table


def kept_secret_keys(path: Path) -> list[str]:
    """The keys of stored secrets, newest first: from the file at ``path``, made if it is not there."""
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return _kept_key(path, Fernet.generate_key().decode()).split()
    except OSError as error:
        raise SettingsError(f"CARILLON_INSTANCE_PATH: cannot read {path}: {error.strerror}") from error


def write_secret_keys(path: Path, keys: list[str]) -> None:
    """Replace the file of keys, whole or not at all, readable for this account only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(draft, "x", opener=_private_opener) as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _kept_key(path: Path, fresh: str) -> str:
    """Read the key at ``path``, or let it be ``fresh``. Two processes that race both end with the same one."""
    try:
        with open(path, "x", opener=_private_opener) as file:
            file.write(fresh)
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(f"CARILLON_INSTANCE_PATH: cannot write to {path.parent}: {error.strerror}") from error
    return path.read_text().strip()


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def load(**overrides: Any) -> Settings:
    """Read the environment and check it.

    Raises SettingsError with one line that names each bad setting; makes the instance folder if it is missing.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("; ".join(_line(item) for item in error.errors())) from None
    except Exception as error:  # pydantic-settings raises its own kind for JSON that cannot be read
        raise SettingsError(str(error)) from None
    try:
        settings.instance_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"CARILLON_INSTANCE_PATH: cannot make {settings.instance_path}: {error.strerror}"
        ) from error
    if not os.access(settings.instance_path, os.W_OK | os.X_OK):
        raise SettingsError(f"CARILLON_INSTANCE_PATH: {settings.instance_path} cannot be written to")
    return settings


def _line(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else "settings"
    name = (
        name.upper() if "_" in name and name.split("_")[0] in ("carillon", "scheduler") else f"CARILLON_{name.upper()}"
    )
    return f"{name}: {item['msg'].removeprefix('Value error, ')}"


def fail(message: str) -> NoReturn:
    """End the process with one clear line and a non-zero code."""
    print(f"carillon: {message}", file=sys.stderr)  # noqa: T201
    raise SystemExit(2)
