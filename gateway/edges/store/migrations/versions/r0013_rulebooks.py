"""An anchor keeps every version of its federation's rulebook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "rulebooks",
        sa.Column("version", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
