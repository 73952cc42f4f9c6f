"""What jobs are found by: their words and tags, beside the catalogue in narrow tables that the due pass never writes.

The rows follow the jobs by themselves: whoever stores a ``Job`` through a session writes them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, event, exists, func, insert, inspect, select
from sqlalchemy.orm import Mapper, Session

from webapp.store.models import Job, JobTag, JobWords

WORDS: Any = JobWords.__table__
_T: Any = JobTag.__table__
TAGS_MAX = 500


def escape_like(text: str) -> str:
    """``text`` for the inside of a LIKE pattern with ``\\`` as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def text_of(job_id: str, name: str, task: str, tags: Sequence[str]) -> str:
    """The words of a job as they are searched: one below the other, without regard to case."""
    return "\n".join((name, job_id, task, *tags)).casefold()


def has_tag(job_id: Any, tag: str) -> Any:
    """Whether this job (a column) has the tag."""
    return exists().where(_T.c.job_id == job_id, _T.c.tag == tag)


def contain(words: Any, q: str) -> Any:
    """The condition that a row of words contains ``q``, in any case."""
    return words.c.text.like(f"%{escape_like(q.casefold())}%", escape="\\")


def matching(session: Session, q: str, limit: int) -> list[str]:
    """Ids of jobs whose words contain ``q``; no particular ones, when there are more than ``limit``."""
    return list(session.scalars(select(WORDS.c.job_id).where(contain(WORDS, q)).limit(limit)))


def tags(session: Session) -> list[str]:
    """Every tag in use, sorted, up to TAGS_MAX; goes from one to the next in the index and reads no others."""
    first: Select[Any] = select(func.min(_T.c.tag).label("tag"))
    found = first.cte("found", recursive=True)
    following = select(select(func.min(_T.c.tag)).where(_T.c.tag > found.c.tag).scalar_subquery())
    walk = found.union_all(following.where(found.c.tag.is_not(None)))
    rows = session.scalars(select(walk.c.tag).where(walk.c.tag.is_not(None)).limit(TAGS_MAX))
    return sorted(row for row in rows if row is not None)


# -- following the catalogue -------------------------------------------------------------------------------------------


def write(connection: Connection, jobs: Sequence[Any]) -> None:
    """Insert the words and tags of jobs (rows or objects) that have none yet."""
    words = [{"job_id": j.id, "task": j.task, "text": text_of(j.id, j.name, j.task, j.tags or ())} for j in jobs]
    tagged = [{"job_id": job.id, "tag": tag} for job in jobs for tag in dict.fromkeys(job.tags or ())]
    if words:
        connection.execute(insert(WORDS), words)
    if tagged:
        connection.execute(insert(_T), tagged)


@event.listens_for(Job, "after_insert")
def _inserted(mapper: Mapper[Any], connection: Connection, job: Job) -> None:
    write(connection, [job])


@event.listens_for(Job, "after_update")
def _updated(mapper: Mapper[Any], connection: Connection, job: Job) -> None:
    state = inspect(job)
    if any(state.attrs[name].history.has_changes() for name in ("name", "task", "tags")):
        connection.execute(delete(WORDS).where(WORDS.c.job_id == job.id))
        connection.execute(delete(_T).where(_T.c.job_id == job.id))
        write(connection, [job])
