"""Jobs declared in code: made once, changed only where the code changed, never against a person, never removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import NOW
from webapp import scheduling
from webapp.domain.states import JobState, Role
from webapp.extensions import db
from webapp.services import declared, jobs
from webapp.services.actors import Actor
from webapp.services.declared import Applied, Plan
from webapp.serving import scheduler_of
from webapp.store.models import AuditEntry, EngineEvent, Job, JobRevision
from webapp.tasks import ImportProblem, capture, registry
from webapp.tasks.declarations import Declarations

ANNA = Actor("anna", Role.ADMIN, "web")
TICK: dict[str, Any] = {"id": "tick", "func": "demo.echo", "trigger": "interval", "seconds": 10}


@pytest.fixture(autouse=True)
def fresh_registry(app: Flask) -> Iterator[None]:
    with registry.temporary():
        yield


def tidy(days: int = 7) -> None: ...


def start(*entries: Any, after_s: int = 0) -> tuple[Plan, Applied]:
    """What a server does that starts with these SCHEDULER_JOBS."""
    db.session.expire_all()
    plan = declared.read(declared.from_settings(list(entries)))
    applied = declared.apply(plan, now=NOW + timedelta(seconds=after_s))
    declared.report(plan)
    return plan, applied


def fresh(job_id: str = "tick") -> Job:
    db.session.expire_all()
    return jobs.get(job_id)


def all_jobs() -> list[str]:
    return list(db.session.scalars(select(Job.id).order_by(Job.id)))


def errors(plan: Plan) -> list[str]:
    return [problem.error for problem in plan.problems]


def test_three_starts_give_one_job() -> None:
    outcomes = [start(TICK, after_s=number)[1] for number in range(3)]
    assert [outcome.created for outcome in outcomes] == [["tick"], [], []]
    assert all(outcome.updated == outcome.undeclared == [] for outcome in outcomes)
    job = fresh()
    assert (job.origin, job.state, job.revision, job.created_by) == ("code", JobState.ACTIVE, 1, "code")
    assert (job.name, job.task, job.next_due_at) == ("tick", "demo.echo", NOW + timedelta(seconds=10))
    assert job.code_definition is not None
    assert job.code_definition["said"] == {
        "task": "demo.echo", "name": "tick", "trigger": {"kind": "interval", "seconds": 10},
    }  # fmt: skip
    assert declared.is_declared(job) is True


def test_the_rules_of_a_declaration_are_the_jobs_rules() -> None:
    start(
        {
            **TICK, "args": ("hi",), "misfire_grace_time": None, "max_instances": 3, "coalesce": False,
            "replace_existing": True, "overlap": "queue", "tags": ["x"], "jitter": 2, "kwargs": None,
        }
    )  # fmt: skip
    job = fresh()
    assert (job.args, job.misfire_grace_s, job.max_instances, job.coalesce) == (["hi"], None, 3, False)
    assert (job.overlap, job.tags, job.trigger["jitter"]) == ("queue", ["x"], 2)


@pytest.mark.parametrize("name", ["misfire_grace_time", "misfire_grace_s"])
def test_a_grace_of_none_means_never_too_late(name: str) -> None:
    start({**TICK, name: None, "group": None})
    assert fresh().misfire_grace_s is None


def test_a_job_declared_without_a_next_run_time_begins_paused() -> None:
    start({**TICK, "next_run_time": None})
    assert fresh().state == JobState.PAUSED


def test_a_change_in_the_code_arrives_in_that_field_only() -> None:
    start(TICK)
    jobs.patch("tick", {"name": "Anna's tick", "tags": ["mine"]}, actor=ANNA, now=NOW)
    _, applied = start({**TICK, "seconds": 30, "max_instances": 2}, after_s=60)
    job = fresh()
    assert (applied.updated, applied.kept) == (["tick"], {})
    assert (job.trigger["seconds"], job.max_instances) == (30, 2)
    assert (job.name, job.tags, job.updated_by) == ("Anna's tick", ["mine"], "code")
    assert job.next_due_at == NOW + timedelta(seconds=90)


def test_what_the_code_says_no_more_takes_its_default_again() -> None:
    start({**TICK, "max_instances": 5, "tags": ["x"]})
    start(TICK)
    assert (fresh().max_instances, fresh().tags) == (1, [])


def test_an_edit_by_a_person_survives_starts_and_changes_of_the_code() -> None:
    start(TICK)
    jobs.patch("tick", {"trigger": {"kind": "interval", "seconds": 77}}, actor=ANNA, now=NOW)
    start(TICK)
    assert fresh().trigger["seconds"] == 77
    _, applied = start({**TICK, "seconds": 30, "max_instances": 2})
    job = fresh()
    assert (job.trigger["seconds"], job.max_instances) == (77, 2)
    assert (applied.updated, applied.kept) == (["tick"], {"tick": ["trigger"]})
    event = db.session.scalars(select(EngineEvent).where(EngineEvent.kind == "code")).one()
    assert event.message == "The code says another trigger for the job tick; what a person saved stands."
    _, applied = start({**TICK, "seconds": 31, "max_instances": 2})
    assert (fresh().trigger["seconds"], applied.kept) == (77, {"tick": ["trigger"]})
    assert start({**TICK, "seconds": 31, "max_instances": 2})[1] == Applied()


def test_a_person_and_the_code_may_come_to_agree() -> None:
    start(TICK)
    jobs.patch("tick", {"max_instances": 4}, actor=ANNA, now=NOW)
    _, applied = start({**TICK, "max_instances": 4})
    assert applied.kept == {}
    start({**TICK, "max_instances": 5})
    assert fresh().max_instances == 5


def test_a_pause_survives_starts_and_changes_of_the_code() -> None:
    start(TICK)
    jobs.pause("tick", actor=ANNA, now=NOW)
    start({**TICK, "seconds": 30})
    assert (fresh().state, fresh().trigger["seconds"]) == (JobState.PAUSED, 30)


def test_a_job_that_a_person_deleted_is_made_again_while_it_is_declared() -> None:
    start(TICK)
    jobs.delete("tick", actor=ANNA, now=NOW)
    assert start(TICK)[1].created == ["tick"]


def test_what_is_no_longer_declared_is_shown_and_stays() -> None:
    start(TICK, {**TICK, "id": "tock"})
    _, applied = start(TICK)
    assert applied.undeclared == ["tock"]
    assert (declared.is_declared(fresh("tock")), declared.is_declared(fresh("tick"))) == (False, True)
    assert fresh("tock").state == JobState.ACTIVE
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "job.undeclared")).one()
    assert (entry.actor, entry.object_id) == ("code", "tock")
    assert start(TICK)[1].undeclared == []
    start(TICK, {**TICK, "id": "tock"})
    assert declared.is_declared(fresh("tock")) is True
    assert len(jobs.revisions("tock")) == 1


def test_a_job_whose_module_failed_to_import_is_not_called_undeclared() -> None:
    registry.register(tidy, key="t.tidy")
    start({**TICK, "func": "t.tidy"})
    with registry.temporary():
        registry._by_key.pop("t.tidy")
        registry.report(ImportProblem("broken", "no", "Traceback ..."))
        assert start()[1].undeclared == []
    assert start()[1].undeclared == ["tick"]


def test_a_declaration_that_went_bad_leaves_its_job_as_it_is() -> None:
    start(TICK)
    plan, applied = start({**TICK, "seconds": 0})
    assert errors(plan) == ["job 'tick': trigger.seconds: The interval must be at least 1 second."]
    assert applied == Applied()
    assert (fresh().trigger["seconds"], declared.is_declared(fresh())) == (10, True)


def test_a_job_that_a_person_made_is_left_alone(make_job: Callable[..., Job]) -> None:
    make_job(id="tick", name="Anna's")
    plan, _ = start(TICK)
    assert errors(plan) == ["job 'tick': There is a job with this id that the code did not make. It is left as it is."]
    assert fresh().name == "Anna's"
    assert declared.is_declared(fresh()) is None


def test_a_one_off_job_that_has_run_is_not_declared_anew() -> None:
    once = {"id": "once", "func": "demo.echo", "trigger": "date", "run_date": "2026-06-01T12:01:00+00:00"}
    start(once)
    plan, applied = start(once, after_s=3600)
    assert (plan.problems, applied) == ([], Applied())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**TICK, "id": ""}, "a job without an id: id: A declared job needs an id"),
        ({**TICK, "id": 7}, "id: A declared job needs an id"),
        ("tick", "a job without an id: id:"),
        ({**TICK, "id": "a b"}, "job 'a b': id: No spaces"),
        ({**TICK, "func": "os:system"}, "func: os:system is not a registered task"),
        ({**TICK, "func": tidy}, f"func: {__name__}:tidy is not a registered task"),
        ({key: value for key, value in TICK.items() if key != "func"}, "func: None is not a registered task"),
        ({**TICK, "trigger": "sundial"}, "trigger.kind: Use one of"),
        ({**TICK, "hour": 3}, "trigger.hour: A schedule of kind interval has no such setting."),
        ({**TICK, "colour": "red"}, "colour: There is no such setting of a job."),
        ({**TICK, "kwargs": {"message": object()}}, "It cannot be stored as JSON"),
        ({**TICK, "next_run_time": "2026-06-01"}, "next_run_time: The schedule says when"),
        ({**TICK, "executor": "nope"}, "executor: 'nope' is none of default"),
        ({**TICK, "chains": [{"job_id": "nobody"}]}, "chains: There is no job 'nobody'."),
    ],
)
def test_a_bad_declaration_is_told_and_stops_no_other(entry: Any, said: str) -> None:
    plan, applied = start(entry, {**TICK, "id": "sound"})
    assert applied.created == ["sound"]
    assert said in errors(plan)[0]
    assert registry.problems[0].module == "SCHEDULER_JOBS"
    assert registry.problems[0].error == errors(plan)[0]


def test_settings_that_are_no_list_are_told() -> None:
    plan = declared.read(declared.from_settings({"id": "tick"}))
    assert len(plan.problems) == 1


def test_of_two_declarations_with_one_id_the_first_counts() -> None:
    plan, _ = start(TICK, {**TICK, "seconds": 30})
    assert errors(plan) == ["job 'tick': Another declaration has this id; this one is left out."]
    assert fresh().trigger["seconds"] == 10


def test_jobs_may_be_chained_to_others_that_are_declared_later() -> None:
    _, applied = start({**TICK, "chains": [{"job_id": "after"}]}, {**TICK, "id": "after"})
    assert sorted(applied.created) == ["after", "tick"]


def test_a_function_given_itself_is_found_by_its_name() -> None:
    registry.register(tidy, key="t.tidy")
    start({**TICK, "func": tidy, "kwargs": {"days": 3}})
    assert (fresh().task, fresh().kwargs) == ("t.tidy", {"days": 3})


def test_a_start_that_was_cut_short_before_it_could_note_what_the_code_said_is_taken_up() -> None:
    raw = {"id": "tick", "task": "demo.echo", "trigger": {"kind": "interval", "seconds": 10}}
    jobs.create(raw, actor=declared.CODE, now=NOW, origin="code")
    assert start(TICK)[1] == Applied()
    assert start({**TICK, "seconds": 20})[1].updated == ["tick"]


# -- as a serving process does it ----------------------------------------------------------------------------------


@pytest.fixture
def declaring(app: Flask) -> Iterator[Flask]:
    scheduler_of(app).scheduler.stop_wait_s = 5.0
    yield app
    scheduler_of(app).shutdown(wait=True)
    capture.uninstall()


def test_a_serving_process_stores_declarations_from_all_three_places(
    declaring: Flask, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "scheduler", Declarations())
    scheduling.scheduler.task("interval", id="by-decorator", hours=1)(tidy)
    declaring.config["SCHEDULER_JOBS"] = [TICK, {**TICK, "id": "bad", "seconds": -1}]
    scheduler = scheduler_of(declaring)
    scheduler.add_job("by-app", "demo.echo", trigger="interval", hours=1)
    scheduler.task("interval", id="by-app-decorator", hours=1)(tidy)
    assert all_jobs() == []
    for _ in range(3):
        scheduler.start()
        eventually(lambda: len(all_jobs()) == 4)
        scheduler.shutdown(wait=True)
    assert all_jobs() == ["by-app", "by-app-decorator", "by-decorator", "tick"]
    assert len(db.session.scalars(select(JobRevision)).all()) == 4
    assert [problem.module for problem in registry.problems] == ["SCHEDULER_JOBS"]


def test_a_job_declared_while_the_scheduler_runs_is_stored_at_once(
    declaring: Flask, eventually: Callable[..., Any]
) -> None:
    scheduler = scheduler_of(declaring)
    scheduler.start()
    eventually(lambda: scheduler.scheduler.held)
    scheduler.task("interval", id="late", hours=1)(tidy)
    eventually(lambda: all_jobs() == ["late"])


def test_the_settings_declare_jobs_too(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp import create_app

    app = create_app(settings.model_copy(update={"jobs": [TICK]}))
    assert app.config["SCHEDULER_JOBS"] == [TICK]


def test_whatever_a_declaration_does_the_scheduler_begins_its_work(
    declaring: Flask, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(declared, "apply", fail)
    scheduler = scheduler_of(declaring)
    scheduler.start()
    eventually(lambda: scheduler.scheduler.held and scheduler.scheduler.last_loop_at)
    assert scheduler.scheduler._failures == 0


def test_a_standby_tells_what_is_wrong_and_stores_nothing(app: Flask) -> None:
    app.config["SCHEDULER_JOBS"] = [TICK, {**TICK, "id": "bad", "seconds": -1}]
    scheduler = scheduler_of(app)
    scheduler._store_declarations(NOW, False)
    assert all_jobs() == []
    assert len(registry.problems) == 1
    scheduler._store_declarations(NOW, True)
    assert all_jobs() == ["tick"]
