"""docs/schedules.md says what is so."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

from webapp.domain import crontab, hazards, preview, schedules

TEXT = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_every_json_example_is_a_schedule() -> None:
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        schedule = schedules.parse(json.loads(block), now=NOW)
        assert schedule.next_after(NOW) is not None


def test_every_hazard_is_listed() -> None:
    codes = {value for name, value in vars(hazards).items() if name.isupper() and isinstance(value, str)}
    listed = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert codes == listed


def test_the_lines_of_code_run() -> None:
    block = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    month_ago = datetime(2026, 2, 1, tzinfo=UTC)
    known = {"now": NOW, "month_ago": month_ago, "date": date, "schedules": schedules, "preview": preview}
    exec(block[1], {**known, "hazards": hazards, "crontab": crontab})
