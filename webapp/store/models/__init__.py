"""The tables (DESIGN section 3)."""

from webapp.store.models.account import ApiToken, AuditEntry, Secret, User, UserSession
from webapp.store.models.calendar import Calendar, CalendarRevision
from webapp.store.models.engine import EngineEvent, Installation, SchedulerLease, SchedulerSpan, Worker
from webapp.store.models.job import Job, JobRevision, JobTag, JobWords
from webapp.store.models.job_copy import JobCopy
from webapp.store.models.run import Run, RunLog, Sending

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Calendar",
    "CalendarRevision",
    "EngineEvent",
    "Installation",
    "Job",
    "JobCopy",
    "JobRevision",
    "JobTag",
    "JobWords",
    "Run",
    "RunLog",
    "SchedulerLease",
    "SchedulerSpan",
    "Secret",
    "Sending",
    "User",
    "UserSession",
    "Worker",
]
