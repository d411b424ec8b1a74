"""Whose hands a space was in that has spent of a privacy budget: a budget outlives what is believed of its spenders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "spenders",
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("operator", sa.Text(), nullable=False),
    )
