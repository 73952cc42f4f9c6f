"""The task files.prune, on real folders."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from webapp.domain.errors import Invalid
from webapp.tasks import Stopped, registry
from webapp.tasks.builtin import files
from webapp.tasks.testing import recorded_run


def make(path: Path, days_old: float, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    moment = time.time() - days_old * 86_400
    os.utime(path, (moment, moment))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    for name, days_old in {"old.log": 10, "older.log": 40, "new.log": 1, "old.txt": 10, "deep/old.log": 10}.items():
        make(made / name, days_old)
    return made


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_dry_run_lists_and_removes_nothing(folder: Path) -> None:
    before = names(folder)
    with recorded_run() as run:
        result = files.prune(str(folder), "*.log", 7)
    assert names(folder) == before
    assert result == {"dry_run": True, "looked_at": 3, "old": 2, "removed": 0, "bytes": 20, "links_skipped": 0}
    assert run.lines == [
        f"would remove {folder}/old.log (10 bytes, 10.0 days old)",
        f"would remove {folder}/older.log (10 bytes, 40.0 days old)",
        "2 of 3 files are old, 20 bytes; 0 removed",
    ]


def test_old_files_that_match_are_removed_and_named(folder: Path) -> None:
    with recorded_run() as run:
        result = files.prune(str(folder), "*.log", 7, dry_run=False)
    assert names(folder) == ["deep/old.log", "new.log", "old.txt"]
    assert (result["removed"], result["bytes"]) == (2, 20)
    assert f"removed {folder}/old.log (10 bytes, 10.0 days old)" in run.lines


def test_folders_inside_are_searched_when_asked_and_never_removed(folder: Path) -> None:
    with recorded_run():
        files.prune(str(folder), "*", 7, dry_run=False, recursive=True)
    assert names(folder) == ["new.log"]
    assert (folder / "deep").is_dir()


def test_a_part_of_a_day_counts(folder: Path) -> None:
    make(folder / "half.log", 0.6)
    with recorded_run():
        assert files.prune(str(folder), "half.*", 0.5)["old"] == 1
        assert files.prune(str(folder), "half.*", 0.7)["old"] == 0


def test_links_are_neither_followed_nor_removed(folder: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside" / "old.log", 100)
    (folder / "link.log").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    with recorded_run():
        result = files.prune(str(folder), "*.log", 7, dry_run=False, recursive=True)
    assert outside.exists()
    assert (folder / "link.log").is_symlink()
    assert result["links_skipped"] == 1


def test_a_folder_given_as_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to("/etc")
    with recorded_run(), pytest.raises(files.FolderRefused, match="/etc is refused"):
        files.prune(str(tmp_path / "innocent"), "*", 0, dry_run=False)


def test_only_ordinary_files_are_removed(folder: Path) -> None:
    os.mkfifo(folder / "pipe.log")
    with recorded_run():
        files.prune(str(folder), "*.log", 0, dry_run=False)
    assert (folder / "pipe.log").exists()


@pytest.mark.parametrize("where", ["/", "/etc", "/etc/cron.d", "/usr/lib", "/var", "/home", "/tmp", "/tmp/../etc"])
def test_folders_that_hold_more_than_old_files_are_refused(where: str) -> None:
    with recorded_run(), pytest.raises(files.FolderRefused):
        files.prune(where, "*", 0) if Path(where).exists() else files.checked_folder("/")


def test_home_and_the_servers_own_folder_and_all_above_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "people" / "ann", tmp_path / "apps" / "carillon"
    for path in (home / "logs", here / "logs"):
        path.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    for refused in (home, home.parent, here, here.parent, tmp_path):
        with pytest.raises(files.FolderRefused):
            files.checked_folder(str(refused))
    for fine in (home / "logs", here / "logs"):
        assert files.checked_folder(str(fine)) == fine.resolve()


def test_a_folder_that_is_missing_or_a_file_fails_the_run(folder: Path) -> None:
    with recorded_run():
        with pytest.raises(FileNotFoundError):
            files.prune(str(folder / "gone"), "*", 1)
        with pytest.raises(NotADirectoryError):
            files.prune(str(folder / "old.log"), "*", 1)


def test_a_file_that_cannot_be_removed_fails_the_run_after_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def refuse_one(name: Any, *, dir_fd: int | None = None) -> None:
        if name == "old.log":
            raise PermissionError(13, "Permission denied")
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse_one)
    with (
        recorded_run() as run,
        pytest.raises(files.PruneFailed, match=r"^1 could not be .*old\.log: Permission denied"),
    ):
        files.prune(str(folder), "*.log", 7, dry_run=False)
    assert not (folder / "older.log").exists()
    assert ("error", f"failed: {folder}/old.log: Permission denied") in [entry[1:] for entry in run.entries]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_fails_the_run_after_the_others(folder: Path) -> None:
    (folder / "deep").chmod(0)
    try:
        with recorded_run(), pytest.raises(files.PruneFailed, match="deep: Permission denied"):
            files.prune(str(folder), "*.log", 7, dry_run=False, recursive=True)
    finally:
        (folder / "deep").chmod(0o700)
    assert names(folder) == ["deep/old.log", "new.log", "old.txt"]


def test_a_run_that_should_stop_removes_nothing_more(folder: Path) -> None:
    with recorded_run() as run:
        run.stop = True
        with pytest.raises(Stopped):
            files.prune(str(folder), "*.log", 7, dry_run=False)
    assert "old.log" in names(folder)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("folder", "logs", "must be an absolute path, beginning with /"),
        ("pattern", "", "must be a pattern for file names such as *.log, without folders"),
        ("pattern", "../*", "must be a pattern for file names such as *.log, without folders"),
        ("older_than_days", -1, "must be at least 0"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_stored(field: str, value: Any, message: str) -> None:
    arguments = {"folder": "/srv/logs", "pattern": "*.log", "older_than_days": 7, field: value}
    with registry.temporary(), pytest.raises(Invalid) as caught:
        registry.get("files.prune").validate([], arguments)
    assert caught.value.fields == {field: [message]}
