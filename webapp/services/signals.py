"""What services say after a commit, for those in the same process who wait for it (the engine wakes at once).

Other processes see the change by themselves within a second. A receiver must only set a flag: it runs in the request.
"""

from __future__ import annotations

from blinker import Signal

catalogue_changed = Signal("a job was added, changed or removed")
runs_queued = Signal("a run was added that may start, or one was asked to stop")
