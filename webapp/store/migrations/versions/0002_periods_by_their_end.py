"""Find the periods in which jobs were served by their end, for the balance of a window."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_job_revision_until", "job_revision", ["serving", "until_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_job_revision_until", table_name="job_revision")
