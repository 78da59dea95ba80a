"""The key service's requests and uses; uses are append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "key_requests",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("use", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(length=8), nullable=False),
        sa.Column("card", sa.String(length=16), nullable=False),
        sa.Column("region", sa.String(length=6), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("requested_ms", sa.BigInteger(), nullable=False),
        sa.Column("approved_ms", sa.BigInteger(), nullable=True),
        sa.Column("authenticated_ms", sa.BigInteger(), nullable=True),
        sa.Column("computed_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["terminal"], ["terminals.terminal"], name=op.f("fk_key_requests_terminal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_requests")),
    )
    op.create_index(op.f("ix_key_requests_terminal"), "key_requests", ["terminal"], unique=False)
    op.create_table(
        "key_uses",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("use", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(length=8), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("request_id", SERIAL, nullable=True),
        sa.Column("refusal", sa.String(length=8), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["key_requests.id"], name=op.f("fk_key_uses_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_uses")),
    )
    op.create_index("ix_key_uses_terminal", "key_uses", ["terminal", "at_ms"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER key_uses_no_{change.lower()} BEFORE {change} ON key_uses "
                "BEGIN SELECT RAISE(ABORT, 'key_uses is append-only'); END"
            )
