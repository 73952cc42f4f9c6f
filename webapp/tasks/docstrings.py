"""Takes a task's docstring apart: what it does, and one help text for each parameter.

Understands the three usual styles (Google, Sphinx, NumPy). Anything else is description.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_ARGUMENTS = {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters"}
_OTHER_SECTIONS = {
    "returns", "return", "yields", "raises", "examples", "example", "note", "notes", "see also", "references",
    "warns", "warnings", "attributes", "todo",
}  # fmt: skip
_GOOGLE_HEADING = re.compile(r"^([A-Z][A-Za-z ]+):\s*$")
_GOOGLE_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY_RULE = re.compile(r"^-{3,}\s*$")
_NUMPY_ITEM = re.compile(r"^(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_SPHINX_PARAM = re.compile(r"^:(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")
_SPHINX_FIELD = re.compile(r"^:\w+(?:\s[^:]*)?:")


@dataclass(frozen=True)
class Docstring:
    """``description`` is the summary and the body, as paragraphs; ``parameters`` maps a name to one line of help."""

    summary: str = ""
    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def parse(text: str | None) -> Docstring:
    lines = inspect.cleandoc(text or "").splitlines()
    prose: list[str] = []
    helps: dict[str, str] = {}
    index = 0
    while index < len(lines):
        end, found = _section_at(lines, index)
        if end == index:
            prose.append(lines[index])
            index += 1
        else:
            helps.update(found)
            index = end
    description = re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip()
    return Docstring(" ".join(description.partition("\n\n")[0].split()), description, helps)


def _section_at(lines: list[str], start: int) -> tuple[int, dict[str, str]]:
    """Where the section that begins at ``start`` ends, and its parameters; ``start`` itself if none begins there."""
    line = lines[start]
    if _SPHINX_FIELD.match(line):
        end = _end_of_block(lines, start + 1)
        return end, _sphinx(lines[start:end])
    if start + 1 < len(lines) and _NUMPY_RULE.match(lines[start + 1]):
        end = next((i for i in range(start + 3, len(lines)) if _NUMPY_RULE.match(lines[i])), len(lines) + 1) - 1
        return end, _numpy(lines[start + 2 : end]) if line.strip().lower() in _ARGUMENTS else {}
    heading = _GOOGLE_HEADING.match(line)
    title = heading.group(1).lower() if heading else ""
    if title in _ARGUMENTS | _OTHER_SECTIONS:
        end = _end_of_block(lines, start + 1)
        return end, _google(lines[start + 1 : end]) if title in _ARGUMENTS else {}
    return start, {}


def _end_of_block(lines: list[str], start: int) -> int:
    """The first line from ``start`` on that stands at the margin again."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end][0].isspace()):
        end += 1
    return end


def _google(block: list[str]) -> dict[str, str]:
    margin = min((_indent(line) for line in block if line.strip()), default=0)

    def item(line: str) -> tuple[list[str], str] | None:
        found = _GOOGLE_ITEM.match(line.strip()) if _indent(line) == margin else None
        return ([found.group(1)], found.group(2)) if found else None

    return _collect(block, item)


def _sphinx(block: list[str]) -> dict[str, str]:
    def item(line: str) -> tuple[list[str], str] | None:
        found = _SPHINX_PARAM.match(line)
        return ([found.group(1)], found.group(2)) if found else None

    return _collect(block, item)


def _numpy(block: list[str]) -> dict[str, str]:
    def item(line: str) -> tuple[list[str], str] | None:
        found = None if line[:1].isspace() else _NUMPY_ITEM.match(line)
        return ([name.strip(" *") for name in found.group(1).split(",")], "") if found else None

    return _collect(block, item)


def _collect(block: list[str], item: Callable[[str], tuple[list[str], str] | None]) -> dict[str, str]:
    """Each item's names with its text: what follows on its own line and on the lines below, as one line."""
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    for line in block:
        found = item(line)
        if found:
            names, first = found
            texts.update({name: [first] for name in names})
        else:
            for name in names:
                texts[name].append(line)
    return {name: " ".join(" ".join(parts).split()) for name, parts in texts.items()}


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
