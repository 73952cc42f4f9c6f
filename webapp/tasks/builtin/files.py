"""Removes old files from a folder: logs, exports, backups."""

from __future__ import annotations

import fnmatch
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from webapp.tasks import RunContext, current_run, task

_DAY_S = 86_400
_SYSTEM_TREES = tuple(
    Path(name)
    for name in ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr")
)
_SHARED_FOLDERS = tuple(
    Path(name)
    for name in ("/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var", "/Users")  # noqa: S108
)


class FolderRefused(ValueError):
    """The folder is one that nobody means to clear out."""


class PruneFailed(RuntimeError):
    """Some old files could not be removed, or some folders not be read. The others were handled."""


@dataclass
class Tally:
    """What a pass over the folder came to. ``size`` is in bytes, of the files that were or would be removed."""

    looked_at: int = 0
    old: int = 0
    removed: int = 0
    size: int = 0
    links_skipped: int = 0
    failed: int = 0
    first_failure: str = ""

    def note_failure(self, error: OSError, path: str = "") -> None:
        """Count a file that could not be removed, or a folder that could not be read, and write it to the log."""
        text = f"{path or error.filename}: {error.strerror}"
        self.failed += 1
        self.first_failure = self.first_failure or text
        current_run().log(f"failed: {text}", level="error")


@dataclass(frozen=True)
class Candidate:
    """A file that is old enough. ``folder_fd`` stays open while it is looked at, so no link can be put in between."""

    path: str
    name: str
    folder_fd: int
    size: int
    age_s: float


def absolute_folder(text: str) -> str:
    """Raises ValueError unless it is an absolute path."""
    if not os.path.isabs(text):
        raise ValueError("must be an absolute path, beginning with /")
    return text


def file_pattern(text: str) -> str:
    """Raises ValueError for an empty pattern and for one with folders in it."""
    if not text.strip() or "/" in text:
        raise ValueError("must be a pattern for file names such as *.log, without folders")
    return text.strip()


@task(key="files.prune", title="Remove old files")
def prune(
    folder: Annotated[str, AfterValidator(absolute_folder)],
    pattern: Annotated[str, AfterValidator(file_pattern)],
    older_than_days: Annotated[float, Field(ge=0, le=36_500)],
    dry_run: bool = True,
    recursive: bool = False,
) -> dict[str, Any]:
    """Remove files that nobody has changed for some time, and list each one in the log.

    Folders stay, also empty ones. Symbolic links are neither followed nor removed. Refuses the root folder, home
    folders, the system's own folders and the folder the server runs in.

    Args:
        folder: Absolute path of the folder to look in.
        pattern: Names of the files, such as *.log or backup-*.tar.gz; upper and lower case count.
        older_than_days: Only files last changed longer ago than this; 0.5 is twelve hours.
        dry_run: Only list what would be removed. Untick it once the list is right.
        recursive: Look in the folders inside, too.
    """
    run = current_run()
    root = checked_folder(folder)
    tally = Tally()
    for found in _old_files(root, pattern, older_than_days * _DAY_S, recursive, tally):
        run.check_stop()
        _handle(found, dry_run, run, tally)
    run.log(f"{tally.old} of {tally.looked_at} files are old, {tally.size} bytes; {tally.removed} removed")
    if tally.failed:
        raise PruneFailed(f"{tally.failed} could not be read or removed; first: {tally.first_failure}")
    return {
        "dry_run": dry_run,
        "looked_at": tally.looked_at,
        "old": tally.old,
        "removed": tally.removed,
        "bytes": tally.size,
        "links_skipped": tally.links_skipped,
    }


def checked_folder(text: str) -> Path:
    """The folder with links resolved. Raises FolderRefused, and NotADirectoryError or FileNotFoundError."""
    folder = Path(text).resolve(strict=True)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    home, here = Path.home().resolve(), Path.cwd().resolve()
    above = {home, *home.parents, here, *here.parents, *_SHARED_FOLDERS}
    if folder in above or any(folder.is_relative_to(tree) for tree in _SYSTEM_TREES):
        raise FolderRefused(f"{folder} is refused: it holds more than old files. Name a folder further down")
    return folder


def _old_files(root: Path, pattern: str, age_s: float, recursive: bool, tally: Tally) -> Iterator[Candidate]:
    now = time.time()
    for folder, inner, names, folder_fd in os.fwalk(root, follow_symlinks=False, onerror=tally.note_failure):
        if not recursive:
            inner.clear()
        for name in sorted(names):
            if not fnmatch.fnmatchcase(name, pattern):
                continue
            try:
                status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
            except FileNotFoundError:  # gone since the folder was listed
                continue
            if stat.S_ISLNK(status.st_mode):
                tally.links_skipped += 1
            elif stat.S_ISREG(status.st_mode):
                tally.looked_at += 1
                if now - status.st_mtime > age_s:
                    path = os.path.join(folder, name)
                    yield Candidate(path, name, folder_fd, status.st_size, now - status.st_mtime)


def _handle(found: Candidate, dry_run: bool, run: RunContext, tally: Tally) -> None:
    tally.old += 1
    age = f"{found.size} bytes, {found.age_s / _DAY_S:.1f} days old"
    if dry_run:
        run.log(f"would remove {found.path} ({age})")
        tally.size += found.size
        return
    try:
        os.unlink(found.name, dir_fd=found.folder_fd)
    except FileNotFoundError:
        run.log(f"already gone: {found.path}")
    except OSError as error:
        tally.note_failure(error, found.path)
    else:
        run.log(f"removed {found.path} ({age})")
        tally.removed += 1
        tally.size += found.size
