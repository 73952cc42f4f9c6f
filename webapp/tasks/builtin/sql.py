"""Runs one SQL statement in a database that the settings name."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import CursorResult, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from webapp.tasks import LongText, current_run, registry
from webapp.tasks.arguments import NotStorable, plain_json
from webapp.tasks.output import storable
from webapp.tasks.references import REFERENCE

ROWS_SHOWN = 20
CELL_LIMIT = 1000
"""Characters of one value in the result."""
_BATCH = 500
_PLAIN_QUERY = re.compile(r"\s*select\b(?!.*\binto\b)", re.IGNORECASE | re.DOTALL)
"""What PostgreSQL can give piece by piece, through a cursor of its own; nothing else may ask for one."""


class UnknownDatabase(LookupError):
    """The settings name no such database."""


class StatementFailed(RuntimeError):
    """The database refused the statement, or could not be reached. Nothing was changed."""


def execute(database: str, statement: LongText, parameters: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
    """Run one SQL statement and commit it. Nothing is changed when it fails.

    The result holds the number of rows (returned, or changed) and, of a query, the first 20 of them. The databases
    are named in the setting CARILLON_SQL_DATABASES.

    Args:
        database: Its name in the settings, such as warehouse.
        statement: One statement. Write values as :name and give them below; a colon before a word is written \\:.
            A secret as {{secret:NAME}}, without quotes around it.
        parameters: The values for the :names.
    """
    url = registry.settings.databases.get(database)
    if url is None:
        known = ", ".join(sorted(registry.settings.databases)) or "none"
        raise UnknownDatabase(f"there is no database {database!r} in CARILLON_SQL_DATABASES (it names: {known})")
    try:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection, connection.begin():
            statement, parameters = _statement(statement, parameters)
            options = {"stream_results": True} if _PLAIN_QUERY.match(statement) else {}
            result = connection.execute(text(statement), parameters, execution_options=options)
            outcome = _outcome(result)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        # The message may quote the address, and with it a password.
        raise StatementFailed(f"the address of database {database!r} cannot be used: {type(error).__name__}") from None
    except DBAPIError as error:
        raise StatementFailed(str(error.orig or error).strip()) from error
    except SQLAlchemyError as error:
        raise StatementFailed(str(error).partition("\n")[0]) from error
    rows = "an unknown number of" if outcome["rows"] is None else outcome["rows"]
    current_run().log(f"{database}: {rows} rows {'returned' if outcome['columns'] else 'changed'}")
    return outcome


def _outcome(result: CursorResult[Any]) -> dict[str, Any]:
    """Rows are counted to the end, in batches between which the run may be stopped; then nothing is committed."""
    if not result.returns_rows:
        return {"rows": result.rowcount if result.rowcount >= 0 else None, "columns": [], "first_rows": []}
    run = current_run()
    columns = [storable(str(name)) for name in result.keys()]  # noqa: SIM118  (a result, not a dict)
    shown: list[list[Any]] = []
    count = 0
    for batch in result.partitions(_BATCH):
        run.check_stop()
        count += len(batch)
        shown += [[_cell(value) for value in row] for row in batch[: ROWS_SHOWN - len(shown)]]
    return {"rows": count, "columns": columns, "first_rows": shown}


def _cell(value: Any) -> Any:
    """The value as JSON; what has no JSON form as text, bytes by their number only."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(bytes(value))} bytes>"
    try:
        plain = plain_json(value)
    except NotStorable:
        plain = storable(str(value))
    return plain[:CELL_LIMIT] if isinstance(plain, str) else plain


def _statement(statement: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The statement with a parameter in place of each secret: a value never becomes part of the SQL."""
    more: dict[str, Any] = {}

    def placed(found: re.Match[str]) -> str:
        name = f"carillon_secret_{len(more) + 1}"
        more[name] = current_run().secret(found[1])
        return f":{name}"

    return REFERENCE.sub(placed, statement), {**values, **more}


registry.register(execute, key="sql.execute", title="SQL statement", takes_secrets=True, own_references=["statement"])
