"""Flask extensions without an app; the factory binds them. Imports nothing of Carillon, so that any room may import it.

The scheduler is not here but in ``webapp.engine``: pages and API must not depend on the room that runs things.
"""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf import CSRFProtect
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base of all tables; names of constraints are fixed so that migrations can speak of them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class _Session(Session):
    """On PostgreSQL a session reads without a transaction, unless its use case says that it writes."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        bind = super().get_bind(*args, **kwargs)
        if not isinstance(bind, Engine) or bind.dialect.name != "postgresql":
            return bind
        readers: dict[Engine, Engine] = current_app.extensions.setdefault("carillon_readers", {})
        if bind not in readers:
            readers[bind] = bind.execution_options(isolation_level="AUTOCOMMIT")
        return readers[bind]


# Rows that a use case returns stay readable after its commit.
db = SQLAlchemy(model_class=Base, session_options={"class_": _Session, "expire_on_commit": False})
migrate = Migrate()
csrf = CSRFProtect()
login = LoginManager()
limiter = Limiter(get_remote_address)
