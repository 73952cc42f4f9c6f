"""States and their legal moves."""

from __future__ import annotations

from webapp.domain.states import ACTIVE, Role, RunState


def test_only_queued_and_running_runs_may_still_change() -> None:
    for state in RunState:
        moves = {other for other in RunState if state.may_become(other)}
        assert bool(moves) == (state in ACTIVE)
        assert state.is_final == (state not in ACTIVE)


def test_a_run_that_never_ran_cannot_succeed() -> None:
    assert not RunState.QUEUED.may_become(RunState.SUCCEEDED)


def test_each_role_includes_the_ones_before_it() -> None:
    assert Role.ADMIN.includes(Role.VIEWER)
    assert Role.EDITOR.includes(Role.OPERATOR)
    assert not Role.OPERATOR.includes(Role.EDITOR)
