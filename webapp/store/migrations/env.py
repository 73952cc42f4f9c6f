"""Alembic's door: migrations run with the app's own tables, over a connection that may take its time."""

from __future__ import annotations

from alembic import context

import webapp.store.models  # noqa: F401 - the tables must be known
from webapp.extensions import db
from webapp.store.database import is_mysql
from webapp.store.upgrade import migration_engine


def run() -> None:
    """Apply migrations over a live connection; there is no offline mode."""
    if context.is_offline_mode():
        raise SystemExit("carillon: migrations need a live database")
    with migration_engine().connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=is_sqlite,
            transactional_ddl=not is_mysql(connection.dialect.name),
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
