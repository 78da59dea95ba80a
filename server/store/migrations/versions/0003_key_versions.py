"""Which version of a key was used; the uses before were of the first."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the version."""
    op.add_column("key_uses", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
