"""iCalendar files become the settings of a calendar, and the other way round."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedule_reference import examples
from webapp.domain import calendars
from webapp.domain.errors import Invalid
from webapp.services import icalendar_export, icalendars
from webapp.services.icalendars import Imported

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ZONE_OF_ITS_OWN = """BEGIN:VTIMEZONE
TZID:Head office
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
END:VTIMEZONE"""


def file(*parts: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", *parts, "END:VCALENDAR", ""])


def event(*lines: str, title: str = "X") -> str:
    return "\r\n".join(["BEGIN:VEVENT", "UID:1", f"SUMMARY:{title}", *lines, "END:VEVENT"])


def read(*parts: str, timezone: str | None = None) -> Imported:
    return icalendars.read(file(*parts), timezone=timezone, default_timezone="Europe/Berlin", now=NOW)


def spec(*lines: str, timezone: str | None = None) -> dict[str, Any]:
    return read(event(*lines), timezone=timezone).spec()


def windows(*lines: str) -> list[str]:
    return [f"{each['start'][:16]}/{each['end'][:16]}" for each in spec(*lines)["windows"]]


def problem(*parts: str) -> str:
    with pytest.raises(Invalid) as caught:
        read(*parts)
    assert list(caught.value.fields) == ["ics"]
    return " ".join(caught.value.fields["ics"])


def test_an_all_day_event_is_its_days_and_keeps_its_name() -> None:
    found = read(event("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227", title="Christmas\\, all of it"))
    assert found.spec() == {"days": ["2026-12-24", "2026-12-25", "2026-12-26"]}
    assert set(found.labels.values()) == {"Christmas, all of it"}
    assert found.notes == []
    assert spec("DTSTART;VALUE=DATE:20261224") == {"days": ["2026-12-24"]}
    assert spec("DTSTART;VALUE=DATE:20261224", "DURATION:P2D") == {"days": ["2026-12-24", "2026-12-25"]}


def test_two_events_on_one_day_are_both_named() -> None:
    day = "DTSTART;VALUE=DATE:20261224"
    found = read(event(day, title="Eve"), event(day, title="Stocktaking"), event(day, title="Eve"))
    assert (found.spec(), found.labels) == ({"days": ["2026-12-24"]}, {"2026-12-24": "Eve, Stocktaking"})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART:20260701T100000Z", "DTEND:20260701T120000Z"], "2026-07-01T10:00/2026-07-01T12:00"),
        (["DTSTART;TZID=America/New_York:20260701T100000", "DURATION:PT90M"], "2026-07-01T14:00/2026-07-01T15:30"),
        (
            ["DTSTART;TZID=W. Europe Standard Time:20260701T100000", "DURATION:PT1H"],
            "2026-07-01T08:00/2026-07-01T09:00",
        ),
        (["DTSTART:20260701T100000", "DURATION:PT1H"], "2026-07-01T08:00/2026-07-01T09:00"),  # the default zone
    ],
)
def test_a_timed_event_is_a_window_of_real_time(lines: list[str], expected: str) -> None:
    assert windows(*lines) == [expected]


def test_a_time_that_the_clock_skips_altogether_excludes_nothing() -> None:
    found = read(event("DTSTART;TZID=Europe/Berlin:20270328T023000", "DURATION:PT1H"))
    assert (found.spec(), found.notes) == ({}, [])


def test_a_zone_that_the_file_defines_is_understood() -> None:
    found = read(
        ZONE_OF_ITS_OWN.replace("\n", "\r\n"), event("DTSTART;TZID=Head office:20261201T100000", "DURATION:PT1H")
    )
    assert found.spec()["windows"][0]["start"] == "2026-12-01T09:00:00+00:00"


def test_occurrences_keep_their_local_times_over_a_clock_change() -> None:
    rule = "RRULE:FREQ=WEEKLY;COUNT=3"
    assert windows("DTSTART;TZID=Europe/Berlin:20261018T220000", "DTEND;TZID=Europe/Berlin:20261019T060000", rule) == [
        "2026-10-18T20:00/2026-10-19T04:00",
        "2026-10-25T21:00/2026-10-26T05:00",
        "2026-11-01T21:00/2026-11-02T05:00",
    ]
    night = windows("DTSTART;TZID=Europe/Berlin:20261024T220000", "DTEND;TZID=Europe/Berlin:20261025T060000")
    assert night == ["2026-10-24T20:00/2026-10-25T05:00"]  # nine hours, as the clock comes back


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=YEARLY", {"yearly": ["01-01"]}),
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1;INTERVAL=1", {"yearly": ["01-01"]}),
        ("FREQ=YEARLY;UNTIL=99991231", {"yearly": ["01-01"]}),
        ("FREQ=WEEKLY", {"weekdays": ["thu"]}),
        ("FREQ=WEEKLY;BYDAY=SA,SU", {"weekdays": ["sat", "sun"]}),
        ("FREQ=DAILY;BYDAY=SA,SU", {"weekdays": ["sat", "sun"]}),
        ("FREQ=DAILY", {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}),
        ("FREQ=YEARLY;COUNT=2", {"days": ["2026-01-01", "2027-01-01"]}),
        ("FREQ=YEARLY;UNTIL=20270101", {"days": ["2026-01-01", "2027-01-01"]}),
        ("FREQ=MONTHLY;BYDAY=1TH;COUNT=3", {"days": ["2026-01-01", "2026-02-05", "2026-03-05"]}),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", {"days": ["2026-01-01", "2026-01-31", "2026-02-28", "2026-03-31"]}),
    ],
)
def test_what_a_setting_can_say_for_ever_is_said_so_and_the_rest_is_written_out(
    rule: str, expected: dict[str, Any]
) -> None:
    assert spec("DTSTART;VALUE=DATE:20260101", f"RRULE:{rule}") == expected


@pytest.mark.parametrize(
    ("rule", "number", "last"),
    [
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", 11, "2035-11-22"),
        ("FREQ=YEARLY;INTERVAL=2", 6, "2036-01-01"),
        ("FREQ=MONTHLY", 126, "2036-06-01"),
        ("FREQ=YEARLY;BYMONTHDAY=1", 126, "2036-06-01"),
        ("FREQ=WEEKLY;INTERVAL=2", 272, "2036-05-22"),
    ],
)
def test_endless_rules_are_written_out_for_ten_years_and_that_is_said(rule: str, number: int, last: str) -> None:
    found = read(event("DTSTART;VALUE=DATE:20260101", f"RRULE:{rule}"))
    assert (len(found.days), max(found.days)) == (number, last)
    assert found.notes == ["Repetitions without end are written out up to 1 June 2036: 1 event."]


def test_a_rule_that_begins_later_is_not_made_to_hold_earlier() -> None:
    found = spec("DTSTART;VALUE=DATE:20280103", "RRULE:FREQ=YEARLY")
    assert found["days"][:2] == ["2028-01-03", "2029-01-03"]
    assert "yearly" not in found


def test_29_february_stays_what_it_is() -> None:
    assert spec("DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY") == {"yearly": ["02-29"]}
    over = spec("DTSTART;VALUE=DATE:20250228", "DURATION:P2D", "RRULE:FREQ=YEARLY")
    assert {"2027-03-01", "2028-02-29"} <= set(over["days"])
    assert "2028-03-01" not in over["days"]


@pytest.mark.parametrize(
    ("timezone", "start", "expected"),
    [
        ("Europe/Berlin", "DTSTART;TZID=Europe/Berlin:20260105T220000", True),
        (None, "DTSTART:20260105T220000", True),
        ("Europe/Berlin", "DTSTART:20260105T220000", True),
        ("Europe/Paris", "DTSTART;TZID=Europe/Berlin:20260105T220000", False),
        (None, "DTSTART;TZID=Europe/Berlin:20260105T220000", False),
    ],
)
def test_hours_are_hours_only_in_the_calendars_own_zone(timezone: str | None, start: str, expected: bool) -> None:
    found = spec(start, "DURATION:PT8H", "RRULE:FREQ=WEEKLY;BYDAY=MO,FR", timezone=timezone)
    if expected:
        assert found == {"hours": [{"from": "22:00", "to": "06:00", "weekdays": ["mon", "fri"]}]}
    else:
        assert len(found["windows"]) > 1000


def test_exceptions_additions_and_changed_occurrences_count() -> None:
    start, rule = "DTSTART;TZID=Europe/Berlin:20260701T100000", "RRULE:FREQ=DAILY;COUNT=4"
    master = event(start, "DURATION:PT1H", rule, "EXDATE;TZID=Europe/Berlin:20260702T100000", "RDATE:20260710T100000Z")
    changed = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20260703T100000",
        "DTSTART;TZID=Europe/Berlin:20260703T150000",
        "DURATION:PT2H",
    )
    dropped = event("RECURRENCE-ID;TZID=Europe/Berlin:20260704T100000", start, "DURATION:PT1H", "STATUS:CANCELLED")
    found = read(master, changed, dropped)
    assert sorted(each["start"][:16] for each in found.windows) == [
        "2026-07-01T08:00",
        "2026-07-03T13:00",
        "2026-07-10T10:00",
    ]
    assert found.notes == ["Left out because they are cancelled: 1 event."]


def test_what_is_left_out_is_said() -> None:
    found = read(
        event("DTSTART;VALUE=DATE:20200101"),
        event("DTSTART:20260701T100000Z"),
        event("DTSTART;VALUE=DATE:20260701", "STATUS:CANCELLED"),
        event("DTSTART:20260701T100000", "DURATION:PT1H"),
        event("DTSTART;VALUE=DATE:20500101"),
    )
    assert found.spec()["days"] == ["2050-01-01"]
    assert found.notes == [
        "Left out because they are cancelled: 1 event.",
        "Left out because they have no length: 1 event.",
        "Times without a zone are read in Europe/Berlin: 1 event.",
        "Left out because they are over: 1 event.",
    ]


def test_free_time_counts_as_public_holidays_are_marked_free() -> None:
    assert spec("DTSTART;VALUE=DATE:20261225", "TRANSP:TRANSPARENT") == {"days": ["2026-12-25"]}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["DTSTART;TZID=Nowhere/Land:20260601T100000", "DURATION:PT1H"],
            "“X”: its time zone “Nowhere/Land” is not known",
        ),
        (["DTSTART:2026-06-01"], "its DTSTART cannot be read"),
        (["DTEND:20260601"], "it has no DTSTART"),
        (["DTSTART;VALUE=DATE:20260601", "RRULE:FREQ=HOURLY"], "it repeats hourly"),
        (["DTSTART;VALUE=DATE:20260601", "RRULE:FREQ=DAILY;INTERVAL=0"], "INTERVAL or COUNT below 1"),
        (["DTSTART;VALUE=DATE:20260601", "RRULE:FREQ=YEARLY;BYDAY=XX"], "its RRULE cannot be read"),
        (["DTSTART;VALUE=DATE:20260601", "DTEND;VALUE=DATE:20600601"], "longer than 5000 days"),
        (["DTSTART;VALUE=DATE:15000601"], "the year 1500"),
        (["DTSTART;VALUE=DATE:20260601", "DTSTART;VALUE=DATE:20260602"], "its DTSTART cannot be read"),
        (
            ["DTSTART;VALUE=DATE:20260601", "RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20260601"],
            "RANGE=THISANDFUTURE",
        ),
    ],
)
def test_an_event_that_cannot_be_taken_over_is_named_with_the_reason(lines: list[str], words: str) -> None:
    assert words in problem(event("DTSTART;VALUE=DATE:20261225", title="Fine"), event(*lines))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no BEGIN:VCALENDAR"),
        ("hello", "no BEGIN:VCALENDAR"),
        ("BEGIN:VCALENDAR", "There is no event"),
        ("BEGIN:VCALENDAR\r\nrubbish\r\nEND:VCALENDAR", "cannot be read"),
        (file(), "There is no event"),
        (b"BEGIN:VCALENDAR\xff", "not UTF-8"),
    ],
)
def test_what_is_no_calendar_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        icalendars.read(text, timezone=None, default_timezone="UTC", now=NOW)


def test_too_many_days_or_windows_are_refused() -> None:
    daily = event("DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;INTERVAL=2")
    other = event("DTSTART;VALUE=DATE:20380102", "DURATION:P4000D")
    assert "more than 5000 days" in problem(daily, other)
    hours = event("DTSTART;TZID=Asia/Tokyo:20260101T000000", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYHOUR=1,3,5,7")
    assert "more than 5000 days or times" in problem(hours)


@pytest.mark.parametrize("frequency", ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_a_rule_that_matches_nothing_costs_little(frequency: str) -> None:
    began = time.perf_counter()
    found = spec("DTSTART;VALUE=DATE:20260101", f"RRULE:FREQ={frequency};BYMONTH=2;BYMONTHDAY=30")
    assert found == {"days": ["2026-01-01"]}
    assert time.perf_counter() - began < 3  # it would be a minute if the years up to 9999 were looked at


def test_several_calendars_in_one_file_are_read_together() -> None:
    both = file("X-WR-CALNAME:Feiertage", event("DTSTART;VALUE=DATE:20261225")) + file(
        event("DTSTART;VALUE=DATE:20261226")
    )
    found = icalendars.read(both.encode("utf-8-sig"), timezone=None, default_timezone="UTC", now=NOW)
    assert (found.name, found.spec()) == ("Feiertage", {"days": ["2026-12-25", "2026-12-26"]})


CHANGES = (
    "", "0", "-1", "99999999999", "20260230", "20261301T250000", "00010101T000000Z", "99991231T235959Z", "PT", "-P1D",
    "P1000000D", "FREQ=DAILY", "FREQ=MONTHLY;BYDAY=6MO", "FREQ=DAILY;UNTIL=x", "20260101T000000Z/PT1H", "a,b", "=", "é",
)  # fmt: skip
NAMES = ("RRULE", "EXDATE", "RDATE", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "STATUS", "UID", "BEGIN", "END")
WHOLE = file(
    ZONE_OF_ITS_OWN.replace("\n", "\r\n"),
    event("DTSTART;TZID=Head office:20260601T220000", "DURATION:PT8H", "RRULE:FREQ=WEEKLY;COUNT=5"),
    event("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227", "RDATE;VALUE=DATE:20270101"),
)


@given(st.integers(0, 2**32))
@examples(150)
def test_a_damaged_file_is_read_or_refused_and_never_worse(seed: int) -> None:
    chance = random.Random(seed)
    lines = WHOLE.split("\r\n")
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, chance.choice(lines))
            case 2:
                lines[place] = f"{lines[place].split(':')[0]}:{chance.choice(CHANGES)}"
            case 3:
                lines[place] = f"{chance.choice(NAMES)}:{chance.choice(CHANGES)}"
    try:
        found = icalendars.read("\r\n".join(lines), timezone=None, default_timezone="UTC", now=NOW)
    except Invalid:
        return
    calendars.read({"name": "x", **found.spec()})


DAYS = st.dates(datetime(2025, 8, 1).date(), datetime(2040, 1, 1).date()).map(str)
YEARLY = st.dates(datetime(2000, 1, 1).date(), datetime(2000, 12, 31).date()).map(lambda day: f"{day:%m-%d}")
WEEKDAYS = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), max_size=4)
CLOCKS = st.tuples(st.integers(0, 23), st.sampled_from([0, 30])).map(lambda pair: f"{pair[0]:02}:{pair[1]:02}")
HOURS = st.tuples(CLOCKS, CLOCKS, WEEKDAYS).filter(lambda each: each[0] != each[1] != "00:00")
WINDOWS = st.tuples(DAYS, CLOCKS, st.integers(1, 300))


@given(
    st.lists(DAYS, max_size=6),
    st.lists(YEARLY, max_size=4),
    WEEKDAYS,
    st.lists(HOURS, max_size=3),
    st.lists(WINDOWS, max_size=4),
    st.sampled_from([None, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
)
@examples(100)
def test_what_is_exported_comes_back_as_it_was(
    days: list[str],
    yearly: list[str],
    weekdays: list[str],
    hours: list[tuple[str, str, list[str]]],
    windows: list[tuple[str, str, int]],
    timezone: str | None,
) -> None:
    entries = [{"from": a, "to": b, **({"weekdays": on} if on else {})} for a, b, on in hours]
    spans = [(datetime.fromisoformat(f"{day}T{at}+00:00"), length) for day, at, length in windows]
    ends = [
        {"start": at.isoformat(), "end": at.replace(year=at.year + 1).isoformat()}
        for at, length in spans
        if length > 290
    ]
    calendar = calendars.read(
        {
            "name": "All sorts; of, things",
            "days": days,
            "yearly": yearly,
            "weekdays": weekdays,
            "hours": list({str(each): each for each in entries}.values()),
            "windows": ends
            + [{"start": at.isoformat(), "end": at.replace(hour=23, minute=45).isoformat()} for at, _ in spans],
            "timezone": timezone,
        }
    )
    labels = {day: f"Day {number}; or so" for number, day in enumerate(days) if number % 2}
    data = icalendar_export.write(calendar, labels, NOW)
    if not calendar.spec().keys() - {"name", "timezone"}:
        return
    found = icalendars.read(data, timezone=timezone, default_timezone="UTC", now=NOW)
    again = calendars.read({"name": found.name, "timezone": timezone, **found.spec()})
    assert set(again.hours) == set(calendar.hours)
    assert again.spec() | {"hours": []} == calendar.spec() | {"hours": []}
    assert {day: found.labels[day] for day in labels} == labels
    assert icalendar_export.write(calendar, labels, NOW) == data
