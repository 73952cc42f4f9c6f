"""The task sql.execute, on a real SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from webapp.tasks import Stopped, registry
from webapp.tasks.builtin import sql
from webapp.tasks.testing import recorded_run


@pytest.fixture(autouse=True)
def database(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("create table sale (id integer primary key, item text, price real)")
    connection.executemany("insert into sale (item, price) values (?, ?)", [(f"item {n}", n / 2) for n in range(50)])
    connection.commit()
    connection.close()
    with registry.temporary():
        registry.configure(databases={"shop": f"sqlite:///{path}", "gone": f"sqlite:///{tmp_path}/no/such/file"})
        yield path


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("select count(*) from sale").fetchone()[0])
    finally:
        connection.close()


def test_a_query_returns_the_number_of_rows_and_the_first_twenty() -> None:
    with recorded_run() as run:
        result = sql.execute("shop", "select id, item from sale where id > :least order by id", {"least": 10})
    assert (result["rows"], result["columns"]) == (40, ["id", "item"])
    assert result["first_rows"] == [[n, f"item {n - 1}"] for n in range(11, 31)]
    assert run.lines == ["shop: 40 rows returned"]
    json.dumps(result, allow_nan=False)


def test_a_change_is_committed_and_its_rows_counted(database: Path) -> None:
    with recorded_run() as run:
        result = sql.execute("shop", "delete from sale where price < :least", {"least": 5})
    assert result == {"rows": 10, "columns": [], "first_rows": []}
    assert run.lines == ["shop: 10 rows changed"]
    assert count(database) == 40


def test_values_are_never_part_of_the_statement(database: Path) -> None:
    with recorded_run():
        result = sql.execute("shop", "select * from sale where item = :item", {"item": "x' or '1'='1"})
    assert result["rows"] == 0


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("selec 1", 'near "selec": syntax error'),
        ("select * from no_table", "no such table: no_table"),
        ("select :missing", "A value is required for bind parameter 'missing'"),
        ("delete from sale; delete from sale", "one statement at a time"),
    ],
)
def test_a_refused_statement_fails_with_what_the_database_says(database: Path, statement: str, message: str) -> None:
    with recorded_run(), pytest.raises(sql.StatementFailed, match=message):
        sql.execute("shop", statement)
    assert count(database) == 50


def test_an_unknown_database_names_the_known_ones() -> None:
    with recorded_run(), pytest.raises(sql.UnknownDatabase, match=r"'store'.*names: gone, shop"):
        sql.execute("store", "select 1")


def test_a_database_out_of_reach_is_a_clear_failure() -> None:
    with recorded_run(), pytest.raises(sql.StatementFailed, match="unable to open database file"):
        sql.execute("gone", "select 1")


@pytest.mark.parametrize("url", ["hunter2 is not an address", "nosuchdb://user:hunter2@host/name"])
def test_an_address_that_cannot_be_used_does_not_show_its_password(url: str) -> None:
    registry.configure(databases={"bad": url})
    with recorded_run(), pytest.raises(sql.StatementFailed, match="address of database 'bad' cannot be used") as caught:
        sql.execute("bad", "select 1")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_run_that_should_stop_changes_nothing(database: Path) -> None:
    with recorded_run() as run:
        run.stop = True
        with pytest.raises(Stopped):
            sql.execute("shop", "delete from sale returning id")
    assert count(database) == 50


def test_values_without_a_json_form_are_shown_as_text() -> None:
    row: list[Any] = [
        None,
        True,
        1.5,
        2**70,
        float("inf"),
        b"abc",
        "x" * 2000,
        "nul \x00",
        Decimal("1.10"),
        date(2026, 1, 31),
        datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        {"a": [1]},
    ]
    assert [sql._cell(value) for value in row] == [
        None,
        True,
        1.5,
        str(2**70),
        "inf",
        "<3 bytes>",
        "x" * 1000,
        "nul \ufffd",
        "1.10",
        "2026-01-31",
        "2026-01-31T09:30:00+00:00",
        {"a": [1]},
    ]


@pytest.mark.parametrize(
    ("statement", "is_streamed"),
    [
        ("select * from sale", True),
        ("  SELECT 1", True),
        ("select * into copy from sale", False),
        ("with x as (select 1) delete from sale", False),
        ("update sale set price = 1", False),
        ("selection", False),
    ],
)
def test_only_plain_queries_are_fetched_piece_by_piece(statement: str, is_streamed: bool) -> None:
    assert bool(sql._PLAIN_QUERY.match(statement)) is is_streamed
