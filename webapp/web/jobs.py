"""The list of jobs, one job's page, and what its buttons do."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Invalid
from webapp.domain.states import JobState
from webapp.services import dashboard, declared, job_lists, jobs, runs, status
from webapp.services.schedule_cache import schedule_of
from webapp.store.filters import JobFilter, RunFilter
from webapp.store.models import Job
from webapp.tasks import registry
from webapp.web import charts, htmx
from webapp.web.access import actor, safe_target
from webapp.web.forms.base import put_errors
from webapp.web.forms.run import PauseForm
from webapp.web.lists import BUSY_S, IDLE_S, Address, is_live
from webapp.web.presenters import balance, downtime, times
from webapp.web.presenters import jobs as rows
from webapp.web.presenters import preview as previews
from webapp.web.presenters import runs as run_rows
from webapp.web.viewer import now, settings, zone

PER_PAGE = 50
DUE_TIMES = 8
RUNS = 25
BARS = 60


def index() -> ResponseReturnValue:
    values, status = _list(_list_rev())
    return render_template("jobs/index.html", **values), status


def fragment() -> ResponseReturnValue:
    rev = _list_rev()
    if rev == request.args.get("rev"):
        return htmx.unchanged()
    values, status = _list(rev)
    return render_template("jobs/_list.html", **values), status


def _list_rev() -> str:
    """Differs when any list would. Read before the list, so that what changes meanwhile shows in the next poll."""
    return f"{job_lists.rev()}-{runs.rev()}"


def _list(rev: str) -> tuple[dict[str, Any], int]:
    """What the list shows, and its status: an address that cannot be read shows every job, and says so (400)."""
    problem, status, cursor = "", 200, request.args.get("cursor") or None
    try:
        wanted = JobFilter.parse(request.args)
        page = job_lists.listing(wanted, limit=PER_PAGE, cursor=cursor)
    except Invalid as error:
        wanted, cursor, problem, status = JobFilter(), None, " ".join(error.lines()), 400
        page = job_lists.listing(wanted, limit=PER_PAGE)
    shown = rows.rows(page.rows, now(), zone())
    return {
        "rows": shown,
        "page": page,
        "filter": wanted,
        "problem": problem,
        "is_filtered": wanted != JobFilter(sort=wanted.sort),
        "states": list(JobState),
        "tags": job_lists.tags(),
        "task_keys": [task.key for task in registry.all()],
        "jobstores": _offered_stores(wanted.jobstore),
        "rev": rev,
        "every_s": BUSY_S if any(row.last and not row.last.state.is_final for row in shown) else IDLE_S,
        "list": Address(
            "jobs.index",
            "jobs.fragment",
            {**wanted.to_args(), "sort": wanted.sort, "cursor": cursor},
            is_live(),
        ),
    }, status


def _offered_stores(chosen: str) -> list[str]:
    """The job stores to choose from; none where there is only one."""
    names = list(dict.fromkeys([*settings().jobstore_names, *filter(None, [chosen])]))
    return names if len(names) > 1 else []


def show(job_id: str) -> ResponseReturnValue:
    return render_template("jobs/show.html", **_overview(jobs.get(job_id)))


def day(job_id: str) -> ResponseReturnValue:
    """What the job's schedule does on one day of its zone: today, or the one that was asked for."""
    job = jobs.get(job_id)
    schedule = schedule_of(job)
    wanted = request.args.get("day") or now().astimezone(ZoneInfo(schedule.timezone)).date().isoformat()
    problem, found = "", None
    try:
        found = previews.read_day(wanted)
    except Invalid as error:
        problem = error.fields["day"][0]
    preview = previews.of(schedule, job_id=job.id, now=now(), viewer=zone(), count=0, day=found)
    return render_template("jobs/day.html", job=job, preview=preview, day=wanted, problem=problem), (
        422 if problem else 200
    )


def show_fragment(job_id: str) -> ResponseReturnValue:
    job = jobs.get(job_id)
    if _rev(job) == request.args.get("rev"):
        return htmx.unchanged()
    return render_template("jobs/_overview.html", **_overview(job))


def _rev(job: Job) -> str:
    waits = "waits-" if _store_problem(job) else ""
    return (
        f"{waits}{job.revision}-{job.state}-{job.next_due_at.timestamp() if job.next_due_at else 0}-{runs.rev(job.id)}"
    )


def _store_problem(job: Job) -> str | None:
    """Why a job in another job store waits. The catalogue itself cannot be away while this is asked."""
    return None if job.jobstore == "default" else status.why_waiting(job.jobstore)


def _overview(job: Job) -> dict[str, Any]:
    rev = _rev(job)  # first: what changes while the page is made shows in the next poll
    moment = now()
    page = runs.page(RunFilter(job_id=job.id), limit=RUNS)
    bars = runs.strips([job.id], BARS)[job.id]
    task = registry.find(job.task)
    return {
        "job": job,
        "row": rows.row(job, moment, zone()),
        "task": task,
        "preview": rows.preview_of(job, moment, zone(), DUE_TIMES),
        "chart": charts.strip(bars, BARS, moment, downtime.lately(moment)),
        "bars": bars,
        "sum": balance.line(dashboard.balance(moment - dashboard.WINDOW, moment, job.id)),
        "run_rows": [run_rows.row(run) for run in page.rows],
        "has_more_runs": page.older is not None,
        "usual_s": runs.usual_duration_s(job.id),
        "is_declared": declared.is_declared(job),
        "store_problem": _store_problem(job),
        "has_stores": len(settings().jobstore_names) > 1,
        "rules": rows.rules(job),
        "chains": rows.chains(job),
        "arguments": rows.shown_arguments(job.task, job.args, job.kwargs),
        "revisions": jobs.revisions(job.id)[:12],
        "rev": rev,
        "every_s": BUSY_S if run_rows.busy(page.rows) else IDLE_S,
        "list": Address("jobs.show", "jobs.show_fragment", {"job_id": job.id}, is_live()),
    }


def pause_until(job_id: str) -> ResponseReturnValue:
    form = PauseForm(formdata=None)
    return render_template("jobs/pause.html", job=jobs.get(job_id), form=form)


def pause(job_id: str) -> ResponseReturnValue:
    """Pause a job: for good, or until the moment of the form, which is the viewer's local time."""
    form = PauseForm()
    try:
        job = jobs.pause(job_id, actor=actor(), now=now(), until=form.moment(zone()))
    except Invalid as error:
        put_errors(form, error)
        page = render_template("jobs/pause.html", job=jobs.get(job_id), form=form, first_bad=form.until)
        return page, 422
    end = f" until {times.full(job.resume_at, zone())}" if job.resume_at else ""
    return _done(job, f"{job.name} is paused{end}.")


def resume(job_id: str) -> ResponseReturnValue:
    job = jobs.resume(job_id, actor=actor(), now=now())
    return _done(job, f"{job.name} is back on its schedule.")


def run(job_id: str) -> ResponseReturnValue:
    queued = jobs.run_now(job_id, actor=actor(), now=now())
    return _done(jobs.get(job_id), f"Run {queued.id} of {queued.job_name} is queued.")


def _done(job: Job, text: str) -> ResponseReturnValue:
    """After a button: the job's row for htmx, else back to the page that the button stood on."""
    if htmx.is_htmx():
        return htmx.say(render_template("jobs/_row.html", row=rows.row(job, now(), zone())), text)
    flash(text, "good")
    return htmx.go(safe_target(request.form.get("next"), url_for("jobs.show", job_id=job.id)))


def confirm_delete(job_id: str) -> ResponseReturnValue:
    job = jobs.get(job_id)
    return render_template(
        "jobs/delete.html",
        job=job,
        words=rows.schedule_words(job),
        run_count=runs.count(RunFilter(job_id=job.id)),
        waiting=runs.count(RunFilter(job_id=job.id, state=("queued",))),
        preview=rows.preview_of(job, now(), zone(), 3),
    )


def delete(job_id: str) -> ResponseReturnValue:
    name = jobs.get(job_id).name
    jobs.delete(job_id, actor=actor(), now=now())
    flash(f"{name} is deleted. Its runs stay in the history.", "good")
    return htmx.go(url_for("jobs.index"))
