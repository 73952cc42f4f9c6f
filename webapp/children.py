"""What the process of a run needs to build its app, imported once by the fork server so that no run waits for it."""

import httpx

from webapp import api, cli, serving, web

__all__ = ["api", "cli", "httpx", "serving", "web"]
