"""Uses of a key are counted; a use may be counted on, and nothing else of it changed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEPT = ("id", "at_ms", "terminal", "step", "use", "key", "algorithm", "version", "request_id", "refusal")


def upgrade() -> None:
    """Add the count and the time of the last."""
    op.add_column("key_uses", sa.Column("count", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("key_uses", sa.Column("last_ms", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in KEPT)
        op.execute("DROP TRIGGER key_uses_no_update")
        op.execute(
            f"CREATE TRIGGER key_uses_no_update BEFORE UPDATE ON key_uses WHEN {changed}"
            " OR NEW.count IS NOT OLD.count + 1 OR NEW.last_ms IS NULL OR NEW.last_ms < OLD.at_ms"
            " BEGIN SELECT RAISE(ABORT, 'key_uses is append-only'); END"
        )
