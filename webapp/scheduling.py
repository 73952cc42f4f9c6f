"""What code imports to declare jobs, before there is an app: ``from webapp.scheduling import scheduler``.

A server that starts stores what its modules declared; importing and building an app stores nothing.
"""

from __future__ import annotations

from webapp.tasks.declarations import Declarations

__all__ = ["scheduler"]

scheduler = Declarations()
