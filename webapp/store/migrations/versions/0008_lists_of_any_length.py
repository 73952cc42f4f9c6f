"""Let lists of any length be read by an index: the run history in its order, and what jobs are found by."""

import sqlalchemy as sa
from alembic import op

from webapp.store.types import key, long_text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BATCH = 1_000
NEW = {
    "run": {
        "ix_run_job": ["job_id", "queued_at", "id"],
        "ix_run_job_state": ["job_id", "state", "queued_at", "id"],
        "ix_run_state": ["state", "queued_at", "id"],
        "ix_run_queued": ["queued_at", "id"],
        "ix_run_task": ["task", "queued_at", "id"],
        "ix_run_trigger": ["trigger", "queued_at", "id"],
    },
    "job": {
        "ix_job_due": ["state", "next_due_at", "id"],
        "ix_job_name": ["name", "id"],
        "ix_job_updated": ["updated_at", "id"],
    },
}
OLD = {
    "run": {
        "ix_run_job": ["job_id", "id"],
        "ix_run_job_state": ["job_id", "state", "id"],
        "ix_run_state": ["state", "id"],
        "ix_run_queued": ["queued_at"],
    },
    "job": {"ix_job_due": ["state", "next_due_at"], "ix_job_name": ["name"], "ix_job_updated": ["updated_at"]},
}


def upgrade() -> None:
    _replace(OLD, NEW)
    op.create_table(
        "job_words",
        sa.Column("job_id", key(), nullable=False),
        sa.Column("task", key(), nullable=False),
        sa.Column("text", long_text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_words_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_words"),
    )
    op.create_index("ix_job_words_task", "job_words", ["task", "job_id"], unique=False)
    op.create_table(
        "job_tag",
        sa.Column("job_id", key(), nullable=False),
        sa.Column("tag", key(50), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_tag_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "tag", name="pk_job_tag"),
    )
    op.create_index("ix_job_tag_tag", "job_tag", ["tag", "job_id"], unique=False)
    _fill()


def downgrade() -> None:
    op.drop_table("job_tag")
    op.drop_table("job_words")
    _replace(NEW, OLD)


def _replace(old: dict[str, dict[str, list[str]]], new: dict[str, dict[str, list[str]]]) -> None:
    for table, indices in old.items():
        for name in indices:
            op.drop_index(name, table_name=table)
    for table, indices in new.items():
        for name, columns in indices.items():
            op.create_index(name, table, columns, unique=False)


def _fill() -> None:
    """Write down what the jobs that stand already are found by."""
    job = sa.table("job", *(sa.column(name) for name in ("id", "name", "task")), sa.column("tags", sa.JSON()))
    words = sa.table("job_words", *(sa.column(name) for name in ("job_id", "task", "text")))
    tag = sa.table("job_tag", sa.column("job_id"), sa.column("tag"))
    connection, last = op.get_bind(), ""
    while rows := connection.execute(sa.select(job).where(job.c.id > last).order_by(job.c.id).limit(BATCH)).all():
        last = rows[-1].id
        tags = {row.id: list(dict.fromkeys(row.tags or [])) for row in rows}
        found = [
            {
                "job_id": row.id,
                "task": row.task,
                "text": "\n".join((row.name, row.id, row.task, *tags[row.id])).casefold(),
            }
            for row in rows
        ]
        connection.execute(sa.insert(words), found)
        tagged = [{"job_id": job_id, "tag": each} for job_id, names in tags.items() for each in names]
        if tagged:
            connection.execute(sa.insert(tag), tagged)
