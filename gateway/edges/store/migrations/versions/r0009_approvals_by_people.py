"""An agent's inbox: plans that people decide on, what they decided, and which editions were run under that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "plans",
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("initiator", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("seen_by", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=False),
    )
    op.create_index("plans_newest", "plans", ["delivered", "digest"])
    op.create_index("plans_of", "plans", ["initiator", "delivered"])
    op.create_table(
        "decisions",
        sa.Column("plan", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "plan_runs",
        sa.Column("plan", sa.Text(), primary_key=True),
        sa.Column("editions", sa.Text(), primary_key=True),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
