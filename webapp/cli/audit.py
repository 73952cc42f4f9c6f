"""``flask audit``: check that the audit is as it was written, say where it ends, write it out."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from webapp import clock
from webapp.domain.errors import CarillonError
from webapp.domain.states import Role
from webapp.services import audit, audit_check
from webapp.services.actors import Actor
from webapp.services.audit_check import Mark
from webapp.settings import Settings
from webapp.store.filters import AuditFilter

commands = AppGroup("audit", help="The record of who changed what.")


def _mark(context: click.Context, parameter: click.Parameter, value: str | None) -> Mark | None:
    try:
        return None if value is None else Mark.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@commands.command("verify")
@click.option("--mark", callback=_mark, help="An end that 'flask audit head' said earlier, kept elsewhere.")
def verify(mark: Mark | None) -> None:
    """Check every entry; the exit code is 1 when one was changed or is missing."""
    folder = _settings().instance_path
    marks: dict[str, Mark] = {} if mark is None else {"The mark": mark}
    try:
        kept = audit_check.kept_mark(folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if kept is not None:
        marks["This machine"] = kept
    verdict = audit_check.check(marks)
    if not verdict.is_whole:
        click.echo(f"BROKEN at entry {verdict.broken}: {verdict.problem}", err=True)
        sys.exit(1)
    audit_check.keep_mark(folder, verdict.end)
    click.echo(f"The audit is whole: {verdict.end.count} entries.")


@commands.command("head")
def head() -> None:
    """Print where the audit ends, as <entries>:<hash>; keep it elsewhere for 'flask audit verify --mark'."""
    found = audit_check.head()
    if found is None:
        raise click.ClickException("The audit is empty.")
    click.echo(str(found))


@commands.command("export")
def export() -> None:
    """Write every entry as a line of JSON, newest first."""
    for entry in audit.every(AuditFilter()):
        click.echo(json.dumps(audit.told(entry), ensure_ascii=False, sort_keys=True))


@commands.command("accept")
@click.argument("entry", type=click.IntRange(1))
def accept(entry: int) -> None:
    """Say that the broken seal told at ENTRY is known, because the key was changed."""
    actor = Actor(f"{getpass.getuser()} (command line)", Role.ADMIN, "cli")
    try:
        audit_check.accept(entry, actor=actor, now=clock.now())
    except CarillonError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Entry {entry} is accepted.")


def _settings() -> Settings:
    found: Any = current_app.config["CARILLON"]
    assert isinstance(found, Settings)
    return found
