"""Whether the audit is as it was written: no entry changed, none missing in the middle or at the end.

Three things are compared. The chain of hashes shows what was changed, removed or put in between. Its end stands in a
row of its own, sealed with a key that is not in the database: entries cut off the end are missed there. And each check
keeps the end that it saw in a file of this machine, so that a database set back to an earlier state, seal and all, is
noticed by the next one.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from webapp.domain import chain
from webapp.domain.errors import Conflict
from webapp.domain.states import Role
from webapp.services import audit
from webapp.services.actors import Actor
from webapp.store import audit as store
from webapp.store.database import snapshot, writing
from webapp.store.models import AuditEntry

ACCEPTED = "audit.accepted"
MARK_FILE = "audit_mark.json"


@dataclass(frozen=True)
class Mark:
    """An end of the chain that was seen, or said by somebody: so many entries, the last with this hash."""

    count: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Mark:
        """From ``<count>:<hash>``. Raises ValueError."""
        count, _, digest = text.strip().partition(":")
        if not (count.isascii() and count.isdigit()) or len(digest) != 64:
            raise ValueError(f"{text!r} is not <number of entries>:<hash of the last one>")
        return cls(int(count), digest.lower())

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"


@dataclass(frozen=True)
class Verdict:
    """What a check found. ``broken`` is the number of the first entry that is wrong or missing; None: all is well."""

    end: Mark
    broken: int | None = None
    problem: str = ""

    @property
    def is_whole(self) -> bool:
        return self.broken is None


def check(marks: dict[str, Mark] | None = None) -> Verdict:
    """Read the whole audit and compare it with itself, with its sealed end, and with ``marks`` by where they stood."""
    with snapshot() as connection, Session(connection) as session:
        head = store.read_head(session)
        return _walk(connection, head, marks or {})


def head() -> Mark | None:
    """Where the chain ends, to be kept elsewhere; None while there is no entry."""
    with snapshot() as connection, Session(connection) as session:
        found = store.read_head(session)
    return None if found is None else Mark(found.count, found.hash)


def accept(entry_id: int, *, actor: Actor, now: datetime) -> None:
    """Say that a break of the seal at this entry is known (another key was set). It is told in the audit for ever.

    Raises Conflict when the entry is not a note of such a break.
    """
    actor.require(Role.ADMIN)
    with writing() as session:
        entry = session.get(AuditEntry, entry_id)
        if entry is None or entry.action != store.RESEALED:
            raise Conflict(f"Entry {entry_id} does not tell of a broken seal, so there is nothing to accept.")
        audit.record(ACCEPTED, "audit", "audit", actor=actor, now=now, after={"entry": entry_id})


def _walk(connection: Connection, head: store.Head | None, marks: dict[str, Mark]) -> Verdict:
    last, count = chain.GENESIS, 0
    at_mark: dict[int, str] = {0: chain.GENESIS}
    wanted = {mark.count for mark in marks.values()}
    seals: list[int] = []
    for row in store.walk(connection):
        if row.id != count + 1:
            return _broken(Mark(count, last), count + 1, _missing(count + 1, row.id - 1))
        content = store.content(row)
        if chain.link(last, content) != row.hash:
            return _broken(
                Mark(count, last), row.id, f"Entry {row.id} was changed, or the entry before it was, hash and all."
            )
        count, last = row.id, row.hash
        if count in wanted:
            at_mark[count] = last
        if row.action == store.RESEALED:
            seals.append(row.id)
        elif row.action == ACCEPTED and row.after is not None:
            seals = [entry for entry in seals if entry != row.after.get("entry")]
    end = Mark(count, last)
    return _against_head(end, head) or _against_marks(end, at_mark, marks) or _against_seals(end, seals) or Verdict(end)


def _against_head(end: Mark, head: store.Head | None) -> Verdict | None:
    if head is None:
        text = "The record of where the audit ends is missing: entries may have been cut off."
        return None if end.count == 0 else _broken(end, end.count + 1, text)
    if not head.is_sealed:
        text = (
            "The record of where the audit ends is not sealed with this installation's key: it was changed, or the key."
        )
        return _broken(end, end.count + 1, text)
    if head.count > end.count:
        return _broken(end, end.count + 1, _missing(end.count + 1, head.count))
    if head.count < end.count:
        text = f"Entry {head.count + 1} and what follows it was added past Carillon."
        return _broken(end, head.count + 1, text)
    if head.hash != end.hash:
        return _broken(end, end.count, f"Entry {end.count} is not the one that was written last.")
    return None


def _against_marks(end: Mark, at_mark: dict[int, str], marks: dict[str, Mark]) -> Verdict | None:
    for place, mark in marks.items():
        if mark.count > end.count:
            text = f"{place} knows {mark.count} entries, here are {end.count}: the last ones were cut off."
            return _broken(end, end.count + 1, text)
        if at_mark[mark.count] != mark.hash:
            return _broken(end, mark.count, f"{place} knows another entry {mark.count}: the audit was written anew.")
    return None


def _against_seals(end: Mark, seals: list[int]) -> Verdict | None:
    if not seals:
        return None
    text = (
        f"When entry {seals[0]} was written, the record of where the audit ended was missing or not sealed with this"
        " installation's key: entries before it may have been cut off. Look at it; if only the key was changed,"
        f" flask audit accept {seals[0]} says so."
    )
    return _broken(end, seals[0], text)


def _missing(first: int, last: int) -> str:
    return f"Entry {first} is missing." if first == last else f"The entries {first} to {last} are missing."


def _broken(end: Mark, entry_id: int, problem: str) -> Verdict:
    return Verdict(end, entry_id, problem)


# -- the end that this machine has seen ------------------------------------------------------------------------------


def kept_mark(folder: Path) -> Mark | None:
    """The end that the last good check on this machine saw; None before the first. ValueError if unreadable."""
    try:
        value = json.loads((folder / MARK_FILE).read_text())
    except FileNotFoundError:
        return None
    try:
        return Mark(int(value["count"]), str(value["hash"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / MARK_FILE} cannot be read") from error


def keep_mark(folder: Path, mark: Mark) -> None:
    """Write the end down, readable for this account only; whole or not at all."""
    target, draft = folder / MARK_FILE, folder / f"{MARK_FILE}.{os.getpid()}"
    with suppress(FileNotFoundError):
        draft.unlink()
    with open(draft, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        json.dump({"count": mark.count, "hash": mark.hash}, file)
    os.replace(draft, target)
