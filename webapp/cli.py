"""``flask`` commands. They call the same services as pages and API, and only ``scheduler run`` runs jobs."""

from __future__ import annotations

import getpass

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from webapp import cli_audit, clock
from webapp.domain.errors import CarillonError
from webapp.domain.states import Role
from webapp.services import setup, users
from webapp.services.actors import Actor
from webapp.settings import SettingsError

user_commands = AppGroup("user", help="People who may log in.")
scheduler_commands = AppGroup("scheduler", help="The scheduler as a process of its own.")


def init_app(app: Flask) -> None:
    """Attach the commands."""
    app.cli.add_command(user_commands)
    app.cli.add_command(scheduler_commands)
    app.cli.add_command(setup_link)
    app.cli.add_command(cli_audit.commands)


def _actor() -> Actor:
    return Actor(f"{getpass.getuser()} (command line)", Role.ADMIN, "cli")


@user_commands.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value, show_default=True)
@click.password_option()
def add_user(name: str, role: str, password: str) -> None:
    """Add a person who may log in."""
    try:
        users.create(name, password, Role(role), actor=_actor(), now=clock.now())
    except CarillonError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} may log in as {role}.")


@scheduler_commands.command("run", with_appcontext=False)
@click.pass_context
def run_scheduler(context: click.Context) -> None:
    """Serve due times without pages, until a signal ends it.

    It may lead the schedule like any server, whatever CARILLON_SCHEDULER says.
    """
    app = context.ensure_object(ScriptInfo).load_app()
    try:
        app.extensions["carillon_run_scheduler"](app)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@click.command("setup-link")
def setup_link() -> None:
    """Print a new one-time path that creates the first admin; the earlier one ends."""
    from flask.cli import with_appcontext

    @with_appcontext
    def issue() -> str:
        if not setup.needed():
            raise click.ClickException("There is an admin already.")
        return setup.issue(clock.now())

    click.echo(f"/setup?token={issue()}")
