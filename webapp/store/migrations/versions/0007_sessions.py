"""Browser sessions as rows, so that they can be listed and ended."""

import sqlalchemy as sa
from alembic import op

from webapp.store.types import BigId, UtcDateTime, key

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "user_session",
        sa.Column("id", key(64), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_session_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_user_session"),
    )
    op.create_index("ix_user_session_seen", "user_session", ["seen_at"], unique=False)
    op.create_index("ix_user_session_user", "user_session", ["user_id", "seen_at"], unique=False)


def downgrade() -> None:
    op.drop_table("user_session")
