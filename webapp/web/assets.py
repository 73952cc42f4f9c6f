"""Files that pages load: our own under /static, and htmx from its package. Their addresses carry a version, so that
browsers may keep them for a year.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path

from flask import Blueprint, Response, current_app, url_for

from webapp.domain.errors import NotFound

YEAR_S = 365 * 86_400
KEEP = f"public, max-age={YEAR_S}, immutable"

blueprint = Blueprint("assets", __name__)


@cache
def htmx_source() -> bytes:
    return resources.files("js_lib_htmx").joinpath("static/htmx/htmx.min.js").read_bytes()


@cache
def htmx_version() -> str:
    """The version that the file itself states."""
    found = re.search(rb'version:"([^"]+)"', htmx_source())
    if found is None:
        raise RuntimeError("the installed htmx does not state its version")
    return found.group(1).decode()


@blueprint.get("/assets/htmx-<version>.min.js")
def htmx(version: str) -> Response:
    if version != htmx_version():
        raise NotFound("There is no such version of htmx here.")
    return Response(htmx_source(), mimetype="text/javascript", headers={"Cache-Control": KEEP})


def htmx_url() -> str:
    return url_for("assets.htmx", version=htmx_version())


def asset_url(name: str) -> str:
    """The address of a file under /static, with a version made from its content."""
    return url_for("static", filename=name, v=_digest(_path(name), _path(name).stat().st_mtime_ns))


def _path(name: str) -> Path:
    return Path(str(current_app.static_folder)) / name


@cache
def _digest(path: Path, changed_ns: int) -> str:
    """``changed_ns`` is the file's time stamp, so that an edited file is read again."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
