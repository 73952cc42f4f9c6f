"""What people type, and what a store hands back: accepted, or refused with the field and the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import examples
from webapp.domain import moments, schedules
from webapp.domain.date import DateTrigger
from webapp.domain.errors import Invalid
from webapp.domain.interval import IntervalTrigger
from webapp.domain.zones import zone

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def parse(**spec: Any) -> schedules.Schedule:
    return schedules.parse(spec, now=NOW)


def refusal(**spec: Any) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        parse(**spec)
    return caught.value.fields


def date(run_date: Any, **others: Any) -> dict[str, Any]:
    return {"kind": "date", "run_date": run_date, "timezone": "America/New_York", **others}


def test_an_interval_without_a_start_begins_one_interval_from_now() -> None:
    assert parse(kind="interval", minutes=10).spec() == {
        "kind": "interval",
        "minutes": 10,
        "start_date": "2026-03-01T12:10:00+00:00",
        "end_date": None,
        "jitter": 0,
        "timezone": "UTC",
    }


def test_only_units_that_are_used_are_kept_and_in_the_zone_asked_for() -> None:
    spec = parse(
        kind="interval", weeks="1", hours=" 36 ", seconds=0, minutes="", timezone="Europe/Berlin", jitter=5
    ).spec()
    assert spec["start_date"] == "2026-03-10T01:00:00+01:00"
    assert {name for name in spec if name in ("weeks", "days", "hours", "minutes", "seconds")} == {"weeks", "hours"}
    assert (spec["weeks"], spec["hours"], spec["jitter"]) == (1, 36, 5)


def test_what_cannot_be_kept_to_the_second_is_rounded_up_never_early() -> None:
    at = NOW + timedelta(microseconds=1)
    schedule = schedules.parse({"kind": "interval", "seconds": 10}, now=at)
    assert schedule.spec()["start_date"] == "2026-03-01T12:00:11+00:00"
    assert parse(**date("2026-12-01T10:00:00.25")).spec()["run_date"] == "2026-12-01T10:00:01-05:00"


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({}, "seconds", "at least 1 second"),
        ({"seconds": 0}, "seconds", "at least 1 second"),
        ({"minutes": 0}, "minutes", "at least 1 second"),
        ({"seconds": -1}, "seconds", "from 0 to"),
        ({"hours": -1, "seconds": 7200}, "hours", "from 0 to"),
        ({"seconds": 0.25}, "seconds", "whole number"),
        ({"minutes": "1.5"}, "minutes", "whole number"),
        ({"minutes": "five"}, "minutes", "whole number"),
        ({"minutes": "٥"}, "minutes", "whole number"),
        ({"minutes": True}, "minutes", "whole number"),
        ({"minutes": [5]}, "minutes", "whole number"),
        ({"seconds": 10**400}, "seconds", "from 0 to"),
        ({"days": 3653}, "days", "at most 10 years"),
        ({"weeks": 521, "days": 6}, "weeks", "at most 10 years"),
        ({"seconds": 10, "jitter": 10}, "jitter", "at most 9 s"),
        ({"seconds": 10, "jitter": -1}, "jitter", "from 0 to"),
        ({"seconds": 10, "spread": 10}, "spread", "at most 9 s"),
        ({"seconds": 10, "jitter": 1, "spread": 1}, "spread", "not both"),
        ({"seconds": 10, "end_date": "2026-03-01T11:00"}, "end_date", "has passed"),
        ({"seconds": 10, "end_date": "2026-03-01T12:00:05"}, "end_date", "later than the start|never fires"),
        ({"hours": 9, "start_date": "2026-03-01T10:00", "end_date": "2026-03-01T18:00"}, "end_date", "never fires"),
        ({"days": 1, "start_date": "2027-01-01T00:00", "end_date": "2027-01-01T00:00"}, "end_date", "later than"),
        ({"seconds": 10, "start_date": "tomorrow"}, "start_date", "not an ISO 8601 time"),
        ({"seconds": 10, "start_date": 5}, "start_date", "Write a date and time"),
        ({"seconds": 10, "crontab": "0 * * * *"}, "crontab", "no such setting"),
        ({"seconds": 10, "minuts": 5}, "minuts", "no such setting"),
        ({"seconds": 10, "timezone": "Mars/Olympus"}, "timezone", "not a time zone"),
        ({"seconds": 10, "timezone": 1}, "timezone", "IANA name"),
    ],
)  # fmt: skip
def test_intervals_that_would_spin_drift_or_never_run_are_refused(
    spec: dict[str, Any], field: str, reason: str
) -> None:
    messages = refusal(kind="interval", **spec)
    assert list(messages) == [field]
    assert any(part in " ".join(messages[field]) for part in reason.split("|"))


def test_the_longest_interval_and_the_largest_jitter_are_accepted() -> None:
    assert parse(kind="interval", days=3652, jitter=3652 * 86_400 - 1).jitter == 3652 * 86_400 - 1


def test_an_interval_is_elapsed_time_whatever_the_clock_does() -> None:
    schedule = parse(kind="interval", hours=24, start_date="2026-03-07T09:00", timezone="America/New_York")
    due = schedule.between(NOW, NOW + timedelta(days=9, hours=6), 9)
    assert [f"{moment:%d %H:%M}" for moment in due] == ["07 09:00", "08 10:00", "09 10:00", "10 10:00"]


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("2026-12-01T10:00", "2026-12-01T10:00:00-05:00"),
        ("2026-12-01 10:00", "2026-12-01T10:00:00-05:00"),
        ("2026-12-01T10:00:30", "2026-12-01T10:00:30-05:00"),
        ("2026-12-01T10:00Z", "2026-12-01T05:00:00-05:00"),
        ("2026-12-01T10:00:00+01:00", "2026-12-01T04:00:00-05:00"),
        ("2026-12-01T10:00+0530", "2026-11-30T23:30:00-05:00"),
        (datetime(2026, 12, 1, 10), "2026-12-01T10:00:00-05:00"),
        (datetime(2026, 12, 1, 10, tzinfo=UTC), "2026-12-01T05:00:00-05:00"),
        ("2026-07-01T10:00", "2026-07-01T10:00:00-04:00"),
        ("2100-12-31T23:59", "2100-12-31T23:59:00-05:00"),
    ],
)
def test_a_date_is_iso_with_or_without_seconds_and_offset(typed: Any, stored: str) -> None:
    spec = parse(**date(typed)).spec()
    assert spec == {"kind": "date", "run_date": stored, "timezone": "America/New_York"}


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("5", "ISO 8601"), ("sat", "ISO 8601"), ("10/11/12", "ISO 8601"), ("2026-12-01", "ISO 8601"),
        ("2026-12-01T10", "ISO 8601"), ("2026-12-01T10:00 EST", "ISO 8601"), ("20261201T100000", "ISO 8601"),
        ("2026-W49-2T10:00", "ISO 8601"), ("2026-12-01T24:00", "ISO 8601"), ("2026-12-01T10:60", "not in the calendar"),
        ("2026-02-30T10:00", "not in the calendar"), ("２０２６-12-01T10:00", "ISO 8601"), (1796122800, "Write a date"),
        (["2026-12-01T10:00"], "Write a date"), ("", "Say when"), (None, "Say when"),
        ("2026-03-01T06:59", "has passed"), ("2026-03-01T07:00", "has passed"),
        ("1999-12-31T23:59", "between 2000 and 2100"),
        ("2101-01-01T00:00", "between 2000 and 2100"), ("9999-12-31T23:59:59Z", "between 2000 and 2100"),
    ],
)  # fmt: skip
def test_any_other_date_is_refused(typed: Any, reason: str) -> None:
    messages = refusal(**date(typed))
    assert list(messages) == ["run_date"]
    assert reason in messages["run_date"][0]


def test_a_time_in_a_gap_is_refused_with_its_two_neighbours() -> None:
    assert refusal(**date("2026-03-08T02:30")) == {
        "run_date": [
            "02:30 on 8 March 2026 does not exist in America/New_York: the clock goes from 02:00 to 03:00. "
            "The nearest times are 01:59 and 03:00."
        ]
    }


def test_the_neighbours_of_a_gap_at_midnight_have_their_dates() -> None:
    messages = refusal(kind="date", run_date="2026-03-29T00:30", timezone="Asia/Beirut")
    assert "The nearest times are 23:59 on 28 March 2026 and 01:00." in messages["run_date"][0]


def test_a_repeated_time_asks_first_or_second() -> None:
    messages = refusal(**date("2026-11-01T01:30"))
    assert list(messages) == ["fold"]
    assert "first as 2026-11-01T01:30:00-04:00, then as 2026-11-01T01:30:00-05:00" in messages["fold"][0]


@pytest.mark.parametrize(("fold", "offset"), [(0, "-04:00"), ("0", "-04:00"), (1, "-05:00"), ("1", "-05:00")])
def test_the_answer_is_stored_as_the_offset(fold: int | str, offset: str) -> None:
    schedule = parse(**date("2026-11-01T01:30", fold=fold))
    assert schedule.spec()["run_date"] == f"2026-11-01T01:30:00{offset}"
    assert schedules.load(schedule.spec()).spec() == schedule.spec()
    due = schedule.next_after(NOW)
    assert due is not None
    assert due.isoformat().endswith(offset)


def test_an_offset_answers_too_and_an_answer_nobody_needs_does_no_harm() -> None:
    assert parse(**date("2026-11-01T01:30-05:00")).spec()["run_date"] == "2026-11-01T01:30:00-05:00"
    assert parse(**date("2026-12-01T10:00", fold=1)).spec()["run_date"] == "2026-12-01T10:00:00-05:00"
    assert list(refusal(**date("2026-11-01T01:30", fold=2))) == ["fold"]


@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_bounds_ask_the_same_questions(name: str) -> None:
    spec: dict[str, Any] = {"kind": "cron", "crontab": "0 * * * *", "timezone": "America/New_York"}
    assert "does not exist" in refusal(**spec, **{name: "2027-03-14T02:30"})[name][0]
    assert "comes twice" in refusal(**spec, **{name: "2026-11-01T01:30"})[name][0]
    assert parse(**spec, **{name: "2026-11-01T01:30-05:00"}).spec()[name] == "2026-11-01T01:30:00-05:00"
    assert parse(**spec, **{name: "2026-11-01"}).spec()[name] == "2026-11-01T00:00:00-04:00"


def test_a_form_can_ask_what_a_clock_change_does_to_a_local_time() -> None:
    new_york = zone("America/New_York")
    gap = moments.clash(datetime(2026, 3, 8, 2, 30), new_york)
    assert gap == moments.Gap(datetime(2026, 3, 8, 2), datetime(2026, 3, 8, 3))
    repeat = moments.clash(datetime(2026, 11, 1, 1, 30), new_york)
    assert isinstance(repeat, moments.Repeat)
    assert [repeat.first.isoformat()[-6:], repeat.second.isoformat()[-6:]] == ["-04:00", "-05:00"]
    assert moments.clash(datetime(2026, 11, 1, 3, 30), new_york) is None


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({}, "crontab", "Say when"),
        ({"crontab": " "}, "crontab", "Say when"),
        ({"crontab": 5}, "crontab", "Use text"),
        ({"crontab": "0 * * * *", "hour": "2"}, "hour", "not both"),
        ({"crontab": "0 0 31 2 *"}, "crontab", "no year has such a day"),
        ({"day": "31", "month": "feb"}, "day", "no year has such a day"),
        ({"year": 2020}, "year", "never fires again"),
        ({"crontab": "30 2 * 3 0#2", "timezone": "America/New_York"}, "crontab", "never fires again"),
        ({"crontab": "0 0 29 2 *", "end_date": "2028-02-28T00:00"}, "crontab", "never fires again"),
        ({"crontab": "* * * * *", "jitter": 60}, "jitter", "at most 59 s"),
        ({"crontab": "0,59 * * * *", "jitter": 60}, "jitter", "at most 59 s"),
        ({"crontab": "59 23 * * *", "jitter": 86_400}, "jitter", "at most 86399 s"),
        ({"crontab": "0 0,23 * * *", "jitter": 3600}, "jitter", "at most 3599 s"),
        ({"crontab": "59,0 23,0 * * *", "jitter": 60}, "jitter", "at most 59 s"),
        ({"crontab": "0 0 1 1 *", "jitter": 366 * 86_400}, "jitter", "at most 31535999 s"),
        ({"crontab": "* * * * * *", "spread": 1}, "spread", "at most 0 s"),
        ({"crontab": "0 * * * *", "gap": "later"}, "gap", "skip or end"),
        ({"crontab": "0 * * * *", "fold": "1"}, "fold", "no such setting"),
        ({"crontab": "0 * * * *", "end_date": "2026-02-01T00:00"}, "end_date", "has passed"),
        ({"hour": 1, "start_date": "2026-05-02", "end_date": "2026-05-01"}, "end_date", "later than the start"),
    ],
)  # fmt: skip
def test_crons_that_cannot_do_what_they_say_are_refused(spec: dict[str, Any], field: str, reason: str) -> None:
    messages = refusal(kind="cron", **spec)
    assert list(messages) == [field]
    assert reason in messages[field][0]


def test_a_cron_that_only_falls_into_a_gap_fires_when_it_may_run_at_its_end() -> None:
    schedule = parse(kind="cron", crontab="30 2 * 3 0#2", timezone="America/New_York", gap="end")
    due = schedule.next_after(NOW)
    assert due is not None
    assert due.isoformat() == "2026-03-08T03:00:00-04:00"


def test_several_mistakes_are_reported_together() -> None:
    messages = refusal(kind="cron", minute="60", day="lastfoo", jitter="x", gap="y", end_date="z", nope=1)
    assert sorted(messages) == ["day", "end_date", "gap", "jitter", "minute", "nope"]


@pytest.mark.parametrize("kind", [None, "", "calendarinterval", "Cron", 1, ["cron"]])
def test_an_unknown_kind_is_refused(kind: Any) -> None:
    assert list(refusal(kind=kind)) == ["kind"]


def test_blank_settings_of_other_kinds_are_what_a_form_leaves_behind() -> None:
    spec = {
        "kind": "cron",
        "crontab": "0 2 * * *",
        "minutes": "",
        "run_date": None,
        "weeks": " ",
        "jitter": "",
        "hour": "",
    }
    assert parse(**spec).spec() == parse(kind="cron", crontab="0 2 * * *").spec()


def test_the_zone_is_the_default_when_none_is_given() -> None:
    spec = {"kind": "cron", "crontab": "0 2 * * *"}
    assert schedules.parse(spec, now=NOW, default_timezone="Asia/Tokyo").timezone == "Asia/Tokyo"
    assert schedules.parse({**spec, "timezone": " UTC "}, now=NOW, default_timezone="Asia/Tokyo").timezone == "UTC"


def test_stored_schedules_are_never_judged_against_now() -> None:
    for spec in (
        {"kind": "date", "run_date": "2001-01-01T00:00:00+00:00", "timezone": "UTC"},
        {"kind": "cron", "year": "2001", "timezone": "UTC"},
        {"kind": "cron", "crontab": "0 0 * * *", "end_date": "2001-01-01T00:00:00+00:00"},
        {
            "kind": "interval",
            "days": 1,
            "start_date": "2001-01-01T00:00:00+00:00",
            "end_date": "2001-01-09T00:00:00+00:00",
        },
        {"kind": "combined", "any": [{"kind": "date", "run_date": "2001-01-01T00:00:00+00:00"}]},
    ):
        schedule = schedules.load(spec)
        assert schedule.next_after(NOW) is None
        assert schedules.load(schedule.spec()) == schedule


STARTED = {"kind": "interval", "start_date": "2026-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    "spec",
    [
        None, [], "cron", {}, {"kind": "interval"}, {"kind": "interval", "seconds": 5}, {**STARTED, "seconds": -5},
        {**STARTED, "seconds": 0}, {**STARTED, "seconds": 5, "jitter": -9}, {**STARTED, "seconds": 5, "jitter": 9},
        {"kind": "date"}, {"kind": "date", "run_date": "9999-12-31T23:59:59+00:00", "timezone": "Asia/Tokyo"},
        {"kind": "cron"}, {"kind": "cron", "month": "2", "day": "31"}, {"kind": "cron", "crontab": "0 0 * * * * * *"},
        {"kind": "cron", "hour": {"a": 1}}, {"kind": "cron", "hour": "2", "timezone": {"a": 1}}, {"kind": "combined"},
        {"kind": "combined", "any": [{}]}, {"kind": "combined", "any": {"kind": "cron"}},
        {1: 2, "kind": "cron", "hour": "1"},
    ],
)  # fmt: skip
def test_stored_rubbish_is_refused_and_never_hangs(spec: Any) -> None:
    with pytest.raises(Invalid):
        schedules.load(spec)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = (
    "kind",
    "crontab",
    "minute",
    "day",
    "seconds",
    "weeks",
    "start_date",
    "end_date",
    "run_date",
    "timezone",
    "jitter",
)
VALUES = st.one_of(
    JSON,
    st.sampled_from(["cron", "interval", "date", "combined", "*", "*/5", "UTC", "0 2 * * *", "2026-12-01T10:00", 5]),
)


@given(st.dictionaries(st.sampled_from((*NAMES, "any", "calendars", "x")), VALUES, max_size=6), st.booleans())
@examples(150)
def test_whatever_is_sent_is_a_schedule_or_a_refusal(spec: dict[str, Any], typed: bool) -> None:
    try:
        schedule = schedules.parse(spec, now=NOW) if typed else schedules.load(spec)
    except Invalid:
        return
    schedule.span(NOW, NOW + timedelta(days=400))
    schedule.next_after(NOW)


def test_triggers_made_in_code_obey_the_same_rules() -> None:
    trigger = IntervalTrigger(hours=2, start_date="2010-10-10 09:30:00", end_date="2014-06-15 11:00:00")
    due = trigger.between(datetime(2010, 10, 10, tzinfo=UTC), datetime(2010, 10, 10, 15, tzinfo=UTC), 9)
    assert [f"{moment:%H:%M}" for moment in due] == ["09:30", "11:30", "13:30"]
    assert IntervalTrigger(hours=1, now=NOW).spec()["start_date"] == "2026-03-01T13:00:00+00:00"
    with pytest.raises(Invalid):
        IntervalTrigger(hours=1)
    with pytest.raises(ValueError, match="at least 1 second"):
        IntervalTrigger(now=NOW)
    moscow = datetime(2009, 11, 6, 16, 30, 5, tzinfo=ZoneInfo("Europe/Moscow"))
    assert DateTrigger(moscow).spec() == {"kind": "date", "run_date": moscow.isoformat(), "timezone": "Europe/Moscow"}
    assert DateTrigger("2009-11-06 16:30:05").run_date.isoformat() == "2009-11-06T16:30:05+00:00"
    assert DateTrigger(moscow.date(), "Europe/Moscow").run_date.isoformat() == "2009-11-06T00:00:00+03:00"


def test_the_readable_forms_of_a_trigger() -> None:
    assert str(parse(kind="interval", minutes=5)) == "interval[0:05:00]"
    assert str(parse(kind="cron", hour="2", day_of_week="0")) == "cron[day_of_week='mon', hour='2']"
    assert str(parse(kind="cron", crontab="0  2 * * *")) == "cron[crontab='0 2 * * *']"
    assert str(parse(**date("2026-12-01T10:00"))) == "date[2026-12-01 10:00:00-05:00]"
    assert repr(parse(kind="cron", hour=2)) == "<CronTrigger cron[hour='2'] UTC>"
    assert str(parse(kind="combined", any=[{"kind": "cron", "hour": 2}])) == "any[cron[hour='2']]"
