"""Which queued runs were sent to a broker, for executors that run elsewhere."""

import sqlalchemy as sa
from alembic import op

from webapp.store.types import BigId, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sending",
        sa.Column("run_id", BigId, autoincrement=False, nullable=False),
        sa.Column("executor", sa.String(length=64), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_sending"),
    )


def downgrade() -> None:
    op.drop_table("sending")
