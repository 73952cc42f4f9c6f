"""Texts and geometry, without a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from webapp.domain.states import RunState
from webapp.services.runs import RunBar
from webapp.web import charts
from webapp.web.forms.schedule import texts_of
from webapp.web.presenters import cron, revisions, times
from webapp.web.presenters.jobs import brief

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (0.0042, "4 ms"), (0.0994, "99 ms"), (0.0996, "0.10 s"), (1.234, "1.23 s"), (9.996, "10.0 s"),
        (12.34, "12.3 s"), (59.96, "1 min 00 s"), (185, "3 min 05 s"), (3599.6, "1 h 00 min"), (7830, "2 h 10 min"),
        (90000, "1 d 1 h"), (-5, "0 ms"),
    ],
)  # fmt: skip
def test_a_duration_has_about_three_figures(seconds: float, words: str) -> None:
    assert times.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "now"), (59, "in 59 s"), (60, "in 1 min"), (119, "in 1 min"), (3600, "in 1 h"), (5400, "in 1 h 30 min"),
        (40000, "in 11 h"), (90000, "in 1 d 1 h"), (2000000, "in 23 d"), (-61, "1 min ago"), (-7500, "2 h 5 min ago"),
    ],
)  # fmt: skip
def test_a_distance_is_rounded_down(seconds: float, words: str) -> None:
    assert times.relative(NOW + timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(90, "1 min 30 s"), (3600, "1 h"), (0.5, "0.5 s"), (0, "0 s"), (93784, "1 d 2 h 3 min 4 s")]
)
def test_a_chosen_length_is_told_exactly(seconds: float, words: str) -> None:
    assert times.length(seconds) == words


def test_a_clock_text_is_as_short_as_today_allows() -> None:
    assert times.clock(NOW, BERLIN, NOW) == "14:00:00"
    assert times.clock(NOW + timedelta(days=1), BERLIN, NOW) == "Tue 2 Jun 14:00"
    assert times.clock(NOW + timedelta(days=400), BERLIN, NOW) == "6 Jul 2027 14:00"
    assert times.clock(datetime(2026, 6, 1, 22, 30, tzinfo=UTC), BERLIN, NOW) == "Tue 2 Jun 00:30"


def test_the_exact_text_names_the_zone_and_utc() -> None:
    assert times.exact(NOW, BERLIN) == "Mon 1 Jun 2026, 14:00:00.000 CEST (12:00:00 UTC)"
    assert times.exact(NOW, ZoneInfo("UTC")) == "Mon 1 Jun 2026, 12:00:00.000 UTC"
    assert times.label(NOW, ZoneInfo("America/Sao_Paulo")) == "UTC-03"


def test_a_list_shows_a_schedule_without_what_goes_without_saying() -> None:
    words = "Every 5 minutes, counted from 1 June 2026 12:05:00 (Europe/Berlin)"
    assert brief(words, "Europe/Berlin", BERLIN) == "Every 5 minutes"
    assert brief(words, "Europe/Berlin", ZoneInfo("UTC")) == "Every 5 minutes (Europe/Berlin)"
    assert brief("Cannot be read: nonsense", "UTC", BERLIN) == "Cannot be read: nonsense"


@pytest.mark.parametrize(
    "line", ["0 2 * * *", "*/15 9-17 * * mon-fri", "0 0 L * *", "30 6 * * fri#2", "0 0 * * 5L", "10 0 4 * * sun"]
)
def test_a_crontab_line_and_its_fields_lead_back_to_each_other(line: str) -> None:
    fields = cron.fields_of(line)
    assert cron.fields_of(cron.crontab_of(fields)) == fields


@pytest.mark.parametrize("line", ["0 0 13 * 5", "", "rubbish", "0 0 31 2 *"])
def test_what_fields_cannot_say_has_none(line: str) -> None:
    assert cron.fields_of(line) == {}


def test_a_stored_date_is_shown_as_the_clock_of_its_zone_shows_it() -> None:
    spec = {"kind": "date", "run_date": "2026-10-25T02:30:00+01:00", "timezone": "Europe/Berlin"}
    texts = texts_of(spec)
    assert (texts["run_date"], texts["fold"]) == ("2026-10-25T02:30", "1")


def test_a_changed_secret_is_told_without_its_value() -> None:
    before = {"task": "http.request", "kwargs": {"url": "a", "authorization": "hunter2"}}
    after = {"task": "http.request", "kwargs": {"url": "b", "authorization": "hunter3"}}
    shown = revisions.changes(before, after)
    assert [(each.label, each.was, each.now) for each in shown] == [
        ("Argument authorization", "••••••", "•••••• (changed)"),
        ("Argument url", "a", "b"),
    ]


class TestStrip:
    def bar(self, state: RunState = RunState.SUCCEEDED, seconds: float | None = 1.0, number: int = 1) -> RunBar:
        return RunBar(number, state, seconds, NOW, NOW, 1)

    def height(self, d: str) -> float:
        found = re.search(r"v([\d.]+)", d)
        assert found is not None
        return float(found.group(1))

    def test_runs_stand_at_the_right_and_the_newest_is_last(self) -> None:
        strip = charts.strip([self.bar(number=1), self.bar(number=2)], slots=10)
        assert strip.width == 60
        assert [(bar.run.id, bar.x) for bar in strip.bars] == [(1, 48.0), (2, 54.0)]

    def test_only_the_newest_fit(self) -> None:
        strip = charts.strip([self.bar(number=n) for n in range(50)], slots=20)
        assert [bar.run.id for bar in strip.bars] == list(range(30, 50))

    def test_heights_grow_with_the_logarithm(self) -> None:
        strip = charts.strip([self.bar(seconds=s) for s in (0.01, 0.1, 1.0, 10.0, 100.0)])
        heights = [self.height(bar.d) for bar in strip.bars]
        steps = [b - a for a, b in pairwise(heights)]
        assert heights == sorted(heights)
        assert max(steps) - min(steps) < 0.2
        assert heights[-1] == charts.HIGH

    def test_runs_of_nearly_the_same_length_look_the_same(self) -> None:
        strip = charts.strip([self.bar(seconds=s) for s in (10.0, 10.5, 9.8)])
        heights = [self.height(bar.d) for bar in strip.bars]
        assert max(heights) - min(heights) < 0.5

    def test_each_state_has_a_form_of_its_own(self) -> None:
        forms = {charts.strip([self.bar(state)]).bars[0].d for state in RunState if state is not RunState.CANCELLED}
        assert len(forms) == len(RunState) - 1

    def test_one_path_for_each_state_keeps_lists_small(self) -> None:
        runs = [self.bar(RunState.FAILED if n % 3 else RunState.SUCCEEDED) for n in range(30)]
        assert [state for state, _ in charts.strip(runs).paths] == ["succeeded", "failed"]

    def test_everything_stays_inside_the_picture(self) -> None:
        for state in RunState:
            strip = charts.strip([self.bar(state, 5000.0), self.bar(state, 0.001), self.bar(state, None)])
            for x, y in re.findall(r"M([\d.]+) ([\d.]+)", "".join(d for _, d in strip.paths)):
                assert -1 <= float(x) <= strip.width
                assert 0 <= float(y) <= strip.height

    def test_it_says_in_words_what_it_shows(self) -> None:
        strip = charts.strip([self.bar(), self.bar(RunState.TIMED_OUT), self.bar()])
        assert strip.label == "Last 3 runs: 2 succeeded, 1 timed out"
        assert charts.strip([]).label == "No runs yet"
        assert strip.bars[0].label == "Run 1: succeeded, 1.00 s"
