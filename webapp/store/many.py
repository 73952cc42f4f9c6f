"""Many values in one statement, in the way that each database likes best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import String, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session


def is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def unnested(parameter: str | None = None, texts: Sequence[str] | None = None) -> Any:
    """On PostgreSQL: a table ``wanted`` whose column ``value`` holds the texts of one array parameter.

    The texts may be given here, or when the statement is executed, under the parameter's name.
    """
    array = bindparam(parameter, texts, type_=ARRAY(String), required=texts is None)
    return func.unnest(array).table_valued("value", name="wanted").render_derived()


def among(session: Session, column: Any, texts: Sequence[str]) -> Any:
    """Whether a column holds one of these texts, however many.

    PostgreSQL gets them as one array: it would read a thousand parameters one by one, and plan for each of them.
    """
    return column.in_(select(unnested(texts=texts).c.value) if is_postgresql(session) else texts)
