"""Codes of the login page, and the inbound tokens for which others were issued."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "codes",
        sa.Column("hash", sa.Text(), primary_key=True),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )
    op.create_index("codes_expires", "codes", ["expires"])
    op.create_table(
        "evidence",
        sa.Column("jti", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )
    op.create_index("evidence_digest", "evidence", ["digest"])
