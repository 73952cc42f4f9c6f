"""Find the jobs of a job store without reading all of them."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_job_jobstore", "job", ["jobstore"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_job_jobstore", table_name="job")
