"""The state of a job as APScheduler's job stores keep it, read from a pickle that is not trusted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, cast

from webapp.domain.errors import Invalid
from webapp.domain.zones import zone
from webapp.store.pickles import Name, Part, Unreadable, read

__all__ = ["JobState", "Unreadable", "read_state"]

VALUES_MAX = 20_000
DEPTH_MAX = 25
_TRIGGERS = "apscheduler.triggers."
_CRON = "apscheduler.triggers.cron."
_OURS = ("webapp.domain.cron.", "webapp.domain.interval.", "webapp.domain.date.", "webapp.domain.combined.")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_POSITIONS = ("1st", "2nd", "3rd", "4th", "5th", "last")
_ZONE_FILE = re.compile(r"zoneinfo/(?:posix/)?(?P<name>[A-Za-z][A-Za-z0-9_+\-/]*)$")


@dataclass(frozen=True)
class JobState:
    """A job as it was found. ``func`` is ``module:function``; ``trigger`` is a spec; times are in UTC."""

    id: str
    name: str
    func: str
    args: list[Any]
    kwargs: dict[str, Any]
    trigger: dict[str, Any]
    executor: str
    coalesce: bool
    max_instances: int
    misfire_grace_time: int | None
    next_run_time: datetime | None

    def raw(self) -> dict[str, Any]:
        """The raw form of the job (services.definitions)."""
        return {
            "id": self.id,
            "name": self.name[:200],
            "task": self.func,
            "args": self.args,
            "kwargs": self.kwargs,
            "trigger": self.trigger,
            "executor": self.executor,
            "coalesce": self.coalesce,
            "max_instances": self.max_instances,
            "misfire_grace_s": self.misfire_grace_time,
        }


def read_state(data: bytes) -> JobState:
    """Raises Unreadable with the reason in one sentence."""
    state = read(data)
    if not isinstance(state, dict) or not isinstance(state.get("id"), str):
        raise Unreadable("It is not the state of an APScheduler job.")
    if state.get("version", 1) != 1:
        raise Unreadable(f"It is of version {str(state.get('version'))[:20]}; only version 1 is known.")
    values = _Values()
    try:
        args, kwargs = values.plain(state["args"]), values.plain(state["kwargs"])
        following = state["next_run_time"]
        grace, most = state["misfire_grace_time"], state["max_instances"]
        return JobState(
            id=state["id"],
            name=_text(state["name"], "name"),
            func=_text(state["func"], "function"),
            args=args if isinstance(args, list) else [],
            kwargs=kwargs if isinstance(kwargs, dict) else {},
            trigger=_spec(state["trigger"]),
            executor=_text(state["executor"], "executor"),
            coalesce=bool(state["coalesce"]) if isinstance(state["coalesce"], bool | int) else True,
            max_instances=most if isinstance(most, int) else 1,
            misfire_grace_time=grace if isinstance(grace, int) else None,
            next_run_time=None if following is None else _moment(following).astimezone(UTC),
        )
    except KeyError as missing:
        raise Unreadable(f"Its state has no {missing.args[0]}.") from None
    except (ValueError, TypeError, OverflowError, IndexError, AttributeError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"Its state makes no sense ({type(error).__name__}).") from None


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"Its {what} is no text.")
    return value


# -- arguments -----------------------------------------------------------------------------------------------------


class _Values:
    """Turns arguments into JSON values, as long as they are not too many: a pickle may name one list many times."""

    def __init__(self) -> None:
        self._count = 0

    def plain(self, value: Any, depth: int = 0) -> Any:
        self._count += 1
        if self._count > VALUES_MAX or depth > DEPTH_MAX:
            raise Unreadable(f"Its arguments hold more than {VALUES_MAX:,} values, or more than {DEPTH_MAX} levels.")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return [self.plain(item, depth + 1) for item in value]
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise Unreadable("An argument is a mapping whose keys are not text.")
            return {key: self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Part) and value.name in _ARGUMENTS:
            return _ARGUMENTS[value.name](value)
        kind = (
            value.name if isinstance(value, Part) else value.text if isinstance(value, Name) else type(value).__name__
        )
        raise Unreadable(f"An argument is a {kind}, which JSON does not have.")


def _from_bytes(kind: Any, *state: Any) -> Any:
    """A date, time or datetime from what it puts into a pickle."""
    return kind(*state)


def _uuid(part: Part) -> str:
    number = part.state["int"]
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_ARGUMENTS: dict[str, Callable[[Part], Any]] = {
    "datetime.datetime": lambda part: _moment(part, naive=True).isoformat(),
    "datetime.date": lambda part: _from_bytes(date, part.args[0]).isoformat(),
    "datetime.time": lambda part: _from_bytes(time, part.args[0]).isoformat(),
    "datetime.timedelta": lambda part: _length(part).total_seconds(),
    "decimal.Decimal": lambda part: str(Decimal(part.args[0])),
    "uuid.UUID": _uuid,
}


# -- moments and zones ---------------------------------------------------------------------------------------------


def _moment(value: Any, *, naive: bool = False) -> datetime:
    if not isinstance(value, Part) or value.name != "datetime.datetime" or not isinstance(value.args[0], bytes):
        raise Unreadable("It has a time that is none.")
    if len(value.args) == 1:
        if not naive:
            raise Unreadable("It has a time without a time zone.")
        return cast(datetime, _from_bytes(datetime, value.args[0]))
    return cast(datetime, _from_bytes(datetime, value.args[0], _tzinfo(value.args[1])))


def _length(value: Any) -> timedelta:
    if not isinstance(value, Part) or value.name != "datetime.timedelta":
        raise Unreadable("It has a length of time that is none.")
    return timedelta(*value.args)


def _tzinfo(value: Any) -> tzinfo:
    """The zone by which a stored moment is read. pytz keeps the offset itself, which may be none that the zone has."""
    if isinstance(value, Part) and value.name == "pytz._p" and len(value.args) > 1:
        return timezone(timedelta(seconds=value.args[1]))
    if isinstance(value, Part) and value.name == "datetime.timezone":
        return timezone(_length(value.args[0]))
    if isinstance(value, Part) and value.name == "pytz._FixedOffset":
        return timezone(timedelta(minutes=value.args[0]))
    if isinstance(value, Part) and value.name.endswith("tzoffset"):
        return timezone(_length(value.args[1]) if isinstance(value.args[1], Part) else timedelta(seconds=value.args[1]))
    return zone(_zone_name(value)).tz


def _zone_name(value: Any) -> str:
    """The IANA name of a pickled time zone. Raises Unreadable for what has none."""
    name = _known_name(value)
    try:
        return zone(name).name
    except Invalid:
        raise Unreadable(f"Its time zone {name[:60]!r} is not known here.") from None


def _known_name(value: Any) -> str:
    if isinstance(value, Name) and value.text in ("pytz.utc", "pytz.UTC"):
        return "UTC"
    if not isinstance(value, Part):
        raise Unreadable("It has no time zone that can be read.")
    args, last = value.args, value.name.rpartition(".")[2]
    if value.name == "pytz._UTC" or last == "tzutc":
        return "UTC"
    if value.name in ("pytz._p", "zoneinfo.ZoneInfo._unpickle") or last == "ZoneInfo":
        return _text(args[0], "time zone")
    if value.name == "pytz_deprecation_shim._impl.wrap_zone":
        return _text(args[1], "time zone") if isinstance(args[1], str) else _known_name(args[0])
    if value.name == "datetime.timezone" and not _length(args[0]):
        return "UTC"
    if last == "tzfile":
        found = _ZONE_FILE.search(str(args[1] if len(args) > 1 else args[0]))
        if found:
            return found["name"]
    if last == "tzlocal" or last == "tzfile":
        raise Unreadable("Its time zone is that of the machine it was made on, without a name.")
    raise Unreadable("Its time zone is a fixed offset, which has no name and no clock changes.")


# -- triggers ------------------------------------------------------------------------------------------------------


def _spec(trigger: Any) -> dict[str, Any]:
    if not isinstance(trigger, Part):
        raise Unreadable("It has no trigger.")
    return _spec_of(trigger.name, trigger.state)


def _spec_of(name: str, state: Any) -> dict[str, Any]:
    if isinstance(state, tuple):  # APScheduler 3.0 wrote slots
        state = state[1]
    if not isinstance(state, Mapping):
        raise Unreadable("Its trigger has no state.")
    if name.startswith(_OURS):
        return _own(state)
    kind = name.removeprefix(_TRIGGERS)
    reader = _KINDS.get(kind)
    if reader is None:
        raise Unreadable(f"Its trigger is a {name.rpartition('.')[2]}, which Carillon does not have.")
    return reader(state)


def _own(state: Mapping[str, Any]) -> dict[str, Any]:
    spec = _Values().plain(state.get("spec"))
    if not isinstance(spec, dict):
        raise Unreadable("Its trigger has no state.")
    return spec


def _date(state: Mapping[str, Any]) -> dict[str, Any]:
    run_date = state["run_date"]
    moment = _moment(run_date)
    name = _zone_name(run_date.args[1])
    return {"kind": "date", "run_date": moment.astimezone(zone(name).tz).isoformat(), "timezone": name}


def _interval(state: Mapping[str, Any]) -> dict[str, Any]:
    length = _length(state["interval"]).total_seconds()
    if length != int(length):
        raise Unreadable("Its interval is not a whole number of seconds.")
    return {"kind": "interval", "seconds": int(length), **_common(state)}


def _cron(state: Mapping[str, Any]) -> dict[str, Any]:
    fields = {}
    for field in state["fields"]:
        if not isinstance(field, Part) or not field.name.startswith(_CRON):
            raise Unreadable("Its cron trigger has a field that is none.")
        if not field.state["is_default"]:
            text = ",".join(_expression(each) for each in field.state["expressions"])
            fields[_text(field.state["name"], "cron field")] = text
    return {"kind": "cron", **fields, **_common(state)}


def _expression(part: Part) -> str:
    """One expression of a cron field, as APScheduler writes it: weekdays and months by name where they had one."""
    kind, state = part.name.removeprefix(f"{_CRON}expressions."), part.state
    if kind == "LastDayOfMonthExpression":
        return "last"
    if kind == "WeekdayPositionExpression":
        return f"{_POSITIONS[state['option_num']]} {_WEEKDAYS[state['weekday']]}"
    step = "" if state["step"] is None else f"/{int(state['step'])}"
    if kind == "AllExpression":
        return f"*{step}"
    first, last = int(state["first"]), state["last"]
    names: tuple[str, ...] = ()
    if kind == "MonthRangeExpression":
        names = ("", *_MONTHS)
    elif kind == "WeekdayRangeExpression":
        names = _WEEKDAYS
    begin = names[first] if names else str(first)
    if last is None or last == first:
        return f"{begin}{step}"
    return f"{begin}-{names[int(last)] if names else int(last)}{step}"


def _common(state: Mapping[str, Any]) -> dict[str, Any]:
    common: dict[str, Any] = {"timezone": _zone_name(state["timezone"])}
    tz = zone(common["timezone"]).tz
    for bound in ("start_date", "end_date"):
        if state.get(bound) is not None:
            common[bound] = _moment(state[bound]).astimezone(tz).isoformat()
    return common | ({"jitter": state["jitter"]} if state.get("jitter") else {})


def _combined(mode: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def spec(state: Mapping[str, Any]) -> dict[str, Any]:
        parts = [_spec_of(_text(name, "trigger").replace(":", "."), part) for name, part in state["triggers"]]
        jitter = {"jitter": state["jitter"]} if state.get("jitter") else {}
        return {"kind": "combined", mode: parts, "timezone": parts[0]["timezone"], **jitter}

    return spec


_KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "date.DateTrigger": _date,
    "interval.IntervalTrigger": _interval,
    "cron.CronTrigger": _cron,
    "combining.OrTrigger": _combined("any"),
    "combining.AndTrigger": _combined("all"),
}
