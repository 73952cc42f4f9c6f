"""The balance line: how the due times of a window ended, as a sum that must add up."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.domain.states import RunState
from webapp.services.balance import Balance

WORDS = {
    RunState.SUCCEEDED: "ran",
    RunState.QUEUED: "waiting",
    RunState.RUNNING: "running",
    RunState.FAILED: "failed",
    RunState.TIMED_OUT: "timed out",
    RunState.CANCELLED: "cancelled",
    RunState.LOST: "lost",
    RunState.MISSED: "missed",
    RunState.SKIPPED: "skipped",
    RunState.HELD: "held",
}
ALWAYS = (RunState.SUCCEEDED, RunState.FAILED, RunState.MISSED)


@dataclass(frozen=True)
class Term:
    """One summand."""

    state: RunState
    word: str
    number: int


@dataclass(frozen=True)
class Sum:
    """``due`` = the terms + what waits for the due pass, if it adds up.

    ``wrong`` names the jobs for which it does not; ``compared`` False: there are too many jobs to check each time.
    """

    due: int
    terms: list[Term]
    waiting: int
    adds_up: bool
    compared: bool
    difference: int
    wrong: list[str]


def line(balance: Balance) -> Sum:
    numbers = {state: balance.by_state.get(state, 0) for state in WORDS}
    terms = [Term(state, WORDS[state], number) for state, number in numbers.items() if number or state in ALWAYS]
    found = sum(numbers.values()) + balance.waiting
    wrong = [each.job_id for each in balance.mismatches]
    return Sum(balance.due, terms, balance.waiting, balance.adds_up, balance.compared, balance.due - found, wrong)
