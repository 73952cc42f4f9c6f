"""The misfire, coalesce and overlap rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webapp.domain.rules import MISSED_ROWS_MAX, Decision, Due, Rules, decide, span_words
from webapp.domain.states import Overlap, RunState

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes before now."""
    return NOW - timedelta(minutes=minutes)


def due(*minutes: float) -> Due:
    times = tuple(at(each) for each in sorted(minutes, reverse=True))
    return Due(times[0], times[-1], len(times), times)


def rules(**changes: object) -> Rules:
    values: dict[str, object] = {"coalesce": True, "grace_s": 3600, "overlap": Overlap.SKIP, "max_instances": 1}
    return Rules(**{**values, **changes})  # type: ignore[arg-type]


def judge(late: Due | None, good: Due | None, given: Rules, active: int = 0, held: str | None = None) -> list[Decision]:
    return decide(late, good, given, now=NOW, active=active, held=held)


def test_a_due_time_in_grace_is_queued() -> None:
    assert judge(None, due(1), rules()) == [Decision(RunState.QUEUED, at(1), at(1))]


def test_due_times_in_grace_are_folded_into_one_run_that_counts_them() -> None:
    assert judge(None, due(3, 2, 1), rules()) == [Decision(RunState.QUEUED, at(1), at(3), 3)]


def test_a_late_due_time_rides_along_with_one_that_is_in_grace() -> None:
    assert judge(due(90, 80), due(5), rules()) == [Decision(RunState.QUEUED, at(5), at(90), 3)]


def test_without_folding_each_due_time_gets_a_run_of_its_own() -> None:
    found = judge(None, due(3, 2, 1), rules(coalesce=False, max_instances=5))
    assert [(each.state, each.due_at) for each in found] == [(RunState.QUEUED, at(minute)) for minute in (3, 2, 1)]


def test_without_folding_due_times_past_their_grace_are_missed_and_the_others_run() -> None:
    found = judge(due(120, 90), due(5), rules(coalesce=False))
    assert [each.state for each in found] == [RunState.MISSED, RunState.MISSED, RunState.QUEUED]
    assert found[0].reason == "2 h late; the job may start up to 1 h late."


def test_all_late_and_folded_is_one_missed_row_for_all() -> None:
    (found,) = judge(due(180, 120, 90), None, rules())
    assert (found.state, found.due_count, found.first_due_at, found.due_at) == (RunState.MISSED, 3, at(180), at(90))


def test_very_many_missed_due_times_share_one_row() -> None:
    many = due(*range(61, 62 + MISSED_ROWS_MAX))
    (found,) = judge(many, None, rules(coalesce=False))
    assert (found.state, found.due_count) == (RunState.MISSED, MISSED_ROWS_MAX + 1)


def test_a_due_time_is_skipped_while_the_earlier_run_goes_on() -> None:
    (found,) = judge(None, due(0), rules(), active=1)
    assert (found.state, found.reason) == (RunState.SKIPPED, "The earlier run had not ended yet.")


def test_up_to_n_runs_go_on_together_and_the_next_is_skipped() -> None:
    found = judge(None, due(3, 2, 1), rules(coalesce=False, max_instances=2, overlap=Overlap.TOGETHER), active=1)
    assert [each.state for each in found] == [RunState.QUEUED, RunState.SKIPPED, RunState.SKIPPED]
    assert found[-1].reason == "2 runs had not ended yet; 2 may go on together."


def test_queue_lets_one_run_wait_and_skips_the_next() -> None:
    found = judge(None, due(2, 1), rules(coalesce=False, overlap=Overlap.QUEUE), active=1)
    assert [(each.state, each.waits) for each in found] == [(RunState.QUEUED, True), (RunState.SKIPPED, False)]
    assert found[1].reason == "A run was waiting already for the earlier one to end."


def test_replace_asks_the_earlier_run_to_stop_and_waits_for_it() -> None:
    (found,) = judge(None, due(1), rules(overlap=Overlap.REPLACE), active=1)
    assert (found.state, found.waits, found.replaces) == (RunState.QUEUED, True, True)


def test_while_everything_is_paused_each_due_time_is_held_with_the_reason() -> None:
    (found,) = judge(due(90), due(1), rules(), held="Everything was paused by anna.")
    assert (found.state, found.due_count, found.reason) == (RunState.HELD, 2, "Everything was paused by anna.")


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("overlap", list(Overlap))
@pytest.mark.parametrize("active", [0, 1, 3])
def test_every_due_time_is_accounted_for_once(coalesce: bool, overlap: Overlap, active: int) -> None:
    found = judge(due(120, 90, 61), due(30, 20, 10), rules(coalesce=coalesce, overlap=overlap), active=active)
    assert sum(each.due_count for each in found) == 6
    assert [each.due_at for each in found] == sorted({each.due_at for each in found})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.2 s"), (1, "1 s"), (90, "1 min 30 s"), (3600, "1 h"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_lengths_of_time_are_said_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert span_words(seconds) == words
