"""What may be scheduled, with its parameters, and what failed to import."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue

from webapp.tasks import registry


def index() -> ResponseReturnValue:
    return render_template("tasks/index.html", tasks=registry.all(), problems=registry.problems)
