"""Crontab strings mean what they mean to cron, and everything else is refused with the field and the reason."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from webapp.domain import conversion, crontab
from webapp.domain.cron import CronTrigger
from webapp.domain.errors import Invalid

AFTER = datetime(2026, 1, 1, tzinfo=UTC)


def dates(expression: str, count: int = 5) -> list[str]:
    return [f"{moment:%a %d %b}" for moment in crontab.next_fire_times(expression, "UTC", AFTER, count)]


def times(expression: str, count: int = 4) -> list[str]:
    return [f"{moment:%d %H:%M:%S}" for moment in crontab.next_fire_times(expression, "UTC", AFTER, count)]


@pytest.mark.parametrize("sunday", ["0", "7", "sun", "SUN", "Sun", "0,7", "7-7"])
def test_zero_and_seven_are_sunday(sunday: str) -> None:
    assert dates(f"0 9 * * {sunday}", 2) == ["Sun 04 Jan", "Sun 11 Jan"]


@pytest.mark.parametrize(
    ("weekdays", "same"),
    [
        ("1-5", "mon-fri"), ("5-7", "fri,sat,sun"), ("0-6", "*"), ("0-7", "*"), ("sun-sat", "*"), ("*/2", "0,2,4,6"),
        ("1-7/2", "mon,wed,fri,sun"), ("mon-fri/2", "1,3,5"), ("fri-mon", "5,6,0,1"), ("fri-sun", "5,6,0"),
        ("sat-sun", "6,0"), ("5-sun", "5,6,7"), ("fri-tue/2", "5,0,2"), ("*/8", "0"), ("*/1", "*"),
    ],
)  # fmt: skip
def test_weekday_ranges_steps_and_names_may_wrap_as_names(weekdays: str, same: str) -> None:
    assert dates(f"0 9 * * {weekdays}", 20) == dates(f"0 9 * * {same}", 20)


def test_month_names_may_wrap_too() -> None:
    assert dates("0 0 1 nov-feb *", 8) == dates("0 0 1 11,12,1,2 *", 8)
    assert dates("0 0 1 JAN,mar *", 4) == dates("0 0 1 1,3 *", 4)


def test_two_restricted_day_fields_are_joined_by_or() -> None:
    assert dates("0 9 13 * fri", 6) == [
        "Fri 02 Jan",
        "Fri 09 Jan",
        "Tue 13 Jan",
        "Fri 16 Jan",
        "Fri 23 Jan",
        "Fri 30 Jan",
    ]
    assert dates("0 9 1 * 1", 5) == ["Thu 01 Jan", "Mon 05 Jan", "Mon 12 Jan", "Mon 19 Jan", "Mon 26 Jan"]


@pytest.mark.parametrize("expression", ["0 9 */2 * fri", "0 9 1-31/2 * */5", "0 9 *,5 * fri"])
def test_both_must_match_when_one_day_field_begins_with_a_star(expression: str) -> None:
    for moment in crontab.next_fire_times(expression, "UTC", AFTER, 20):
        odd, weekday = moment.day % 2 == 1, moment.isoweekday() % 7
        assert "*,5" in expression or odd
        assert weekday in ((0, 5) if "*/5" in expression else (5,))


def test_a_full_range_is_no_star() -> None:
    """``1-31`` names every day, so for cron ``1-31 * mon`` is every day."""
    assert len(set(dates("0 9 1-31 * mon", 7))) == 7
    assert dates("0 9 1-31 * mon", 3) == ["Thu 01 Jan", "Fri 02 Jan", "Sat 03 Jan"]


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 9 L * *", ["Sat 31 Jan", "Sat 28 Feb", "Tue 31 Mar"]),
        ("0 9 l * *", ["Sat 31 Jan", "Sat 28 Feb", "Tue 31 Mar"]),
        ("0 9 15,L * *", ["Thu 15 Jan", "Sat 31 Jan", "Sun 15 Feb"]),
        ("0 9 * * 5L", ["Fri 30 Jan", "Fri 27 Feb", "Fri 27 Mar"]),
        ("0 9 * * friL", ["Fri 30 Jan", "Fri 27 Feb", "Fri 27 Mar"]),
        ("0 9 * * 7L", ["Sun 25 Jan", "Sun 22 Feb", "Sun 29 Mar"]),
        ("0 9 * * 1#1", ["Mon 05 Jan", "Mon 02 Feb", "Mon 02 Mar"]),
        ("0 9 * * mon#5", ["Mon 30 Mar", "Mon 29 Jun", "Mon 31 Aug"]),
        ("0 9 * * 0#2,7#4", ["Sun 11 Jan", "Sun 25 Jan", "Sun 08 Feb"]),
        ("0 9 1 * fri#2", ["Thu 01 Jan", "Fri 09 Jan", "Sun 01 Feb"]),
    ],
)
def test_last_days_and_numbered_weekdays(expression: str, days: list[str]) -> None:
    assert dates(expression, 3) == days


@pytest.mark.parametrize(
    ("nickname", "same"),
    [
        ("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"), ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), (" @Daily\t", "0 0 * * *"),
    ],
)  # fmt: skip
def test_nicknames(nickname: str, same: str) -> None:
    assert dates(nickname, 10) == dates(same, 10)
    assert crontab.parse(nickname, "UTC").crontab == nickname.strip().lower()


def test_six_fields_begin_with_seconds() -> None:
    assert times("30 5 2 * * *") == ["01 02:05:30", "02 02:05:30", "03 02:05:30", "04 02:05:30"]
    assert times("*/20 * * * * *") == ["01 00:00:20", "01 00:00:40", "01 00:01:00", "01 00:01:20"]


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("*/60 * * * *", "0 * * * *"),
        ("5/15 * * * *", "5-59/15 * * * *"),
        ("00 02 * * *", "0 2 * * *"),
        ("0\t2   * * *", "0 2 * * *"),
    ],
)
def test_steps_beyond_the_range_open_steps_zeros_and_tabs(expression: str, same: str) -> None:
    assert times(expression) == times(same)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "Say when"),
        ("* * * *", "this has 4"),
        ("* * * * * * *", "this has 7"),
        ("0 2 * * * root", "Day of week: “root” is not understood"),
        ("0 2 * * * 2026", "“2026”, is no weekday"),
        ("0 2 * * * /bin/true", "Six fields are read with seconds first"),
        ("0 2 * * *\n0 3 * * *", "one line"),
        ("60 * * * *", "Minute: 60 is outside 0 to 59"),
        ("* 24 * * *", "Hour: 24 is outside 0 to 23"),
        ("* * 0 * *", "Day of month: 0 is outside 1 to 31"),
        ("* * 32 * *", "Day of month: 32 is outside 1 to 31"),
        ("* * * 13 *", "Month: 13 is outside 1 to 12"),
        ("* * * * 8", "Day of week: 8 is outside 0 to 7"),
        ("60 * * * * *", "Second: 60 is outside 0 to 59"),
        ("*/0 * * * *", "Minute: “*/0” has a step of 0"),
        ("5-1 * * * *", "Minute: “5-1” runs backwards"),
        ("0 22-2 * * *", "Hour: “22-2” runs backwards. Write 22-23,0-2"),
        ("0 0 * * 6-1", "Day of week: “6-1” runs backwards"),
        ("1,,2 * * * *", "Minute: “1,,2” has an empty part"),
        ("1, * * * *", "Minute: “1,” has an empty part"),
        ("1- * * * *", "Minute: “1-” is not understood"),
        ("+1 * * * *", "Minute: “+1” is not understood"),
        ("1.5 * * * *", "Minute: “1.5” is not understood"),
        ("*5 * * * *", "Minute: “*5” is not understood"),
        ("*/5/2 * * * *", "Minute: “*/5/2” is not understood"),
        ("1-5-9 * * * *", "Minute: “1-5-9” is not understood"),
        ("٣ * * * *", "Minute: “٣” has characters other than plain ASCII"),
        ("３ * * * *", "Minute: “３” has characters other than plain ASCII"),
        ("0 0 * * monday", "Day of week: “monday” is not understood. Names have three letters, such as mon"),
        ("0 0 * january *", "Month: “january” is not understood. Names have three letters, such as jan"),
        ("0 0 * mon *", "Month: “mon” is not understood"),
        ("0 mon * * *", "Hour: “mon” is not understood"),
        ("0 0 ? * 1", "Use * where another scheduler takes a question mark"),
        ("H * * * *", "use the spread setting"),
        ("0~30 * * * *", "use the spread setting"),
        ("0 0 15W * *", "Day of month: “15w” is not supported"),
        ("0 0 LW * *", "Day of month: “lw” is not supported"),
        ("0 0 L-3 * *", "Day of month: “l-3” is not supported"),
        ("0 0 L/2 * *", "Day of month: “l/2” is not supported"),
        ("0 0 * * L", "Day of week: “l” is not understood"),
        ("0 0 * * mon#0", "1st to 5th"),
        ("0 0 * * mon#6", "1st to 5th"),
        ("0 0 * * 8#1", "“8#1” is not understood"),
        ("0 0 * * mon#", "“mon#” is not understood"),
        ("0 0 * * 1-5#1", "“1-5#1” is not understood"),
        ("0 0 * * 1/2", "different things to different crons"),
        ("0 0 31 2 *", "no year has such a day"),
        ("0 0 30 feb *", "no year has such a day"),
        ("0 0 31 4,6,9,11 *", "no year has such a day"),
        ("@reboot", "@reboot is not a time"),
        ("@every 5m", "Use an interval schedule"),
        ("@fortnightly", "“@fortnightly” is not known"),
        ("CRON_TZ=UTC 0 2 * * *", "“CRON_TZ=UTC” is a setting, not a time"),
        ("0 2 * * *" * 200, "longer than"),
    ],
)
def test_everything_else_is_refused_with_the_field_and_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        crontab.parse(expression, "UTC")
    assert list(caught.value.fields) == ["crontab"]
    assert reason in str(caught.value)


@pytest.mark.parametrize("timezone", ["Europe/Nowhere", "", "../etc/passwd", "America", "right/UTC", "CEST", "+01:00"])
def test_an_unknown_zone_is_refused(timezone: str) -> None:
    if not timezone:
        assert crontab.parse("0 2 * * *", timezone).timezone == "UTC"
        return
    with pytest.raises(Invalid) as caught:
        crontab.next_fire_times("0 2 * * *", timezone, AFTER, 1)
    assert list(caught.value.fields) == ["timezone"]
    assert "/usr" not in str(caught.value)


def test_next_fire_times_are_aware_in_the_zone_and_strictly_later() -> None:
    at = datetime(2026, 6, 1, 2, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    found = crontab.next_fire_times("0 2 * * *", "Europe/Berlin", at, 2)
    assert [moment.isoformat() for moment in found] == ["2026-06-02T02:00:00+02:00", "2026-06-03T02:00:00+02:00"]
    assert crontab.next_fire_times("0 2 * * *", "Europe/Berlin", at, 0) == []
    assert crontab.next_fire_times("0 2 * * *", "Europe/Berlin", datetime.max.replace(tzinfo=UTC), 2) == []


def test_leap_days_are_found_across_a_century_that_has_none() -> None:
    found = crontab.next_fire_times("0 0 29 2 *", "UTC", datetime(2092, 3, 1, tzinfo=UTC), 2)
    assert [moment.year for moment in found] == [2096, 2104]
    assert crontab.next_fire_times("0 0 */28 2 mon", "UTC", AFTER, 1)[0].year == 2027, "the 1st or 29th, a Monday"


@pytest.mark.parametrize(
    "expression",
    [
        "0 2 * * *",
        "*/5 9-17 * * 1-5",
        "0 0 * * fri#2,5L",
        "*/10 * * * * *",
        "@weekly",
        "* * * * *",
        "0 0 1,L * *",
        "0 */2 */2 * fri",
    ],
)
def test_a_crontab_string_can_be_shown_as_fields_and_back(expression: str) -> None:
    trigger = crontab.parse(expression, "UTC")
    texts = conversion.to_fields(trigger)
    assert texts is not None
    by_fields = CronTrigger(**texts)  # type: ignore[arg-type]
    assert by_fields.parts.same_as(trigger.parts)
    back = conversion.to_crontab(by_fields)
    assert back is not None
    assert crontab.parse(back, "UTC").parts.same_as(trigger.parts)


def test_what_the_other_form_cannot_say_is_not_said() -> None:
    assert conversion.to_fields(crontab.parse("0 0 13 * fri", "UTC")) is None
    assert conversion.to_fields(crontab.parse("0 */60 * * *", "UTC")) is None
    assert conversion.to_fields(crontab.parse("0 0 */2 * fri#1", "UTC")) is None
    for keywords in ({"day": "13", "day_of_week": "fri"}, {"week": 3}, {"year": 2030}, {"day": "1st mon,last"}):
        assert conversion.to_crontab(CronTrigger(**keywords)) is None  # type: ignore[arg-type]
