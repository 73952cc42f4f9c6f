"""Chain the entries of the audit by hash; they are numbered from 1 without a gap."""

import sqlalchemy as sa
from alembic import op
from flask import current_app

from webapp.domain import chain
from webapp.store.types import BigId, UtcDateTime, key, long_text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

AUDIT = sa.table(
    "audit_entry",
    sa.column("id", BigId),
    sa.column("at", UtcDateTime),
    sa.column("actor", sa.String),
    sa.column("via", sa.String),
    sa.column("address", sa.String),
    sa.column("action", sa.String),
    sa.column("object_type", sa.String),
    sa.column("object_id", sa.String),
    sa.column("before", sa.JSON(none_as_null=True)),
    sa.column("after", sa.JSON(none_as_null=True)),
    sa.column("hash", sa.String),
)
INSTALLATION = sa.table(
    "installation", sa.column("name", key(64)), sa.column("value", long_text()), sa.column("updated_at", UtcDateTime)
)


def upgrade() -> None:
    with op.batch_alter_table("audit_entry") as table:
        table.add_column(sa.Column("hash", sa.String(length=64), nullable=False, server_default=""))
    _chain(op.get_bind())
    with op.batch_alter_table("audit_entry") as table:
        table.alter_column("hash", existing_type=sa.String(length=64), existing_nullable=False, server_default=None)
    op.create_index("ix_audit_entry_actor", "audit_entry", ["actor", "id"], unique=False)
    op.create_index("ix_audit_entry_action", "audit_entry", ["action", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_audit_entry_action", table_name="audit_entry")
    op.drop_index("ix_audit_entry_actor", table_name="audit_entry")
    with op.batch_alter_table("audit_entry") as table:
        table.drop_column("hash")
    op.execute(sa.delete(INSTALLATION).where(INSTALLATION.c.name == "audit"))


def _chain(connection: sa.Connection) -> None:
    """Number and chain what stands there already, in its order, and seal its end."""
    count, last, at = 0, chain.GENESIS, None
    while rows := connection.execute(sa.select(AUDIT).where(AUDIT.c.hash == "").order_by(AUDIT.c.id).limit(500)).all():
        for row in rows:
            count += 1
            at = row.at
            content = {name: getattr(row, name) for name in AUDIT.c.keys() if name != "hash"}  # noqa: SIM118
            content |= {"id": count, "at": row.at.isoformat(timespec="microseconds")}
            last = chain.link(last, content)
            connection.execute(sa.update(AUDIT).where(AUDIT.c.id == row.id).values(id=count, hash=last))
    if at is not None:
        sealed = chain.seal(current_app.config["CARILLON"].signing_key, count, last)
        value = chain.canonical({"count": count, "hash": last, "seal": sealed}).decode()
        connection.execute(sa.insert(INSTALLATION).values(name="audit", value=value, updated_at=at))
