"""Shared calendars: the list, one calendar, its form, iCalendar in and out, deleting."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from flask import flash, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, Invalid
from webapp.domain.phrases import plural
from webapp.services import calendars, icalendars
from webapp.services.calendar_content import default_zone, definition, value_of
from webapp.services.calendars import Saved
from webapp.store.models import Calendar
from webapp.web import htmx
from webapp.web.access import actor
from webapp.web.forms import base
from webapp.web.forms.calendar import CalendarForm, ImportForm
from webapp.web.presenters import calendars as rows
from webapp.web.viewer import now

REVISIONS = 12
JOBS = 200


def index() -> ResponseReturnValue:
    users = calendars.users()
    return render_template("calendars/index.html", rows=[rows.row(each, users, now()) for each in calendars.every()])


def show(calendar_id: int) -> ResponseReturnValue:
    calendar = calendars.get_id(calendar_id)
    value = value_of(calendar)
    return render_template(
        "calendars/show.html",
        calendar=calendar,
        holds=rows.holds(value),
        zone_name=value.timezone,
        default_zone=default_zone(),
        warning=rows.runs_out(value, now()),
        next=rows.upcoming(value, calendar.labels, now()),
        entries=rows.entries(calendar, value),
        jobs=calendars.jobs_of(calendar, JOBS),
        revisions=[(each, rows.holds(value_of(each))) for each in calendars.revisions(calendar)[:REVISIONS]],
    )


def new() -> ResponseReturnValue:
    return _form(CalendarForm(formdata=None), None)


def edit(calendar_id: int) -> ResponseReturnValue:
    calendar = calendars.get_id(calendar_id)
    form = CalendarForm(formdata=None)
    form.show(definition(calendar), default_zone())
    form.revision.data = str(calendar.revision)
    return _form(form, calendar)


def create() -> ResponseReturnValue:
    form = CalendarForm()
    return _save(form, None, lambda: Saved(calendars.create(form.raw(), actor=actor(), now=now())))


def update(calendar_id: int) -> ResponseReturnValue:
    calendar = calendars.get_id(calendar_id)
    form = CalendarForm()
    revision = form.revision.data or ""
    expected = int(revision) if revision.isascii() and revision.isdigit() else None
    return _save(
        form,
        calendar,
        lambda: calendars.update(calendar.name, form.raw(), actor=actor(), now=now(), expected_revision=expected),
    )


def _save(form: CalendarForm, calendar: Calendar | None, store: Callable[[], Saved]) -> ResponseReturnValue:
    """Store what was sent, or show it again with every message at its field."""
    try:
        saved = store()
    except Invalid as error:
        return _form(form, calendar, base.put_errors(form, error)), 422
    except Conflict as error:
        problem = Invalid({"name" if calendar is None or form.name.data != calendar.name else "": str(error)})
        return _form(form, calendar, base.put_errors(form, problem)), 422 if htmx.is_htmx() else 409
    _tell(saved, "is saved")
    return htmx.go(url_for("calendars.show", calendar_id=saved.calendar.id))


def _form(form: CalendarForm, calendar: Calendar | None, rest: list[str] | None = None) -> str:
    """The whole page; for htmx only the form."""
    form.fit()
    return render_template(
        "calendars/_form.html" if htmx.is_htmx() else "calendars/form.html",
        form=form,
        calendar=calendar,
        lines=base.error_lines(form, rest or []),
        first_bad=base.first_bad(form),
        preview=rows.preview({**form.raw(), "name": "x"}, calendar, now()),
    )


def preview() -> ResponseReturnValue:
    """What the calendar in the form would exclude, and what that would change for its jobs."""
    calendar_id = request.args.get("calendar_id", "")
    calendar = calendars.get_id(int(calendar_id)) if calendar_id.isascii() and calendar_id.isdigit() else None
    raw = {**CalendarForm().raw(), "name": "x"}
    return render_template("calendars/_preview.html", preview=rows.preview(raw, calendar, now()))


def import_form(calendar_id: int | None = None) -> ResponseReturnValue:
    calendar = None if calendar_id is None else calendars.get_id(calendar_id)
    return _import_page(ImportForm(formdata=None), calendar)


def import_file(calendar_id: int | None = None) -> ResponseReturnValue:
    """Fill a calendar from a file, or make one of it."""
    calendar = None if calendar_id is None else calendars.get_id(calendar_id)
    form = ImportForm()
    try:
        saved = _import(form, calendar)
    except Invalid as error:
        return _import_page(form, calendar, base.put_errors(form, error)), 422
    except Conflict as error:
        return _import_page(form, calendar, base.put_errors(form, Invalid({"name": str(error)}))), 409
    _tell(saved, "is imported")
    return htmx.go(url_for("calendars.show", calendar_id=saved.calendar.id))


def _import(form: ImportForm, calendar: Calendar | None) -> Saved:
    data = form.data_sent
    if not data:
        raise Invalid({"ics": "Choose a file."})
    zone = (form.timezone.data or "").strip() or None
    if calendar is not None:
        add = form.mode.data == "add"
        return calendars.import_file(calendar.name, data, add=add, timezone=None, actor=actor(), now=now())
    name = (form.name.data or "").strip() or icalendars.name_in(data)
    return calendars.create_from_file(name, data, timezone=zone, actor=actor(), now=now())


def _import_page(form: ImportForm, calendar: Calendar | None, rest: list[str] | None = None) -> str:
    lines = base.error_lines(form, rest or [])
    first_bad = base.first_bad(form)
    return render_template("calendars/import.html", form=form, calendar=calendar, lines=lines, first_bad=first_bad)


def export(calendar_id: int) -> ResponseReturnValue:
    """The calendar as an iCalendar file."""
    calendar = calendars.get_id(calendar_id)
    data = BytesIO(calendars.export(calendar))
    return send_file(data, mimetype="text/calendar", as_attachment=True, download_name=f"{calendar.name}.ics")


def confirm_delete(calendar_id: int) -> ResponseReturnValue:
    calendar = calendars.get_id(calendar_id)
    return render_template("calendars/delete.html", calendar=calendar, jobs=calendars.jobs_of(calendar, JOBS))


def delete(calendar_id: int) -> ResponseReturnValue:
    name = calendars.get_id(calendar_id).name
    calendars.delete(name, actor=actor(), now=now())
    flash(f"{name} is deleted.", "good")
    return htmx.go(url_for("calendars.index"))


def restore(calendar_id: int, number: int) -> ResponseReturnValue:
    """Put an earlier content in force again."""
    calendar = calendars.get_id(calendar_id)
    _tell(
        calendars.restore(calendar.name, number, actor=actor(), now=now()), f"holds what it held in revision {number}"
    )
    return htmx.go(url_for("calendars.show", calendar_id=calendar_id))


def _tell(saved: Saved, what: str) -> None:
    moved = f" {plural(saved.jobs, 'job')} now {'goes' if saved.jobs == 1 else 'go'} by it." if saved.jobs else ""
    flash(f"{saved.calendar.name} {what}.{moved}", "good")
    for note in saved.notes:
        flash(note, "warn" if note.startswith("No due time") else "info")
