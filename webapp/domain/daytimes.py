"""The seconds of a day that a cron schedule names, found and counted without listing them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from webapp.domain.zones import DAY_S


@dataclass(frozen=True)
class DayTimes:
    """The seconds of a day: every combination of these hours, minutes and seconds (each sorted and not empty)."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    @cached_property
    def first(self) -> int:
        return self.hours[0] * 3600 + self.minutes[0] * 60 + self.seconds[0]

    @cached_property
    def final(self) -> int:
        return self.hours[-1] * 3600 + self.minutes[-1] * 60 + self.seconds[-1]

    @cached_property
    def total(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def next(self, second: int) -> int | None:
        """The first of them at or after this second of the day."""
        if second > self.final:
            return None
        hour, minute, sec = second // 3600, second // 60 % 60, second % 60
        at_hour = bisect_left(self.hours, hour)
        if self.hours[at_hour] == hour:
            at_minute = bisect_left(self.minutes, minute)
            if at_minute < len(self.minutes):
                if self.minutes[at_minute] == minute:
                    at_second = bisect_left(self.seconds, sec)
                    if at_second < len(self.seconds):
                        return second - sec + self.seconds[at_second]
                    at_minute += 1
                if at_minute < len(self.minutes):
                    return hour * 3600 + self.minutes[at_minute] * 60 + self.seconds[0]
            at_hour += 1
        return self.hours[at_hour] * 3600 + self.minutes[0] * 60 + self.seconds[0]

    def last(self, second: int) -> int | None:
        """The last of them at or before this second of the day."""
        below = self.below(second + 1)
        return self.nth(below - 1) if below else None

    def nth(self, n: int) -> int:
        """Number ``n`` of them, from 0."""
        rest, s = divmod(n, len(self.seconds))
        h, m = divmod(rest, len(self.minutes))
        return self.hours[h] * 3600 + self.minutes[m] * 60 + self.seconds[s]

    def below(self, second: int) -> int:
        """How many of them come before this second of the day."""
        if second > self.final:
            return self.total
        hour, minute, sec = second // 3600, second // 60 % 60, second % 60
        per_minute = len(self.seconds)
        at_hour = bisect_left(self.hours, hour)
        count = at_hour * len(self.minutes) * per_minute
        if at_hour < len(self.hours) and self.hours[at_hour] == hour:
            at_minute = bisect_left(self.minutes, minute)
            count += at_minute * per_minute
            if at_minute < len(self.minutes) and self.minutes[at_minute] == minute:
                count += bisect_right(self.seconds, sec - 1)
        return count

    @cached_property
    def mask(self) -> int:
        """All of them as bits of the day's 86,400 seconds."""
        minute = sum(1 << s for s in self.seconds)
        hour = sum(minute << 60 * m for m in self.minutes)
        return sum(hour << 3600 * h for h in self.hours)

    @cached_property
    def shortest(self) -> int | None:
        """The smallest distance in seconds between two of them within one day; None when there is only one."""
        if len(self.seconds) > 1:
            inside = min(b - a for a, b in pairwise(self.seconds))
            return min(inside, self._across_minutes())
        if len(self.minutes) > 1:
            inside = min(b - a for a, b in pairwise(self.minutes)) * 60
            return min(inside, self._across_hours())
        if len(self.hours) > 1:
            return min(b - a for a, b in pairwise(self.hours)) * 3600
        return None

    def _across_minutes(self) -> int:
        """From the last second of a minute to the first of the next named minute, at its closest."""
        turn = self.seconds[0] - self.seconds[-1]
        if len(self.minutes) > 1:
            closest = min(b - a for a, b in pairwise(self.minutes))
            return min(closest * 60 + turn, self._across_hours())
        return self._across_hours()

    def _across_hours(self) -> int:
        if len(self.hours) == 1:
            return DAY_S
        closest = min(b - a for a, b in pairwise(self.hours))
        return closest * 3600 + (self.minutes[0] - self.minutes[-1]) * 60 + self.seconds[0] - self.seconds[-1]
