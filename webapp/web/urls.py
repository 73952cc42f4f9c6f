"""Every page of Carillon: its address, its view, and the least role that may open it (None: no login)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flask import Blueprint
from flask.typing import ResponseReturnValue

from webapp.domain.states import Role
from webapp.web import (
    account,
    audit,
    calendars,
    dashboard,
    health,
    job_form,
    job_revisions,
    jobs,
    login,
    outside,
    past,
    preferences,
    reference,
    runs,
    secrets,
    setup,
    system,
    tasks,
    users,
)

View = Callable[..., ResponseReturnValue]


@dataclass(frozen=True)
class Route:
    """One address. Its endpoint is ``<group>.<name of the view>``."""

    rule: str
    view: View
    role: Role | None
    method: str = "GET"


V, O, E, A = Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN  # noqa: E741  (initials, in one table)

ROUTES: dict[str, tuple[Route, ...]] = {
    "dashboard": (
        Route("/", dashboard.index, V),
        Route("/dashboard/fragment", dashboard.fragment, V),
    ),
    "jobs": (
        Route("/jobs", jobs.index, V),
        Route("/jobs/fragment", jobs.fragment, V),
        Route("/jobs/new", job_form.new, E),
        Route("/jobs", job_form.create, E, "POST"),
        Route("/jobs/form", job_form.part, E, "POST"),
        Route("/jobs/preview", job_form.preview, E, "POST"),
        Route("/jobs/<job_id>", jobs.show, V),
        Route("/jobs/<job_id>", job_form.update, E, "POST"),
        Route("/jobs/<job_id>/fragment", jobs.show_fragment, V),
        Route("/jobs/<job_id>/edit", job_form.edit, E),
        Route("/jobs/<job_id>/clone", job_form.clone, E),
        Route("/jobs/<job_id>/day", jobs.day, V),
        Route("/jobs/<job_id>/pause", jobs.pause_until, O),
        Route("/jobs/<job_id>/pause", jobs.pause, O, "POST"),
        Route("/jobs/<job_id>/resume", jobs.resume, O, "POST"),
        Route("/jobs/<job_id>/run", jobs.run, O, "POST"),
        Route("/jobs/<job_id>/run", job_form.run_with, O),
        Route("/jobs/<job_id>/run-with", job_form.run_changed, O, "POST"),
        Route("/jobs/<job_id>/delete", jobs.confirm_delete, E),
        Route("/jobs/<job_id>/delete", jobs.delete, E, "POST"),
        Route("/jobs/<job_id>/revisions/<int:number>", job_revisions.revision, V),
        Route("/jobs/<job_id>/revisions/<int:number>/restore", job_revisions.restore, E, "POST"),
    ),
    "past": (
        Route("/jobs/<job_id>/why", past.why, V),
        Route("/jobs/<job_id>/catch-up", past.candidates, O),
        Route("/jobs/<job_id>/catch-up", past.run, O, "POST"),
    ),
    "runs": (
        Route("/runs", runs.index, V),
        Route("/runs/fragment", runs.fragment, V),
        Route("/runs/export.<any(csv, json):format>", runs.export, V),
        Route("/runs/<int:run_id>", runs.show, V),
        Route("/runs/<int:run_id>/fragment", runs.show_fragment, V),
        Route("/runs/<int:run_id>/log/fragment", runs.log_fragment, V),
        Route("/runs/<int:run_id>/log.txt", runs.log_text, V),
        Route("/runs/<int:run_id>/stop", runs.stop, O, "POST"),
        Route("/runs/<int:run_id>/rerun", runs.rerun, O, "POST"),
    ),
    "calendars": (
        Route("/calendars", calendars.index, V),
        Route("/calendars/new", calendars.new, E),
        Route("/calendars", calendars.create, E, "POST"),
        Route("/calendars/preview", calendars.preview, E, "POST"),
        Route("/calendars/import", calendars.import_form, E),
        Route("/calendars/import", calendars.import_file, E, "POST"),
        Route("/calendars/<int:calendar_id>", calendars.show, V),
        Route("/calendars/<int:calendar_id>", calendars.update, E, "POST"),
        Route("/calendars/<int:calendar_id>/edit", calendars.edit, E),
        Route("/calendars/<int:calendar_id>/import", calendars.import_form, E),
        Route("/calendars/<int:calendar_id>/import", calendars.import_file, E, "POST"),
        Route("/calendars/<int:calendar_id>/ics", calendars.export, V),
        Route("/calendars/<int:calendar_id>/delete", calendars.confirm_delete, E),
        Route("/calendars/<int:calendar_id>/delete", calendars.delete, E, "POST"),
        Route("/calendars/<int:calendar_id>/revisions/<int:number>/restore", calendars.restore, E, "POST"),
    ),
    "tasks": (Route("/tasks", tasks.index, V),),
    "reference": (
        Route("/api-reference", reference.index, V),
        Route("/api-reference/openapi.json", reference.document, V),
    ),
    "system": (
        Route("/system", system.index, V),
        Route("/system/fragment", system.fragment, V),
        Route("/system/hold", system.hold, O, "POST"),
        Route("/system/release", system.release, O, "POST"),
    ),
    "users": (
        Route("/users", users.index, A),
        Route("/users", users.create, A, "POST"),
        Route("/users/<int:user_id>", users.show, A),
        Route("/users/<int:user_id>/role", users.role, A, "POST"),
        Route("/users/<int:user_id>/password", users.password, A, "POST"),
        Route("/users/<int:user_id>/disable", users.disable, A, "POST"),
        Route("/users/<int:user_id>/enable", users.enable, A, "POST"),
        Route("/users/<int:user_id>/delete", users.delete, A, "POST"),
        Route("/users/<int:user_id>/sessions/<key>/end", users.end_session, A, "POST"),
    ),
    "secrets": (
        Route("/secrets", secrets.index, A),
        Route("/secrets", secrets.create, A, "POST"),
        Route("/secrets/<name>", secrets.show, A),
        Route("/secrets/<name>", secrets.update, A, "POST"),
        Route("/secrets/<name>/delete", secrets.delete, A, "POST"),
    ),
    "audit": (
        Route("/audit", audit.index, A),
        Route("/audit/<int:entry_id>", audit.show, A),
        Route("/audit/export.csv", audit.export_csv, A),
        Route("/audit/export.jsonl", audit.export_json, A),
        Route("/audit/verify", audit.verify, A, "POST"),
    ),
    "account": (
        Route("/account", account.show, V),
        Route("/account/password", account.password, V, "POST"),
        Route("/account/timezone", account.timezone, V, "POST"),
        Route("/account/sessions/<key>/end", account.end_session, V, "POST"),
        Route("/account/tokens", account.create_token, V, "POST"),
        Route("/account/tokens/<int:token_id>/revoke", account.revoke_token, V, "POST"),
    ),
    "preferences": (Route("/preferences/theme", preferences.theme, V, "POST"),),
    "login": (
        Route("/login", login.show, None),
        Route("/login", login.enter, None, "POST"),
        Route("/logout", login.leave, V, "POST"),
    ),
    "outside": (
        Route("/login/oidc", outside.begin, None),
        Route("/login/oidc/back", outside.back, None),
    ),
    "setup": (
        Route("/setup", setup.show, None),
        Route("/setup", setup.create, None, "POST"),
    ),
    "health": (
        Route("/health/live", health.live, None),
        Route("/health/ready", health.ready, V),
        Route("/health/scheduler", health.scheduler, V),
    ),
}


def roles() -> dict[str, Role | None]:
    """Endpoint -> least role."""
    return {f"{group}.{route.view.__name__}": route.role for group, routes in ROUTES.items() for route in routes}


def blueprints() -> Iterable[Blueprint]:
    for group, routes in ROUTES.items():
        blueprint = Blueprint(group, __name__)
        for route in routes:
            blueprint.add_url_rule(
                route.rule, endpoint=route.view.__name__, view_func=route.view, methods=[route.method]
            )
        yield blueprint
