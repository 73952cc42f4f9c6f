"""``flask`` commands. They call the same services as pages and API, and only ``scheduler run`` runs jobs."""

from __future__ import annotations

import getpass
from collections import Counter

import click
from flask import Flask, current_app
from flask.cli import AppGroup, ScriptInfo, with_appcontext

from webapp import clock
from webapp.cli import audit, secrets
from webapp.domain.errors import CarillonError
from webapp.domain.states import Role
from webapp.services import setup, table_adoption, users
from webapp.services.actors import Actor
from webapp.settings import SettingsError

user_commands = AppGroup("user", help="People who may log in.")
scheduler_commands = AppGroup("scheduler", help="The scheduler as a process of its own.")


def init_app(app: Flask) -> None:
    """Attach the commands."""
    app.cli.add_command(user_commands)
    app.cli.commands["jobs"].add_command(adopt_jobs)  # type: ignore[attr-defined]  # beside those that the API room has
    app.cli.add_command(scheduler_commands)
    app.cli.add_command(setup_link)
    app.cli.add_command(audit.commands)
    app.cli.add_command(secrets.commands)


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


@click.command("adopt")
@click.option("--url", required=True, help="SQLAlchemy URL of the database that holds the table.")
@click.option("--table", default="apscheduler_jobs", show_default=True, help="The table's name, schema.table too.")
@click.option("--store", "jobstore", default="default", show_default=True, help="The job store that takes the jobs.")
@click.option("--map", "names", multiple=True, metavar="MODULE:FUNCTION=TASK", help="Under another name; repeatable.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@with_appcontext
def adopt_jobs(url: str, table: str, jobstore: str, names: tuple[str, ...], dry_run: bool) -> None:
    """Take over the jobs of a table of APScheduler's SQLAlchemyJobStore.

    The table is only read, and nothing that stands in it is run. A job that was taken before stays as it is here. Stop
    the program that served the table first. The exit code is 1 when a job was left, with the reason beside it.
    """
    parent = click.get_current_context().parent
    if parent is not None and parent.params.get("server"):
        raise click.UsageError("This works in the installation itself only: leave --server out.")
    pairs = [name.partition("=") for name in names]
    if not all(old and new for old, _, new in pairs):
        raise click.BadParameter("Write module:function=task.", param_hint="--map")
    wish = table_adoption.Wish(_actor(), clock.now(), jobstore, {old: new for old, _, new in pairs}, dry_run)
    counts: Counter[str] = Counter()
    try:
        if not current_app.extensions.get("carillon_prepared"):
            current_app.extensions["carillon_prepare"](current_app)
        for each in table_adoption.adopt(url, table, wish):
            counts[each.outcome] += 1
            click.echo(f"{each.outcome:8} {each.job_id}  {each.words}")
    except (CarillonError, SettingsError) as error:
        raise click.ClickException(str(error)) from None
    done = "would be taken" if dry_run else "taken"
    click.echo(f"{counts['taken']} {done}, {counts['already']} taken before, {counts['left']} left.")
    if counts["left"]:
        raise SystemExit(1)


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

    @with_appcontext
    def issue() -> str:
        if not setup.needed():
            raise click.ClickException("There is an admin already.")
        return setup.issue(clock.now())

    click.echo(f"/setup?token={issue()}")
