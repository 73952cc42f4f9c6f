"""Remember what stands in the job stores beside the catalogue."""

import sqlalchemy as sa
from alembic import op

from webapp.store.types import UtcDateTime, key

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_copy",
        sa.Column("jobstore", key(64), nullable=False),
        sa.Column("job_id", key(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("next_run_at", UtcDateTime(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("jobstore", "job_id", name=op.f("pk_job_copy")),
    )
    op.create_index("ix_job_copy_job", "job_copy", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_job_copy_job", table_name="job_copy")
    op.drop_table("job_copy")
