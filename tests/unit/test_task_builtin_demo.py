"""The demo tasks: sleep with progress, fail by chance, log lines, echo."""

from __future__ import annotations

import random
import time

import pytest

from webapp.tasks import Stopped
from webapp.tasks.builtin import demo
from webapp.tasks.testing import recorded_run


def test_sleep_takes_its_time_and_shows_its_progress() -> None:
    started = time.monotonic()
    with recorded_run() as run:
        result = demo.sleep(seconds=0.2, steps=4)
    assert 0.2 <= result["elapsed_s"] <= time.monotonic() - started + 0.01
    assert run.progress_seen == [(step / 4, f"step {step} of 4") for step in range(1, 5)]


def test_sleep_stops_when_asked_to() -> None:
    started = time.monotonic()
    with recorded_run() as run:
        run.stop = True
        with pytest.raises(Stopped):
            demo.sleep(seconds=60)
    assert time.monotonic() - started < 1


def test_flaky_fails_as_often_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.3)
    with recorded_run() as run:
        assert demo.flaky(failure_rate=0.3) == "lucky"
        assert demo.flaky(failure_rate=0) == "lucky"
        with pytest.raises(demo.ChanceFailure, match=r"0\.300, which is below 0\.31"):
            demo.flaky(failure_rate=0.31)
    assert len(run.lines) == 3


def test_flaky_always_fails_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.999999)
    with recorded_run(), pytest.raises(demo.ChanceFailure):
        demo.flaky(failure_rate=1)


def test_log_writes_numbered_lines() -> None:
    with recorded_run() as run:
        assert demo.log(lines=3, interval_s=0) == 3
    assert run.lines == ["Hello from line 1", "Hello from line 2", "Hello from line 3"]
    assert run.progress_seen[-1] == (1.0, "")


def test_echo_gives_everything_back() -> None:
    with recorded_run() as run:
        assert demo.echo("Hi", number=1, items=["a"]) == {"message": "Hi", "number": 1, "items": ["a"]}
    assert run.lines == ["Hi"]
