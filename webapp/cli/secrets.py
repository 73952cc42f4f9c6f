"""``flask secrets``: list them, set and delete one, change the key that they are encrypted with."""

from __future__ import annotations

import getpass
import sys

import click
from cryptography.fernet import Fernet
from flask.cli import AppGroup

from webapp import clock
from webapp.domain.errors import CarillonError, NotFound
from webapp.domain.states import Role
from webapp.services import secrets
from webapp.services.actors import Actor

commands = AppGroup("secrets", help="Values that tasks are given by name.")


def _actor() -> Actor:
    return Actor(f"{getpass.getuser()} (command line)", Role.ADMIN, "cli")


@commands.command("list")
def show() -> None:
    """Print the names; values are never shown."""
    for secret in secrets.every():
        click.echo(f"{secret.name}\t{secret.about}".rstrip())


@commands.command("set")
@click.argument("name")
@click.option("--about", help="What it is for.")
def put(name: str, about: str | None) -> None:
    """Store or replace a secret. Its value is asked for, or read from the standard input."""
    value = click.prompt("Value", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().rstrip("\n")
    try:
        try:
            known = secrets.get(name)
        except NotFound:
            secrets.create(name, value, about or "", actor=_actor(), now=clock.now())
        else:
            text = known.about if about is None else about
            secrets.replace(name, value, text, actor=_actor(), now=clock.now())
    except CarillonError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is stored.")


@commands.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Forget a secret; jobs that refer to it fail from now on."""
    try:
        secrets.delete(name, actor=_actor(), now=clock.now())
    except CarillonError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is deleted.")


@commands.command("rotate")
def rotate() -> None:
    """Encrypt every secret anew: with a new key, or with the first of CARILLON_SECRET_KEYS."""
    try:
        number = secrets.rotate(actor=_actor(), now=clock.now())
    except CarillonError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{number} secrets are encrypted anew.")


@commands.command("key", with_appcontext=False)
def key() -> None:
    """Print a new key for CARILLON_SECRET_KEYS."""
    click.echo(Fernet.generate_key().decode())
