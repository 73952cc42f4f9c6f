"""Reads the pickles of APScheduler's job stores without running anything that stands in them.

A pickle is a program: it names functions and calls them. Here no name is ever looked up. The few that job states need
become inert ``Part``s, which ``webapp.store.job_states`` interprets; any other name is refused. Nothing is imported.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

SIZE_MAX = 1_048_576
"""Bytes of one pickle that are looked at."""

_KNOWN = {
    "_codecs": ("encode",),
    "builtins": ("getattr", "object"),
    "copyreg": ("_reconstructor",),
    "collections": ("OrderedDict",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "uuid": ("UUID",),
    "zoneinfo": ("ZoneInfo", "ZoneInfo._unpickle"),
    "zoneinfo.ZoneInfo": ("_unpickle",),
    "zoneinfo._zoneinfo": ("ZoneInfo",),
    "backports.zoneinfo": ("ZoneInfo",),
    "pytz": ("_p", "_UTC", "utc", "UTC", "_FixedOffset"),
    "dateutil.tz": ("tzutc", "tzfile", "tzlocal", "tzoffset"),
    "dateutil.tz.tz": ("tzutc", "tzfile", "tzlocal", "tzoffset", "_ttinfo"),
    "pytz_deprecation_shim._impl": ("wrap_zone",),
    "apscheduler.triggers.date": ("DateTrigger",),
    "apscheduler.triggers.interval": ("IntervalTrigger",),
    "apscheduler.triggers.cron": ("CronTrigger",),
    "apscheduler.triggers.calendarinterval": ("CalendarIntervalTrigger",),
    "apscheduler.triggers.combining": ("OrTrigger", "AndTrigger"),
    "apscheduler.triggers.cron.fields": ("BaseField", "MonthField", "WeekField", "DayOfMonthField", "DayOfWeekField"),
    "apscheduler.triggers.cron.expressions": (
        "AllExpression",
        "RangeExpression",
        "MonthRangeExpression",
        "WeekdayRangeExpression",
        "WeekdayPositionExpression",
        "LastDayOfMonthExpression",
    ),
    "webapp.domain.cron": ("CronTrigger",),
    "webapp.domain.interval": ("IntervalTrigger",),
    "webapp.domain.date": ("DateTrigger",),
    "webapp.domain.combined": ("CombinedTrigger",),
}
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Unreadable(ValueError):
    """A job state that cannot be read; the text says why, in one sentence."""


@dataclass(frozen=True, eq=False)
class Name:
    """A name that a pickle uses for a class or a function. Nothing stands behind it."""

    text: str


@dataclass(eq=False)
class Part:
    """What a pickle wanted to make: by which name, from which arguments, with which state."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None


def read(data: bytes) -> Any:
    """What stands in a pickle: plain values, and Parts for everything else. Raises Unreadable."""
    if len(data) > SIZE_MAX:
        raise Unreadable(f"It has {len(data):,} bytes; at most {SIZE_MAX:,} are read.")
    try:
        return _Reader(io.BytesIO(data)).load()
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"It is not a pickle that can be read ({type(error).__name__}).") from None


# The unpickler that is written in Python: each of its steps can be replaced.
_Unpickler: Any = pickle._Unpickler


class _Reader(_Unpickler):  # type: ignore[misc]
    dispatch: dict[int, Any] = dict(_Unpickler.dispatch)
    stack: list[Any]

    def find_class(self, module: str, name: str) -> Name:
        module = _OLD_MODULES.get(module, module)
        text = f"{module}.{name}"
        if name not in _KNOWN.get(module, ()):
            raise Unreadable(f"It holds {text[:120]}, which is no trigger, date or time zone.")
        return Name(text)

    def get_extension(self, code: int) -> None:
        raise Unreadable("It holds an object by a number, which means nothing here.")

    def persistent_load(self, pid: Any) -> Any:
        raise Unreadable("It refers to something outside of itself.")

    def _call(self, target: Any, args: Any) -> Any:
        """What calling ``target`` would make. Only names can be "called"."""
        if not isinstance(target, Name) or not isinstance(args, tuple):
            raise Unreadable("It calls something that is no class.")
        if target.text == "builtins.getattr":
            return self._attribute(args)
        if target.text == "copyreg._reconstructor":
            target = args[0] if args and isinstance(args[0], Name) else target
            return Part(target.text)
        if target.text == "_codecs.encode":
            return str(args[0]).encode("latin-1")
        if target.text == "collections.OrderedDict":
            return {}
        return Part(target.text, args)

    def _attribute(self, args: tuple[Any, ...]) -> Name:
        owner, name = args
        if not isinstance(owner, Name) or not isinstance(name, str):
            raise Unreadable("It asks for an attribute of an object.")
        return self.find_class(*f"{owner.text}.{name}".rsplit(".", 1))

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        keywords, args, target = self.stack.pop(), self.stack.pop(), self.stack.pop()
        if keywords:
            raise Unreadable("It makes an object with named arguments, as no trigger does.")
        self.append(self._call(target, args))

    def _instantiate(self, target: Any, args: Any) -> None:
        self.append(self._call(target, tuple(args)))

    def load_build(self) -> None:
        state = self.stack.pop()
        part = self.stack[-1]
        if isinstance(part, dict) and isinstance(state, dict):  # an OrderedDict's own state
            return
        if not isinstance(part, Part):
            raise Unreadable("It changes an object that is no trigger, date or time zone.")
        part.state = state

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def load_setitems(self) -> None:
        self._fill(self.pop_mark())

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._fill(items)

    def _fill(self, items: list[Any]) -> None:
        """Only simple keys: to look up a key means to hash it, and that of nested tuples takes for ever."""
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise Unreadable("It changes an object that is no mapping.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float | bytes | None):
                raise Unreadable("It holds a mapping with keys that are not simple.")
            target[key] = value

    def load_set(self) -> None:
        raise Unreadable("It holds a set, which JSON does not have.")

    def load_large(self) -> None:
        raise Unreadable("It holds a bytearray, which JSON does not have.")

    dispatch |= {
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.EMPTY_SET[0]: load_set,
        pickle.FROZENSET[0]: load_set,
        pickle.ADDITEMS[0]: load_set,
        pickle.BYTEARRAY8[0]: load_large,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
    }
