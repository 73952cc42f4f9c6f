"""When a failed run is tried again."""

from __future__ import annotations

from webapp.domain.retries import DELAY_MAX_S, JITTER, Retry, delay_s


def test_a_job_without_the_rule_is_tried_once() -> None:
    assert Retry.of({}) is None
    assert Retry.of({"max_attempts": 1}) is None


def test_a_fixed_delay_stays() -> None:
    retry = Retry(5, 10, "fixed")
    assert {delay_s(retry, attempt, 7) for attempt in range(1, 5)} == {10}


def test_an_exponential_delay_doubles_within_its_jitter() -> None:
    retry = Retry(9, 10, "exponential")
    for attempt, base in ((1, 10), (2, 20), (3, 40), (4, 80)):
        for seed in range(50):
            assert base <= delay_s(retry, attempt, seed) <= base * (1 + JITTER)


def test_jobs_that_failed_together_do_not_come_back_together() -> None:
    retry = Retry(3, 10, "exponential")
    assert len({delay_s(retry, 1, seed) for seed in range(20)}) == 20


def test_no_delay_is_longer_than_a_day() -> None:
    assert delay_s(Retry(100, 3600, "exponential"), 99, 1) == DELAY_MAX_S
