"""The first tables."""

import sqlalchemy as sa
from alembic import op

from webapp.store.types import BigId, UtcDateTime, key, long_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("via", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", key(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"], unique=False)
    op.create_index("ix_audit_entry_object", "audit_entry", ["object_type", "object_id"], unique=False)

    op.create_table(
        "calendar",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", key(100), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calendar"),
        sa.UniqueConstraint("name", name="uq_calendar_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "calendar_revision",
        sa.Column("id", BigId, nullable=False),
        sa.Column("calendar_id", BigId, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(length=24), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.Column("saved_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_revision"),
        sa.UniqueConstraint("calendar_id", "revision", name="uq_calendar_revision_calendar_id_revision"),
    )
    op.create_index("ix_calendar_revision_digest", "calendar_revision", ["digest"], unique=False)

    op.create_table(
        "engine_event",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_engine_event"),
    )
    op.create_index("ix_engine_event_at", "engine_event", ["at"], unique=False)

    op.create_table(
        "installation",
        sa.Column("name", key(64), nullable=False),
        sa.Column("value", long_text(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_installation"),
    )
    op.create_table(
        "job",
        sa.Column("id", key(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("task", key(), nullable=False),
        sa.Column("func", key(400), nullable=False),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("kwargs", sa.JSON(), nullable=False),
        sa.Column("trigger", sa.JSON(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("calendar_pins", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("jobstore", sa.String(length=64), nullable=False),
        sa.Column("executor", sa.String(length=64), nullable=False),
        sa.Column("coalesce", sa.Boolean(), nullable=False),
        sa.Column("max_instances", sa.Integer(), nullable=False),
        sa.Column("misfire_grace_s", sa.Integer(), nullable=True),
        sa.Column("overlap", sa.String(length=16), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=True),
        sa.Column("retry", sa.JSON(), nullable=False),
        sa.Column("rerun_if_lost", sa.Boolean(), nullable=False),
        sa.Column("auto_pause_after", sa.Integer(), nullable=True),
        sa.Column("chains", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("group", key(64), nullable=True),
        sa.Column("description", long_text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_reason", sa.String(length=500), nullable=True),
        sa.Column("next_due_at", UtcDateTime(), nullable=True),
        sa.Column("resume_at", UtcDateTime(), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("code_definition", sa.JSON(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_due", "job", ["state", "next_due_at"], unique=False)
    op.create_index("ix_job_name", "job", ["name"], unique=False)
    op.create_index("ix_job_resume", "job", ["resume_at"], unique=False)
    op.create_index("ix_job_updated", "job", ["updated_at"], unique=False)

    op.create_table(
        "job_revision",
        sa.Column("id", BigId, nullable=False),
        sa.Column("job_id", key(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(length=24), nullable=False),
        sa.Column("serving", sa.Boolean(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("until_at", UtcDateTime(), nullable=True),
        sa.Column("saved_by", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job_revision"),
        sa.UniqueConstraint("job_id", "revision", name="uq_job_revision_job_id_revision"),
    )
    op.create_table(
        "run",
        sa.Column("id", BigId, nullable=False),
        sa.Column("job_id", key(), nullable=False),
        sa.Column("job_name", sa.String(length=200), nullable=False),
        sa.Column("job_revision", sa.Integer(), nullable=False),
        sa.Column("task", key(), nullable=False),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("kwargs", sa.JSON(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("previous_id", BigId, nullable=True),
        sa.Column("next_id", BigId, nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("first_due_at", UtcDateTime(), nullable=True),
        sa.Column("due_count", sa.Integer(), nullable=False),
        sa.Column("available_at", UtcDateTime(), nullable=False),
        sa.Column("start_by_at", UtcDateTime(), nullable=True),
        sa.Column("group", key(64), nullable=True),
        sa.Column("follow_up", sa.Boolean(), nullable=False),
        sa.Column("cause_id", BigId, nullable=True),
        sa.Column("instances_max", sa.Integer(), nullable=True),
        sa.Column("queued_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("executor", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=True),
        sa.Column("worker", sa.String(length=120), nullable=True),
        sa.Column("requested_by", sa.String(length=120), nullable=True),
        sa.Column("stop_requested_at", UtcDateTime(), nullable=True),
        sa.Column("stop_requested_by", sa.String(length=120), nullable=True),
        sa.Column("progress", sa.Float(), nullable=True),
        sa.Column("progress_text", sa.String(length=200), nullable=True),
        sa.Column("result", long_text(), nullable=True),
        sa.Column("error", sa.String(length=1000), nullable=True),
        sa.Column("traceback", long_text(), nullable=True),
        sa.Column("log_lines", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("job_id", "due_at", "attempt", name="uq_run_job_id_due_at_attempt"),
    )
    op.create_index("ix_run_dispatch", "run", ["state", "executor", "rank", "available_at"], unique=False)
    op.create_index("ix_run_due", "run", ["due_at"], unique=False)
    op.create_index("ix_run_job", "run", ["job_id", "id"], unique=False)
    op.create_index("ix_run_job_state", "run", ["job_id", "state", "id"], unique=False)
    op.create_index("ix_run_queued", "run", ["queued_at"], unique=False)
    op.create_index("ix_run_state", "run", ["state", "id"], unique=False)
    op.create_index("ix_run_updated", "run", ["updated_at"], unique=False)

    op.create_table(
        "scheduler_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("renewed_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_scheduler_lease"),
    )
    op.create_table(
        "scheduler_span",
        sa.Column("id", BigId, nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("until_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scheduler_span"),
    )
    op.create_index("ix_scheduler_span_until", "scheduler_span", ["until_at"], unique=False)

    op.create_table(
        "user",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", key(80), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_login_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("name", name="uq_user_name"),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("host", sa.String(length=120), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker"),
    )
    op.create_table(
        "api_token",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_api_token_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("token_hash", name="uq_api_token_token_hash"),
    )
    op.create_index("ix_api_token_user_id", "api_token", ["user_id"], unique=False)

    op.create_table(
        "run_log",
        sa.Column("id", BigId, nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("first_line", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("text", long_text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_run_log_run_id_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_run_log"),
        sa.UniqueConstraint("run_id", "first_line", name="uq_run_log_run_id_first_line"),
    )


def downgrade() -> None:
    op.drop_table("run_log")
    op.drop_index("ix_api_token_user_id", table_name="api_token")

    op.drop_table("api_token")
    op.drop_table("worker")
    op.drop_table("user")
    op.drop_index("ix_scheduler_span_until", table_name="scheduler_span")

    op.drop_table("scheduler_span")
    op.drop_table("scheduler_lease")
    op.drop_index("ix_run_updated", table_name="run")
    op.drop_index("ix_run_state", table_name="run")
    op.drop_index("ix_run_queued", table_name="run")
    op.drop_index("ix_run_job_state", table_name="run")
    op.drop_index("ix_run_job", table_name="run")
    op.drop_index("ix_run_due", table_name="run")
    op.drop_index("ix_run_dispatch", table_name="run")

    op.drop_table("run")
    op.drop_table("job_revision")
    op.drop_index("ix_job_updated", table_name="job")
    op.drop_index("ix_job_resume", table_name="job")
    op.drop_index("ix_job_name", table_name="job")
    op.drop_index("ix_job_due", table_name="job")

    op.drop_table("job")
    op.drop_table("installation")
    op.drop_index("ix_engine_event_at", table_name="engine_event")

    op.drop_table("engine_event")
    op.drop_index("ix_calendar_revision_digest", table_name="calendar_revision")

    op.drop_table("calendar_revision")
    op.drop_table("calendar")
    op.drop_index("ix_audit_entry_object", table_name="audit_entry")
    op.drop_index("ix_audit_entry_at", table_name="audit_entry")

    op.drop_table("audit_entry")
