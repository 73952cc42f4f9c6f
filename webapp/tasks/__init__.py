"""Tasks: the functions that may be scheduled, and the run they find themselves in.

What is exported here is the interface for a user's own modules. This room knows no database tables and no server; it
is handed a sink for what a run says.
"""

from webapp.tasks.context import OutsideRun, RunContext, Stopped, activate, current_run
from webapp.tasks.definition import Task
from webapp.tasks.loading import ImportProblem
from webapp.tasks.markers import LongText, Multiline, Secret, SecretRef
from webapp.tasks.output import RunSink
from webapp.tasks.redaction import MASK
from webapp.tasks.register import Registry, registry, task
from webapp.tasks.signature import Parameter

__all__ = [
    "MASK",
    "ImportProblem",
    "LongText",
    "Multiline",
    "OutsideRun",
    "Parameter",
    "Registry",
    "RunContext",
    "RunSink",
    "Secret",
    "SecretRef",
    "Stopped",
    "Task",
    "activate",
    "current_run",
    "registry",
    "task",
]
