"""Whether a process is certainly dead: known at once on its own machine, elsewhere only by its silence.

A process is named by the machine's boot, its process namespace (two containers may share a host name), its number and
its start, since numbers are used again. Only Linux tells all four; where they are not known, nobody is called dead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


def identity() -> dict[str, Any]:
    """What names this process; {} where the system does not tell."""
    place = _place()
    started = _started(os.getpid())
    return {} if place is None or started is None else {"place": place, "pid": os.getpid(), "started": started}


def is_dead(named: Mapping[str, Any]) -> bool:
    """Whether the process that gave this identity has certainly ended."""
    if not named or named.get("place") != _place():
        return False
    return bool(_started(int(named["pid"])) != named["started"])


@cache
def _place() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process started, in the kernel's ticks since boot; None: there is none, or only its remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in ("Z", "X") else int(fields[19])
