"""``flask jobs``: jobs and runs from a terminal, of this installation or, with ``--server``, of another one.

Both ways ask the same API through the same client; only the local one needs no token, because who may start commands
here may read the database anyway.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import click
import httpx
from flask import Flask
from flask.cli import ScriptInfo

from webapp.api import auth
from webapp.api.client import ApiError, Client, as_json
from webapp.api.replies import JobReply, RunRow
from webapp.domain.states import Role, RunState
from webapp.services.actors import Actor
from webapp.settings import Settings

P = ParamSpec("P")


@click.group("jobs")
@click.option(
    "--server", envvar="CARILLON_SERVER", help="Another installation's address, such as https://cron.example."
)
@click.option(
    "--token", envvar="CARILLON_TOKEN", help="For --server. Better in CARILLON_TOKEN: others see command lines."
)
@click.option("--json", "as_text", is_flag=True, help="Print what the API answers instead of a table.")
@click.pass_context
def commands(context: click.Context, server: str | None, token: str | None, as_text: bool) -> None:
    """Jobs and their runs, here or (with --server) elsewhere."""
    context.meta["json"] = as_text
    context.meta["client"] = lambda: _client(context, server, token)


def _client(context: click.Context, server: str | None, token: str | None) -> Client:
    if server is None:
        return local(context.ensure_object(ScriptInfo).load_app())
    if not token:
        raise click.ClickException("Put a token of that server into CARILLON_TOKEN. Its Account page makes them.")
    return Client(server, token.strip())


def local(app: Flask) -> Client:
    """A client of this installation's API that asks in this process, as the person at the terminal."""
    settings: Settings = app.config["CARILLON"]
    actor = Actor(f"{getpass.getuser()} (command line)", Role.ADMIN, "cli")

    def asks(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return app({**environ, auth.LOCAL_ACTOR: actor}, start_response)

    host = settings.trusted_hosts[0].lstrip(".") if settings.trusted_hosts else "localhost"
    return Client(f"http://{host}{settings.api_prefix}", transport=httpx.WSGITransport(app=asks))


def _asking(command: Callable[Concatenate[Client, P], None]) -> Callable[P, None]:
    """Give the command a client, and say in one line what the API refuses."""

    @wraps(command)
    def asked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with click.get_current_context().meta["client"]() as client:
                command(client, *args, **kwargs)
        except ApiError as error:
            raise click.ClickException(_plain(error.message)) from None

    return asked


@commands.command("list")
@click.option("--state", multiple=True, help="active, paused, finished or quarantined; may come several times.")
@click.option("--tag", default="")
@click.option("--task", default="")
@click.option("-q", "words", default="", help="Words in name, id, task or tags.")
@_asking
def show_list(client: Client, state: tuple[str, ...], tag: str, task: str, words: str) -> None:
    """List jobs, next due first."""
    found = client.jobs(state=state, tag=tag, task=task, q=words)
    _print(found, ("ID", "STATE", "NEXT", "TASK", "NAME"), [_job_row(job) for job in found])


@commands.command()
@click.argument("job_id")
@_asking
def show(client: Client, job_id: str) -> None:
    """Print a job as JSON, as "add --file" takes it."""
    _print_json(as_json(client.job(job_id)))


@commands.command()
@click.option(
    "--file", "source", type=click.File("rb"), help='A job as JSON, as docs/api.md describes it; "-": from stdin.'
)
@click.option("--id", "job_id", help="Its id.")
@click.option("--task", help="The task's key.")
@click.option("--crontab", help='Such as "30 2 * * *".')
@click.option("--every", type=click.IntRange(min=1), help="Seconds between two due times.")
@click.option("--at", help="The one due time, ISO 8601.")
@click.option("--timezone", help="IANA name.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument; JSON, or else text.")
@click.option("--replace", is_flag=True, help="Edit the job if there is one of this id.")
@_asking
def add(
    client: Client, source: Any, job_id: str | None, task: str | None, crontab: str | None, every: int | None,
    at: str | None, timezone: str | None, arguments: tuple[str, ...], replace: bool,
) -> None:  # fmt: skip
    """Add a job."""
    job: dict[str, Any] = {} if source is None else _read_object(source)
    schedules = {"crontab": ("cron", crontab), "seconds": ("interval", every), "run_date": ("date", at)}
    given = {key: (kind, value) for key, (kind, value) in schedules.items() if value is not None}
    if len(given) > 1:
        raise click.UsageError("Give one of --crontab, --every and --at.")
    for key, (kind, value) in given.items():
        job |= {"trigger": kind, key: value}
    job |= {key: value for key, value in (("id", job_id), ("func", task), ("timezone", timezone)) if value}
    if arguments:
        job["kwargs"] = {**job.get("kwargs", {}), **_arguments(arguments)}
    if replace:
        job["replace_existing"] = True
    _say(client.add_job(job))


@commands.command()
@click.argument("job_id")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Another argument for this run.")
@click.option("--wait", is_flag=True, help="Print its log until it has ended; the exit code is 0 if it succeeded.")
@_asking
def run(client: Client, job_id: str, arguments: tuple[str, ...], wait: bool) -> None:
    """Run a job now."""
    queued = client.run_job(job_id, _arguments(arguments))
    if not wait:
        return _say(queued, f"Run {queued.run_id} is queued.")
    for line in client.follow(queued.run_id):
        click.echo(_plain(line.text))
    ended = client.wait(queued.run_id)
    _say(ended, f"Run {ended.id} {RunState(ended.state).label}. {ended.error or ended.reason or ''}".rstrip())
    if ended.state != RunState.SUCCEEDED:
        raise click.exceptions.Exit(1)


@commands.command()
@click.argument("job_id")
@click.option("--until", help="ISO 8601; without an offset in the job's time zone.")
@_asking
def pause(client: Client, job_id: str, until: str | None) -> None:
    """Take a job out of the schedule."""
    _say(client.pause_job(job_id, until))


@commands.command()
@click.argument("job_id")
@_asking
def resume(client: Client, job_id: str) -> None:
    """Put a job back on its grid."""
    _say(client.resume_job(job_id))


@commands.command()
@click.argument("job_id")
@click.confirmation_option(prompt="Delete this job? Its runs stay")
@_asking
def remove(client: Client, job_id: str) -> None:
    """Delete a job."""
    client.delete_job(job_id)
    click.echo(f"{_plain(job_id)} is deleted.")


@commands.command()
@click.argument("job_id", required=False, default="")
@click.option("--state", multiple=True, help="succeeded, failed, missed ...; may come several times.")
@click.option("--since", default="", help="ISO 8601; without an offset UTC.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@_asking
def history(client: Client, job_id: str, state: tuple[str, ...], since: str, limit: int) -> None:
    """List runs, newest first."""
    found = client.runs(job_id=job_id, state=list(state), since=since, limit=limit).runs
    _print(found, ("RUN", "JOB", "STATE", "DUE (UTC)", "TOOK", "NOTE"), [_run_row(run) for run in found])


@commands.command()
@click.argument("run_id", type=click.IntRange(min=1))
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@_asking
def log(client: Client, run_id: int, follow: bool) -> None:
    """Print a run's log."""
    if follow:
        for line in client.follow(run_id):
            click.echo(_plain(line.text))
        return
    line_no, complete = 0, False
    while not complete:
        part = client.log(run_id, from_line=line_no, limit=10_000)
        for line in part.lines:
            click.echo(_plain(line.text))
        line_no, complete = part.next_line, not part.lines


@commands.command()
@click.argument("job_id")
@click.argument("at")
@_asking
def why(client: Client, job_id: str, at: str) -> None:
    """Say why a job ran at a moment (ISO 8601, local in its zone) or did not."""
    found = client.explain(job_id, at)
    if click.get_current_context().meta["json"]:
        return _print_json(as_json(found))
    click.echo(found.verdict.capitalize() + (f" (run {found.run_id})" if found.run_id else ""))
    for number, reason in enumerate(found.reasons, 1):
        click.echo(f"{number}. {_plain(reason.text)}")


@commands.command()
@click.argument("job_id", required=False, default="")
@_asking
def balance(client: Client, job_id: str) -> None:
    """Strike the balance of the last 24 hours; the exit code is 1 if it does not add up."""
    found = client.balance(job_id=job_id)
    parts = [f"{number} {state}" for state, number in found.by_state.items()]
    parts += [f"{found.waiting} waiting"] if found.waiting else []
    _say(found, f"due {found.due} = {' + '.join(parts) or '0'}")
    if not found.adds_up:
        jobs = ", ".join(each.job_id for each in found.mismatches)
        raise click.ClickException(f"It does not add up: {_plain(jobs)}")


# What they print


def _job_row(job: JobReply) -> Sequence[str]:
    due = "" if job.next_run_time is None else job.next_run_time.isoformat(" ", "seconds")
    return (job.id, job.state, due, job.task, job.name)


def _run_row(run: RunRow) -> Sequence[str]:
    took = "" if run.duration_s is None else f"{run.duration_s:.1f} s"
    return (str(run.id), run.job_id, run.state, _utc(run.due_at), took, run.error or run.reason or "")


def _utc(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _say(reply: Any, text: str | None = None) -> None:
    """One line about what was done, or the whole answer when JSON is asked for."""
    if click.get_current_context().meta["json"]:
        return _print_json(as_json(reply))
    if text is None:
        due = f", next due {reply.next_run_time.isoformat(' ', 'seconds')}" if reply.next_run_time else ""
        text = f"{reply.id} is {reply.state}{due}."
    click.echo(_plain(text))


def _print(found: Sequence[Any], heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if click.get_current_context().meta["json"]:
        return _print_json([as_json(each) for each in found])
    shown = [heads, *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(heads) - 1)]
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        click.echo("  ".join(cells).rstrip())


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def _plain(text: str) -> str:
    """Without what could steer the terminal: names, errors and log lines are other people's words."""
    return "".join(each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def _read_object(source: Any) -> dict[str, Any]:
    try:
        value = json.loads(source.read())
    except (ValueError, RecursionError):
        raise click.ClickException("The file does not hold JSON.") from None
    if not isinstance(value, dict):
        raise click.ClickException("The file must hold one JSON object.")
    return value


def _arguments(texts: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{text!r} is not NAME=VALUE.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
