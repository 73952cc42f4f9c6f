"""The table of clock changes, against the zone data itself."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones
from zoneinfo import _zoneinfo as pure_zoneinfo  # type: ignore[attr-defined]  # the only way to see the raw changes

import pytest

from webapp.domain.errors import Invalid
from webapp.domain.zones import FIRST_S, zone, zone_name

NAMES = sorted(available_timezones() - {"Factory", "localtime"})


def recorded_changes(name: str) -> list[tuple[int, int]]:
    """(instant, new offset) of every change of offset that the zone's file records, after the year 1800."""
    data = pure_zoneinfo.ZoneInfo.no_cache(name)
    offset = int(data._tti_before.utcoff.total_seconds()) if data._tti_before else None
    changes = []
    for at, kind in zip(data._trans_utc, data._ttinfos, strict=True):
        new = int(kind.utcoff.total_seconds())
        if new != offset and at > FIRST_S:
            changes.append((at, new))
        offset = new
    return changes


def test_no_zone_changes_twice_within_the_step_with_which_changes_are_looked_for() -> None:
    """If new data ever breaks this, the step in ``zones`` must become smaller."""
    closest = min(
        b[0] - a[0] for name in NAMES for a, b in zip(recorded_changes(name), recorded_changes(name)[1:], strict=False)
    )
    assert closest > 3 * 86_400


@pytest.mark.parametrize(
    "name", [*random.Random(3).sample(NAMES, 40), "Africa/Casablanca", "Asia/Gaza", "Africa/Freetown"]
)
def test_every_recorded_change_is_found(name: str) -> None:
    recorded = recorded_changes(name)
    if not recorded:
        assert list(zone(name).changes(0, 2_000_000_000)) == []
        return
    first, last = recorded[0][0] - 1, recorded[-1][0] + 1
    assert [(piece.start, piece.offset) for piece in zone(name).changes(first, last)] == recorded


@pytest.mark.parametrize("name", random.Random(4).sample(NAMES, 60))
def test_offsets_agree_with_zoneinfo_at_any_moment(name: str) -> None:
    chance, tz = random.Random(name), ZoneInfo(name)
    for _ in range(200):
        at = chance.randrange(-2_000_000_000, 5_000_000_000)
        expected = datetime.fromtimestamp(at, tz).utcoffset()
        piece = zone(name).piece(at)
        assert piece.start <= at < piece.end
        assert expected == timedelta(seconds=piece.offset)


def test_the_first_instant_of_a_wall_time() -> None:
    def wall(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    def first(name: str, text: str) -> str:
        return zone(name).local(zone(name).first_at_wall(wall(text))).isoformat()

    assert first("Europe/Berlin", "2026-03-29T02:30") == "2026-03-29T03:00:00+02:00"
    assert first("Europe/Berlin", "2026-10-25T02:30") == "2026-10-25T02:30:00+02:00"
    assert first("Pacific/Apia", "2011-12-30T12:00") == "2011-12-31T00:00:00+14:00"
    assert first("America/Santiago", "2026-04-05T00:00") == "2026-04-05T00:00:00-04:00"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Nowhere",
        "Europe",
        "europe/berlin ",
        "../UTC",
        "/etc/localtime",
        "posix/UTC",
        "right/UTC",
        "localtime",
        "Factory",
        "UTC\n",
        "UTC\0",
        "é",
        "A" * 5000,
    ],
)
def test_what_is_no_zone_is_refused_without_saying_where_zones_are_kept(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        zone(name)
    assert "/usr" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_zone_objects_have_names_and_offsets_have_not() -> None:
    assert zone_name(ZoneInfo("Asia/Tokyo")) == "Asia/Tokyo"
    assert zone_name(UTC) == "UTC"
    with pytest.raises(Invalid):
        zone_name(datetime.fromisoformat("2026-01-01T00:00+01:00").tzinfo or UTC)
