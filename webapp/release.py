"""Which Carillon this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


@cache
def version() -> str:
    """The version, as pages and the API's description show it."""
    try:
        return installed("carillon")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "(not installed)"
