"""Secrets that tasks are given by name."""

import sqlalchemy as sa
from alembic import op

from webapp.store.types import BigId, UtcDateTime, key, long_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secret",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", key(64), nullable=False),
        sa.Column("about", sa.String(length=200), nullable=False),
        sa.Column("sealed", long_text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_secret"),
        sa.UniqueConstraint("name", name="uq_secret_name"),
    )


def downgrade() -> None:
    op.drop_table("secret")
