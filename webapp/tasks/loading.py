"""Imports the modules that define tasks. Whatever happens in a module, only KeyboardInterrupt gets out of here."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import traceback as tracebacks
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from webapp.domain.errors import CarillonError

ENTRY_POINT_GROUP = "carillon.tasks"


@dataclass(frozen=True)
class ImportProblem:
    """Why a module's tasks are missing, or what is odd about one: shown on the Tasks page."""

    module: str
    error: str
    """One line."""
    traceback: str = ""


def make_folder_importable() -> None:
    """Put the current folder at the end of the import path: gunicorn and ``python app.py`` differ in what they add.

    At the end, so that a file there never stands in for an installed module.
    """
    folder = os.getcwd()
    if not {folder, ""} & set(sys.path):
        sys.path.append(folder)
        importlib.invalidate_caches()


def import_module(name: str) -> ModuleType | ImportProblem:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may also call sys.exit
        return _problem(name, error)


def import_entry_point(entry: importlib.metadata.EntryPoint) -> Any:
    """What the entry point names: a module, a function, or an ImportProblem."""
    try:
        return entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _problem(f"{entry.name} = {entry.value}", error)


def _problem(module: str, error: BaseException) -> ImportProblem:
    return ImportProblem(module, _one_line(module, error), "".join(tracebacks.format_exception(error)))


def _one_line(module: str, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the module ended the program while it was imported (SystemExit: {error.code})"
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"No module named {error.name!r} in the current folder, on PYTHONPATH or among the installed packages"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({os.path.basename(error.filename)}, line {error.lineno})"
    text = tracebacks.format_exception_only(error)[-1].strip().partition("\n")[0]
    return str(error) if isinstance(error, CarillonError) else text
