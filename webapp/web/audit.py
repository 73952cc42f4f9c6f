"""Who changed what: the list with its filters, one entry with its hash, the files to take away, the check."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Invalid
from webapp.services import audit, audit_check
from webapp.store.filters import AuditFilter
from webapp.web import exports, htmx
from webapp.web.forms.filters import read_audit_filter, shown_args
from webapp.web.lists import Address
from webapp.web.presenters import audit as rows
from webapp.web.viewer import now, settings
from webapp.web.viewer import zone as viewer_zone

PER_PAGE = 50
COLUMNS = ("id", "at", "actor", "via", "address", "action", "object_type", "object_id", "before", "after", "hash")
CHECKED_HERE_MAX = 100_000
"""Entries that a page may read in one request; a longer audit is checked by the command."""


def index() -> ResponseReturnValue:
    values, status = _list()
    return render_template("audit/index.html", **values), status


def show(entry_id: int) -> ResponseReturnValue:
    entry, previous = audit.get(entry_id)
    return render_template(
        "audit/show.html", row=rows.row(entry), entry=entry, previous=previous, changes=rows.changes(entry)
    )


def export_csv() -> Response:
    found = (audit.told(entry) for entry in audit.every(read_audit_filter(request.args, viewer_zone())))
    return exports.csv_file(f"carillon-audit-{now():%Y%m%d}.csv", COLUMNS, found)


def export_json() -> Response:
    found = (audit.told(entry) for entry in audit.every(read_audit_filter(request.args, viewer_zone())))
    return exports.json_lines(f"carillon-audit-{now():%Y%m%d}.jsonl", found)


def verify() -> ResponseReturnValue:
    """Check the audit and say so; the end that was seen is kept on this machine, as the command does."""
    folder = settings().instance_path
    head = audit_check.head()
    if head is not None and head.count > CHECKED_HERE_MAX:
        flash(f"{head.count} entries are too many to check in a page: use flask audit verify.", "warn")
        return htmx.go(url_for("audit.index"))
    try:
        kept = audit_check.kept_mark(folder)
    except ValueError as error:
        flash(str(error), "bad")
        return htmx.go(url_for("audit.index"))
    verdict = audit_check.check({} if kept is None else {"This machine": kept})
    if verdict.is_whole:
        audit_check.keep_mark(folder, verdict.end)
        flash(f"The audit is whole: {verdict.end.count} entries, none changed, none missing.", "good")
    else:
        flash(f"The audit is broken at entry {verdict.broken}. {verdict.problem}", "bad")
    return htmx.go(url_for("audit.index"))


def _list() -> tuple[dict[str, Any], int]:
    """The page's values and its status: an address that cannot be read shows everything, and says so (400)."""
    problem, status, cursor = "", 200, request.args.get("cursor") or None
    try:
        wanted = read_audit_filter(request.args, viewer_zone())
        page = audit.page(wanted, cursor=cursor, limit=PER_PAGE)
    except Invalid as error:
        wanted, cursor, problem, status = AuditFilter(), None, " ".join(error.lines()), 400
        page = audit.page(wanted, limit=PER_PAGE)
    actors, actions = audit.choices()
    return {
        "days": rows.by_day(page.rows, viewer_zone()),
        "page": page,
        "filter": wanted,
        "problem": problem,
        "is_filtered": wanted != AuditFilter(),
        "shown": shown_args(wanted, viewer_zone()),
        "actors": actors,
        "actions": [(action, rows.done(action)) for action in actions],
        "things": sorted({action.partition(".")[0] for action in actions}),
        "list": Address("audit.index", "audit.index", {**wanted.to_args(), "cursor": cursor}),
        "args": wanted.to_args(),
    }, status
