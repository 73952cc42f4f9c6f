"""Shared calendars: list, show, create, edit, delete, iCalendar in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from webapp.api.answers import instant, nothing, respond
from webapp.api.auth import caller
from webapp.api.body import read_bytes, read_object
from webapp.api.errors import Stale
from webapp.api.queries import ImportQuery, read_query
from webapp.api.schemas import CalendarChanges, ImportRequest, NewCalendar, read
from webapp.clock import now
from webapp.domain import closures, words
from webapp.domain.errors import Conflict
from webapp.services import calendars
from webapp.services.calendar_content import FIELDS, default_zone, definition, value_of
from webapp.services.calendars import Saved
from webapp.store.models import Calendar

NEXT_MAX = 10
_FILE = b"BEGIN:VCALENDAR"


def get_calendars() -> Response:
    """All shared calendars by name, without their entries."""
    users = calendars.users()
    return respond([_short(calendar, users) for calendar in calendars.every()])


def get_calendar(name: str) -> Response:
    """One calendar with what it holds. Its revision is the ETag."""
    return _one(calendars.get(name))


def add_calendar() -> Response:
    """Create a calendar."""
    wanted = read(NewCalendar, read_object(request)).given()
    raw = {key: value for key, value in wanted.items() if key in FIELDS}
    return _one(calendars.create(raw, actor=caller(), now=now()))


def update_calendar(name: str) -> Response:
    """Change the keys that are sent. The jobs that name it get other due times in the same transaction."""
    calendar = calendars.get(name)
    _check_revision(calendar)
    given = read(CalendarChanges, read_object(request)).given()
    expected = given.get("revision") or calendar.revision
    changes = {key: value for key, value in given.items() if key in FIELDS}
    try:
        saved = calendars.patch(name, changes, actor=caller(), now=now(), expected_revision=expected)
    except Conflict as error:
        if request.if_match:
            raise Stale(str(error)) from None
        raise
    return _saved(saved)


def delete_calendar(name: str) -> Response:
    """Delete a calendar. 409 while jobs name it."""
    _check_revision(calendars.get(name))
    calendars.delete(name, actor=caller(), now=now())
    return nothing()


def import_calendar(name: str) -> Response:
    """Fill a calendar from an iCalendar file: the file itself as the body, or JSON with the file as ``ics``."""
    data, add, timezone = _file()
    saved = calendars.import_file(name, data, add=add, timezone=timezone, actor=caller(), now=now())
    return _saved(saved)


def get_calendar_file(name: str) -> Response:
    """The calendar as an iCalendar file."""
    response = Response(calendars.export(calendars.get(name)), mimetype="text/calendar")
    response.headers["Cache-Control"] = "no-store"
    return response


def _file() -> tuple[str | bytes, bool, str | None]:
    """What to import, whether it is added to what is there, and the zone."""
    wanted = read_query(ImportQuery)
    data = read_bytes(request)
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[: len(_FILE)].upper() == _FILE:
        return data, wanted.add, wanted.timezone or None
    body = read(ImportRequest, read_object(request))
    return body.ics, body.add, body.timezone


def _short(calendar: Calendar, users: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "name": calendar.name,
        "timezone": calendar.content.get("timezone"),
        "holds": words.calendar(value_of(calendar)),
        "jobs": users.get(calendar.name, []),
        "revision": calendar.revision,
        "updated_at": instant(calendar.updated_at),
        "updated_by": calendar.updated_by,
    }


def _shape(calendar: Calendar) -> dict[str, Any]:
    value = value_of(calendar)
    following = closures.upcoming(value, default_zone(), now(), NEXT_MAX)
    return {
        **definition(calendar),
        **_short(calendar, calendars.users()),
        "next": [{"start": each.start.isoformat(), "end": each.end.isoformat()} for each in following],
    }


def _one(calendar: Calendar, **more: Any) -> Response:
    response = respond({**_shape(calendar), **more})
    response.set_etag(str(calendar.revision))
    return response


def _saved(saved: Saved) -> Response:
    return _one(saved.calendar, jobs_changed=saved.jobs, notes=list(saved.notes))


def _check_revision(calendar: Calendar) -> None:
    if request.if_match and not request.if_match.contains(str(calendar.revision)):
        raise Stale(f"The calendar is at revision {calendar.revision} now. Get it again before you change it.")
