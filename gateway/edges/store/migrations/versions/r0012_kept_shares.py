"""Of an agent: the output shares that it keeps of released results, and which sessions were answered from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "kept_shares",
        sa.Column("contract", sa.Text(), primary_key=True),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("seats", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )
    op.create_index("kept_shares_question", "kept_shares", ["question"])
    op.create_index("kept_shares_session", "kept_shares", ["session"])
    op.create_index("kept_shares_at", "kept_shares", ["at"])
    op.create_table(
        "deliveries",
        sa.Column("session", sa.Text(), primary_key=True),
        sa.Column("contract", sa.Text(), nullable=False),
    )
    op.create_index("deliveries_contract", "deliveries", ["contract"])
