"""cronsim as an independent oracle: the same expressions, and every difference explained."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError

from tests.unit.schedule_reference import THOROUGH, ZONES, due_minutes, line, random_line
from webapp.domain.cron import CronTrigger
from webapp.domain.errors import Invalid
from webapp.domain.zones import EPOCH, seconds, zone

EXPRESSIONS = 4000 * THOROUGH
TIMES_EACH = 25
FAR = datetime(2140, 1, 1, tzinfo=UTC)


class PatientOracle(CronSim):  # type: ignore[misc]
    """cronsim that gives up where it would go round for ever."""

    ticks = 0

    def tick(self, seconds: int = 1) -> None:
        self.ticks += 1
        if self.ticks > 200_000:
            raise TimeoutError
        super().tick(seconds)


def oracle(expression: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """cronsim's next times in UTC. Raises CronSimError for what it refuses and TimeoutError where it never ends."""
    clock = PatientOracle(expression, after.astimezone(ZoneInfo(timezone)))
    found = []
    try:
        for _ in range(count):
            clock.ticks = 0
            found.append(next(clock).astimezone(UTC))
    except StopIteration:
        pass
    return found


def ours(expression: str, timezone: str, after: datetime, count: int, gap: str = "skip") -> list[datetime]:
    trigger = CronTrigger(crontab=expression, timezone=timezone, gap=gap)
    return [moment.astimezone(UTC) for moment in trigger.between(after, FAR, count)]


DIFFERENCES = [
    # expression, zone, after (UTC), ours, cronsim's, why
    (
        "30 2 * * *", "America/New_York", "2026-03-08T00:00", "2026-03-09T06:30", "2026-03-08T07:00",
        "gap: cronsim runs a time that does not exist at the end of the gap, as Debian's cron does; here it is "
        "skipped unless the job says gap=end, and then both agree",
    ),
    (
        "*/30 1 * * *", "America/New_York", "2026-11-01T05:30", "2026-11-02T06:00", "2026-11-01T06:00",
        "minute star: for cronsim a minute field that begins with * also makes the schedule follow the clock "
        "through both passes; here the hour field alone decides",
    ),
    (
        "0 30 1 * * *", "America/New_York", "2026-11-01T05:30", "2026-11-02T06:30", "2026-11-01T06:30",
        "six fields: cronsim applies no policy at all to expressions with seconds; here they have the same policy",
    ),
    (
        "30 1 * * *", "America/New_York", "2026-11-01T06:10", "2026-11-02T06:30", "2026-11-01T05:30",
        "asked in the second pass, cronsim answers with the first pass, which is before the moment it was asked for",
    ),
    (
        "49 */2 * * *", "Pacific/Chatham", "2011-09-24T13:00", "2011-09-24T15:04", "2011-09-24T17:04",
        "odd changes: cronsim goes by whole real hours, so after a change at 02:45 it can pass over an hour",
    ),
    (
        "0 */4 * * 0", "Asia/Beirut", "2026-03-27T00:00", "2026-03-29T01:00", "2026-03-28T22:00",
        "midnight: cronsim sets the clock to 00:00 of a day that begins at 01:00 and takes the hour for 0",
    ),
    (
        "7 4-4/6 * * *", "UTC", "2026-01-01T05:00", "2026-01-02T04:07", "2026-01-01T10:07",
        "a step beyond its range: for cronsim 4-4/6 means 4/6, that is 4, 10, 16 and 22; here it is 4, as for cron",
    ),
    (
        "0 0 * * 2/2", "UTC", "2026-01-01T00:00", "refused", "2026-01-03T00:00",
        "a weekday with an open step: crons do not agree whether it ends on Saturday or Sunday, so it is refused",
    ),
    (
        "0 0 LW * *", "UTC", "2026-01-01T00:00", "refused", "2026-01-30T00:00",
        "LW (last working day) is no part of the promise",
    ),
    (
        "0 0 * * fri-sun", "UTC", "2026-01-01T00:00", "2026-01-02T00:00", "refused",
        "names may wrap around the end of the week",
    ),
    (
        "0 0 */16 * mon#2", "UTC", "2026-01-01T00:00", "refused", "none",
        "both day fields must match and never do: refused instead of accepted and never run",
    ),
    (
        "36/2 * * * */10", "America/St_Johns", "2010-11-07T02:00", "2010-11-07T04:06", "never answers",
        "cronsim goes round for ever at a change at one minute past midnight",
    ),
]  # fmt: skip


def answer(ask: object, *args: object) -> str:
    try:
        found = ask(*args, 1)  # type: ignore[operator]
    except (Invalid, CronSimError):
        return "refused"
    except TimeoutError:
        return "never answers"
    return f"{found[0]:%Y-%m-%dT%H:%M}" if found else "none"


@pytest.mark.parametrize(("expression", "timezone", "after", "mine", "theirs", "why"), DIFFERENCES)
def test_each_difference_is_known_and_explained(
    expression: str, timezone: str, after: str, mine: str, theirs: str, why: str
) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert answer(ours, expression, timezone, moment) == mine, why
    assert answer(oracle, expression, timezone, moment) == theirs, why


def explanation(expression: str, timezone: str, after: datetime, theirs: list[datetime]) -> str | None:
    """Which of the reasons above makes cronsim differ here; None when there is none."""
    minute, hour, *_ = expression.split()
    mine = ours(expression, timezone, after, TIMES_EACH)
    if mine == theirs:
        return "same"
    if ours(expression, timezone, after, TIMES_EACH, gap="end") == theirs:
        return "gap"
    if not hour.startswith("*") and minute.startswith("*"):
        return "minute star"
    if not hour.startswith("*") and after.astimezone(ZoneInfo(timezone)).fold:
        return "asked in the second pass"
    first = min(set(mine) ^ set(theirs))
    near = zone(timezone).changes(seconds(first) - 2 * 86_400, seconds(first) + 2 * 86_400)
    jumps = [(piece.start + piece.before, piece.start + piece.offset) for piece in near]
    odd = any(old % 3600 or new % 3600 or new % 86_400 == 3600 for old, new in jumps)
    begin, count = first - timedelta(days=2), 4 * 1440
    trigger = CronTrigger.from_crontab(expression, timezone)
    found = trigger.between(begin - timedelta(minutes=1), begin + timedelta(minutes=count - 1), count)
    right = [moment.astimezone(UTC) for moment in found] == due_minutes(line(expression), timezone, begin, count)
    return "odd changes" if odd and right else None


def test_thousands_of_expressions_differ_from_cronsim_only_for_these_reasons() -> None:
    chance, reasons = random.Random(20260101), Counter[str | None]()
    for _ in range(EXPRESSIONS):
        expression, timezone = random_line(chance, changes=chance.random() < 0.5), chance.choice(ZONES)
        after = EPOCH + timedelta(minutes=chance.randrange(40 * 365 * 1440, 70 * 365 * 1440))
        changes = list(zone(timezone).changes(seconds(after), seconds(after) + 366 * 86_400))
        if changes and chance.random() < 0.7:
            after = EPOCH + timedelta(minutes=chance.choice(changes).start // 60 - chance.randint(0, 40 * 60))
        try:
            theirs = oracle(expression, timezone, after, TIMES_EACH)
            reason = explanation(expression, timezone, after, theirs)
        except TimeoutError:
            reason = "never answers"
        except (Invalid, CronSimError):
            refused = {answer(ask, expression, timezone, after) for ask in (ours, oracle)}
            reason = "refused" if refused <= {"refused", "none"} else None
        reasons[reason] += 1
        assert reason is not None, (expression, timezone, after)
    assert reasons["same"] > 0.9 * EXPRESSIONS
    assert reasons["gap"] > 10
    assert reasons["never answers"] < 20
