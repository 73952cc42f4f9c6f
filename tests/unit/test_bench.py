"""The bench measures something, and says truly what is met. Nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.contenders import CARILLON, RIVALS, Who
from bench.contest import Results, compete
from bench.report import Aim, Measure, table, verdicts

MEMORY = next(who for who in RIVALS if who.name == "memory")


def test_contenders_do_the_same_scenario_in_processes_of_their_own(tmp_path: Path) -> None:
    results = compete([CARILLON, MEMORY], "burst", {"jobs": 3, "limit_s": 60}, 1, tmp_path)
    assert results.broken == {}
    for name in ("carillon", "memory"):
        (values,) = results.values[name]
        assert values["lost"] == 0
        assert values["runs_per_s"] > 0
        assert values["worst_ms"] >= values["p50_ms"] >= 0


def test_one_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    absent = Who("absent", "bench.contenders.nobody", {}, "", "")
    results = compete([absent, MEMORY], "stored", {"jobs": 2, "wake_ups": 1}, 1, tmp_path)
    assert "nobody" in results.broken["absent"]
    assert results.values["memory"][0]["wake_up_ms"] > 0


@pytest.fixture
def results() -> Results:
    return Results(
        {
            "carillon": [{"rate": 300.0, "late": 8.0}, {"rate": 100.0, "late": 12.0}, {"rate": 200.0, "late": 9.0}],
            "wal": [{"rate": 100.0, "late": 4.0}, {"rate": 50.0, "late": 6.0}, {"rate": 50.0, "late": 4.0}],
        }
    )


def test_a_ratio_is_the_median_of_the_repetitions_not_the_ratio_of_medians(results: Results) -> None:
    assert results.median("carillon", "rate") == 200
    assert results.ratio("carillon", "wal", "rate") == 3
    assert results.span("wal", "late") == (4, 6)


def test_aims_are_met_or_missed_by_carillon_s_median_or_ratio(results: Results) -> None:
    aims = [
        Aim("fast", "rate", least=2, against="wal"),
        Aim("faster", "rate", least=4, against="wal"),
        Aim("in time", "late", most=9),
        Aim("earlier", "late", most=8.9),
        Aim("never measured", "nothing", most=1),
    ]
    assert verdicts(results, aims) == [True, False, True, False, False]


def test_the_table_has_absolute_numbers_spreads_and_ratios(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    results.broken["django"] = "database is locked"
    table(results, [Measure("rate", "runs/s", ratio=True)])
    head, carillon, wal, django = capsys.readouterr().out.splitlines()
    assert head.split() == ["runs/s"]
    assert carillon.split() == ["carillon", "200", "(100-300)"]
    assert wal.split() == ["wal", "50", "(50-100)", "3.00x"]
    assert django.split() == ["django", "did", "not", "finish:", "database", "is", "locked"]
