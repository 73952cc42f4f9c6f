"""Job states are read from pickles that APScheduler wrote, and nothing in a pickle is ever run."""

from __future__ import annotations

import os
import pickle
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import pytz
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from dateutil import tz as dateutil_tz

from webapp.domain import schedules
from webapp.store.job_states import JobState, Unreadable, read_state

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime(2026, 6, 1, 9, 30, tzinfo=BERLIN)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def function(*args: Any, **kwargs: Any) -> None:
    """What the jobs call."""


def state(trigger: Any = None, **fields: Any) -> dict[str, Any]:
    job = Job(
        BackgroundScheduler(timezone=UTC), id="job", func=function, trigger=trigger or DateTrigger(AT, BERLIN),
        executor="default", args=(), kwargs={}, name="A job", misfire_grace_time=60, coalesce=True, max_instances=2,
        next_run_time=AT,
    )  # fmt: skip
    return {**job.__getstate__(), **fields}


def read(trigger: Any = None, protocol: int = pickle.HIGHEST_PROTOCOL, **fields: Any) -> JobState:
    return read_state(pickle.dumps(state(trigger, **fields), protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everything_that_apscheduler_keeps_is_read_in_every_protocol(protocol: int) -> None:
    given = {"when": date(2026, 1, 2), "price": Decimal("1.50"), "id": UUID(int=7), "list": [1, 2.5, None, True]}
    found = read(CronTrigger(hour=2, timezone=BERLIN), protocol, args=("ä", AT), kwargs=given)
    assert (found.id, found.name, found.executor) == ("job", "A job", "default")
    assert found.func == f"{__name__}:function"
    assert (found.coalesce, found.max_instances, found.misfire_grace_time) == (True, 2, 60)
    assert found.next_run_time == AT
    assert found.trigger == {"kind": "cron", "hour": "2", "timezone": "Europe/Berlin"}
    assert found.args == ["ä", "2026-06-01T09:30:00+02:00"]
    assert found.kwargs == {
        "when": "2026-01-02", "price": "1.50", "id": str(UUID(int=7)), "list": [1, 2.5, None, True],
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"day_of_week": "0"},
        {"day_of_week": "mon-fri", "hour": "8-18/2", "minute": "*/15"},
        {"day": "last", "hour": 0},
        {"day": "1st mon,3rd fri", "hour": 10},
        {"month": "jan-mar,12", "day": "1,15"},
        {"week": "1-52/4", "day_of_week": "sun"},
        {"year": "2026-2030", "second": "30"},
    ],
)
def test_cron_fields_keep_their_meaning(fields: dict[str, Any]) -> None:
    trigger = CronTrigger(**fields, timezone="Europe/Berlin", jitter=30)
    spec = read(trigger).trigger
    assert spec.pop("jitter") == 30
    ours = schedules.load(spec)
    theirs = CronTrigger(**fields, timezone="Europe/Berlin")
    at = datetime(2026, 6, 2, 12, tzinfo=BERLIN)
    for _ in range(5):
        at = theirs.get_next_fire_time(at, at + timedelta(microseconds=1))
        assert ours.next_after(at - timedelta(seconds=1)) == at


def test_an_interval_keeps_its_phase_and_bounds() -> None:
    trigger = IntervalTrigger(hours=5, start_date=AT, end_date=AT + timedelta(days=9), timezone=BERLIN)
    spec = read(trigger).trigger
    assert schedules.load(spec).next_after(AT) == AT + timedelta(hours=5)
    assert spec == {
        "kind": "interval", "seconds": 18000, "timezone": "Europe/Berlin",
        "start_date": "2026-06-01T09:30:00+02:00", "end_date": "2026-06-10T09:30:00+02:00",
    }  # fmt: skip


def test_an_or_of_triggers_becomes_a_combined_schedule() -> None:
    spec = read(OrTrigger([CronTrigger(hour=2, timezone=BERLIN), IntervalTrigger(hours=5, timezone=BERLIN)])).trigger
    assert spec["kind"] == "combined"
    assert [part["kind"] for part in spec["any"]] == ["cron", "interval"]
    schedules.load(spec)


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (ZoneInfo("America/New_York"), "America/New_York"),
        (pytz.timezone("America/New_York"), "America/New_York"),
        (pytz.utc, "UTC"),
        (UTC, "UTC"),
        (dateutil_tz.gettz("America/New_York"), "America/New_York"),
        (dateutil_tz.tzutc(), "UTC"),
    ],
)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_zones_of_every_library_are_known_by_their_name(zone: Any, name: str, protocol: int) -> None:
    trigger = CronTrigger(hour=2, timezone="UTC")
    trigger.timezone = zone
    moment = datetime(2026, 6, 1, 12, tzinfo=UTC).astimezone(zone)
    found = read(trigger, protocol, next_run_time=moment)
    assert found.trigger["timezone"] == name
    assert found.next_run_time == moment


def test_a_zone_without_a_name_is_told() -> None:
    trigger = CronTrigger(hour=2, timezone="UTC")
    trigger.timezone = timezone(timedelta(hours=2))
    with pytest.raises(Unreadable, match="fixed offset"):
        read(trigger)
    trigger.timezone = dateutil_tz.tzlocal()
    with pytest.raises(Unreadable, match="machine it was made on"):
        read(trigger)


class Strange:
    """Something that a program of its own would know."""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"args": (Strange(),)}, "test_job_states.Strange, which is no trigger"),
        ({"args": ({1, 2},)}, "a set"),
        ({"args": (b"bytes",)}, "bytes, which JSON does not have"),
        ({"kwargs": {"x": {1: 2}}}, "keys are not text"),
        ({"version": 2}, "version 2"),
        ({"trigger": None}, "no trigger"),
        ({"trigger": CalendarIntervalTrigger(months=1, timezone="UTC")}, "CalendarIntervalTrigger"),
        ({"func": None}, "function is no text"),
    ],
)
def test_what_cannot_be_taken_is_told_in_words(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_state(pickle.dumps({**state(), **fields}))


class Bomb:
    """Calls something when it is unpickled."""

    def __init__(self, call: Any, *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return self.call, self.args


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_in_a_pickle_is_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    for bomb in (
        Bomb(os.system, f"touch {mark}"),
        Bomb(eval, f"open({str(mark)!r}, 'w')"),
        Bomb(getattr, Path, "home"),
        Bomb(getattr, "text", "format"),
        Bomb(exec, "import os"),
        Bomb(__import__, "os"),
        Bomb(type, "X", (), {}),
    ):
        for place in ({"kwargs": {"x": bomb}}, {"trigger": bomb}, {"id": bomb}, {"next_run_time": bomb}):
            with pytest.raises(Unreadable):
                read_state(pickle.dumps({**state(), **place}, protocol))
    assert not mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x05.",
        b"garbage",
        b"cos\nsystem\n(S'true'\ntR.",
        b"cno.such.module\nthing\n.",
        b"cdatetime\ndatetime\n(S'x'\nS'y'\ntb.",  # a state for the class itself
        b"cbuiltins\ngetattr\n(cdatetime\ndatetime\nS'__class__'\ntR.",
        b"\x82\x01.",  # an extension code
        b"Pid\n.",  # a persistent id
        b"r\xff\xff\xff\x7f.",  # a memo place far away
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a bytearray of 8 EiB
        b"I" + b"9" * 10_000 + b"\n.",
        b"]" * 20_000 + b"a" * 19_999 + b".",
        b"x" * (2**20 + 1),
    ],
)
def test_rubbish_and_malice_end_in_one_clear_error(data: bytes) -> None:
    before = set(sys.modules)
    with pytest.raises(Unreadable):
        read_state(data)
    assert set(sys.modules) - before == set()


def test_a_small_pickle_that_unfolds_to_a_huge_value_is_refused() -> None:
    laughs: Any = "ha"
    keys: Any = ()
    for _ in range(60):
        laughs, keys = [laughs] * 10, (keys, keys)
    with pytest.raises(Unreadable, match="more than"):
        read(args=(laughs,))
    doubled = b"(" + b")" + b"".join(b"q\x01h\x01h\x01\x86" for _ in range(60))
    with pytest.raises(Unreadable):
        read_state(b"}" + doubled[1:] + b"K\x01s.")


def test_no_module_that_a_pickle_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap_module.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\ndef f(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = read(func="trap_module:f")
    assert found.func == "trap_module:f"
    assert "trap_module" not in sys.modules
    assert not (tmp_path / "mark").exists()
