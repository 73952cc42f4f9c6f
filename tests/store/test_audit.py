"""The audit is one chain: whoever changes, removes or cuts off entries is noticed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update

from tests.conftest import NOW
from webapp.domain import chain
from webapp.domain.errors import Conflict, Invalid, NotFound
from webapp.domain.states import Role
from webapp.extensions import db
from webapp.services import audit, audit_check
from webapp.services.actors import Actor
from webapp.services.audit_check import Mark
from webapp.store import audit as store
from webapp.store import installation
from webapp.store.database import writing
from webapp.store.filters import AuditFilter
from webapp.store.models import AuditEntry, Installation

pytestmark = pytest.mark.only_on("sqlite")
everywhere = pytest.mark.only_on("sqlite", "postgresql", "mariadb")
"""What stands on the databases' own ways; the rest is the same arithmetic on each."""

ANNA = Actor("anna", Role.ADMIN, "web", "192.0.2.7", 1)


@pytest.fixture
def entries(app: Flask) -> Callable[[int], None]:
    """Write some entries, each in a transaction of its own."""

    def write(number: int) -> None:
        for n in range(1, number + 1):
            with writing():
                audit.record(
                    "job.edited", "job", f"job-{n}", actor=ANNA, now=NOW + timedelta(seconds=n),
                    before={"name": "ä", "n": n, "x": 0.1}, after={"name": "🔔", "n": n + 1, "deep": {"a": [1, None]}},
                )  # fmt: skip

    return write


def every() -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def tamper(statement: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(statement)
    db.session.rollback()
    db.session.expire_all()


@everywhere
def test_entries_are_numbered_from_one_and_each_covers_the_one_before(entries: Any) -> None:
    entries(3)
    rows = every()
    assert [row.id for row in rows] == [1, 2, 3]
    last = chain.GENESIS
    for row in rows:
        assert row.hash == chain.link(last, store.content(row))
        last = row.hash
    verdict = audit_check.check()
    assert (verdict.is_whole, verdict.end) == (True, Mark(3, last))
    assert str(audit_check.head()) == f"3:{last}"


def test_an_empty_audit_is_whole(app: Flask) -> None:
    assert audit_check.check().is_whole
    assert audit_check.head() is None


@everywhere
def test_a_change_that_fails_leaves_no_entry_and_no_gap(entries: Any) -> None:
    entries(1)
    with suppress(ZeroDivisionError), writing():
        audit.record("job.edited", "job", "x", actor=ANNA, now=NOW)
        1 / 0  # noqa: B018
    entries(1)
    assert [row.object_id for row in every()] == ["job-1", "job-1"]
    assert audit_check.check().is_whole


def test_several_entries_of_one_change_are_chained_too(app: Flask) -> None:
    with writing():
        for n in range(3):
            audit.record("job.edited", "job", n, actor=ANNA, now=NOW)
    assert [row.object_id for row in every()] == ["0", "1", "2"]
    assert audit_check.check().is_whole


@everywhere
def test_many_writers_at_once_make_one_chain(app: Flask) -> None:
    together = threading.Barrier(6)

    def work(number: int) -> None:
        with app.app_context():
            together.wait()
            for n in range(5):
                with writing():
                    audit.record("job.edited", "job", f"{number}-{n}", actor=ANNA, now=NOW)
            db.session.remove()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    verdict = audit_check.check()
    assert (verdict.problem, verdict.end.count) == ("", 30)
    assert len({row.object_id for row in every()}) == 30


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "mallory"}, {"action": "job.created"}, {"object_id": "job-3"}, {"at": NOW}, {"via": "api"},
        {"address": None}, {"before": {"name": "ä", "n": 2, "x": 0.2}}, {"after": None}, {"hash": "0" * 64},
    ],
    ids=lambda values: next(iter(values)),
)  # fmt: skip
def test_a_changed_entry_is_found(entries: Any, values: dict[str, Any]) -> None:
    entries(4)
    tamper(update(AuditEntry).where(AuditEntry.id == 2).values(**values))
    assert audit_check.check().broken == 2


@everywhere
def test_an_entry_changed_together_with_its_hash_breaks_the_next(entries: Any) -> None:
    entries(4)
    first, second = every()[:2]
    second.actor = "mallory"
    new = chain.link(first.hash, store.content(second))
    db.session.rollback()
    tamper(update(AuditEntry).where(AuditEntry.id == 2).values(actor="mallory", hash=new))
    verdict = audit_check.check()
    assert verdict.broken == 3
    assert "or the entry before it" in verdict.problem


@pytest.mark.parametrize(("gone", "told"), [({1}, "Entry 1 is"), ({2, 3}, "The entries 2 to 3 are")])
def test_what_is_removed_from_the_middle_is_missed(entries: Any, gone: set[int], told: str) -> None:
    entries(5)
    tamper(delete(AuditEntry).where(AuditEntry.id.in_(gone)))
    verdict = audit_check.check()
    assert (verdict.broken, verdict.problem) == (min(gone), f"{told} missing.")


@everywhere
def test_what_is_cut_off_the_end_is_missed(entries: Any) -> None:
    entries(5)
    tamper(delete(AuditEntry).where(AuditEntry.id > 3))
    verdict = audit_check.check()
    assert (verdict.broken, verdict.problem) == (4, "The entries 4 to 5 are missing.")
    entries(1)  # and stay missing when the audit goes on
    assert audit_check.check().broken == 4


def test_an_end_that_was_written_anew_lacks_our_seal(entries: Any) -> None:
    entries(5)
    rows = every()
    with writing() as session:
        value = {"count": 3, "hash": rows[2].hash, "seal": chain.seal("guessed", 3, rows[2].hash)}
        installation.write(session, store.ROW, value, NOW)
    tamper(delete(AuditEntry).where(AuditEntry.id > 3))
    assert "not sealed" in audit_check.check().problem
    entries(1)  # the next entry does not heal it: one that tells of it comes first
    assert [row.action for row in every()][-2:] == [store.RESEALED, "job.edited"]
    verdict = audit_check.check()
    assert verdict.broken == 4
    assert "flask audit accept 4" in verdict.problem


@pytest.mark.parametrize("value", [None, "nonsense", {"count": "x"}])
def test_an_end_that_is_gone_or_unreadable_is_noticed(entries: Any, value: Any) -> None:
    entries(2)
    if value is None:
        tamper(delete(Installation).where(Installation.name == store.ROW))
    else:
        with writing() as session:
            installation.write(session, store.ROW, value, NOW)
    assert not audit_check.check().is_whole
    entries(1)
    assert not audit_check.check().is_whole


def test_entries_added_past_us_are_found_and_stop_nobody(entries: Any) -> None:
    entries(2)
    row = every()[1]
    forged = AuditEntry(
        id=3, at=NOW, actor="eve", via="web", action="job.edited", object_type="job", object_id="x", hash=""
    )
    forged.hash = chain.link(row.hash, store.content(forged))
    with writing() as session:
        session.add(forged)
    assert audit_check.check().broken == 3
    entries(1)
    assert [row.action for row in every()][-2:] == [store.RESEALED, "job.edited"]
    assert not audit_check.check().is_whole


def test_a_break_of_the_seal_that_is_known_can_be_accepted(entries: Any) -> None:
    entries(1)
    tamper(delete(Installation).where(Installation.name == store.ROW))
    entries(1)
    assert audit_check.check().broken == 2
    with pytest.raises(Conflict):
        audit_check.accept(1, actor=ANNA, now=NOW)
    audit_check.accept(2, actor=ANNA, now=NOW)
    assert audit_check.check().is_whole


def test_a_database_set_back_with_its_seal_is_noticed_by_who_saw_more(entries: Any, tmp_path: Path) -> None:
    entries(3)
    earlier = db.session.execute(select(Installation.value).where(Installation.name == store.ROW)).scalar_one()
    entries(2)
    audit_check.keep_mark(tmp_path, audit_check.check().end)
    tamper(delete(AuditEntry).where(AuditEntry.id > 3))
    tamper(update(Installation).where(Installation.name == store.ROW).values(value=earlier))
    assert audit_check.check().is_whole, "or the mark would not be needed"
    kept = audit_check.kept_mark(tmp_path)
    assert kept is not None
    verdict = audit_check.check({"This machine": kept})
    assert (verdict.broken, verdict.problem) == (
        4, "This machine knows 5 entries, here are 3: the last ones were cut off.",
    )  # fmt: skip
    with writing():  # as many as before, but others
        for n in range(3):
            audit.record("job.edited", "job", f"other-{n}", actor=ANNA, now=NOW)
    verdict = audit_check.check({"This machine": kept})
    assert (verdict.broken, verdict.is_whole) == (5, False)


def test_the_mark_is_for_this_account_only(tmp_path: Path) -> None:
    audit_check.keep_mark(tmp_path, Mark(1, "a" * 64))
    audit_check.keep_mark(tmp_path, Mark(2, "b" * 64))
    assert audit_check.kept_mark(tmp_path) == Mark(2, "b" * 64)
    assert (tmp_path / audit_check.MARK_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / audit_check.MARK_FILE).write_text("{}")
    with pytest.raises(ValueError, match="cannot be read"):
        audit_check.kept_mark(tmp_path)


def test_pages_go_back_and_forth(entries: Any) -> None:
    entries(7)
    first = audit.page(AuditFilter(), limit=3)
    assert ([row.id for row in first.rows], first.newer) == ([7, 6, 5], None)
    second = audit.page(AuditFilter(), cursor=first.older, limit=3)
    third = audit.page(AuditFilter(), cursor=second.older, limit=3)
    assert ([row.id for row in third.rows], third.older) == ([1], None)
    assert [row.id for row in audit.page(AuditFilter(), cursor=third.newer, limit=3).rows] == [4, 3, 2]
    with pytest.raises(Invalid):
        audit.page(AuditFilter(), cursor="x9")
    with pytest.raises(NotFound):
        audit.get(8)


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"actor": "bert"}, [4]), ({"actor": "nobody"}, []), ({"action": "token.created"}, [4]),
        ({"action": "job"}, [3, 2, 1]),
        ({"action": "jo"}, []), ({"object_id": "job-2"}, [2]), ({"object_type": "token"}, [4]),
        ({"since": (NOW + timedelta(seconds=2)).isoformat(), "until": (NOW + timedelta(seconds=3)).isoformat()}, [2]),
        ({"actor": "anna", "address": "192.0.2.7", "object_id": "job-1"}, [1]),
    ],
)  # fmt: skip
def test_filters_pick_by_who_what_and_when(entries: Any, args: dict[str, str], found: list[int]) -> None:
    entries(3)
    with writing():
        audit.record("token.created", "token", 9, actor=Actor("bert", Role.VIEWER, "api"), now=NOW)
    wanted = AuditFilter.parse(args)
    assert [row.id for row in audit.page(wanted).rows] == found
    assert [row.id for row in audit.every(wanted)] == found
    assert AuditFilter.parse(wanted.to_args()) == wanted


@everywhere
def test_lists_to_choose_from_hold_each_once(entries: Any) -> None:
    entries(3)
    with writing():
        audit.record("token.created", "token", 9, actor=Actor("bert", Role.VIEWER, "api"), now=NOW)
    assert audit.choices() == (["anna", "bert"], ["job.edited", "token.created"])


@everywhere
def test_what_no_database_takes_is_replaced(app: Flask) -> None:
    with writing():
        audit.record("login.failed", "user", "a\x00b\ud800c\nd", actor=Actor("x\x1b", Role.VIEWER, "web"), now=NOW)
    row = every()[0]
    assert (row.object_id, row.actor) == ("a�b�c�d", "x�")
    assert audit_check.check().is_whole


def test_the_command_says_whether_it_is_whole(app: Flask, entries: Any) -> None:
    entries(3)
    runner = app.test_cli_runner()
    good = runner.invoke(args=["audit", "verify"])
    assert (good.exit_code, good.output) == (0, "The audit is whole: 3 entries.\n")
    mark = runner.invoke(args=["audit", "head"]).output.strip()
    assert runner.invoke(args=["audit", "verify", "--mark", mark]).exit_code == 0
    assert runner.invoke(args=["audit", "verify", "--mark", f"3:{'0' * 64}"]).exit_code == 1
    assert runner.invoke(args=["audit", "verify", "--mark", "3"]).exit_code == 2
    assert len(runner.invoke(args=["audit", "export"]).output.splitlines()) == 3
    tamper(text("UPDATE audit_entry SET actor = 'mallory' WHERE id = 2"))
    bad = runner.invoke(args=["audit", "verify"])
    assert bad.exit_code == 1
    assert bad.stderr.startswith("BROKEN at entry 2: Entry 2 was changed")
    assert runner.invoke(args=["audit", "accept", "2"]).exit_code == 1


def test_all_of_a_long_audit_is_read(entries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BATCH", 2)
    monkeypatch.setattr(audit, "EXPORT_BATCH", 2)
    entries(5)
    assert audit_check.check().end.count == 5
    assert [row.id for row in audit.every(AuditFilter())] == [5, 4, 3, 2, 1]
