"""Answers about one person, so that a case and a day have a quota."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "person_answers",
        sa.Column("dataset", sa.Text(), primary_key=True),
        sa.Column("contract", sa.Text(), primary_key=True),
        sa.Column("asker", sa.Text(), nullable=False),
        sa.Column("case_reference", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("person_answers_of", "person_answers", ["dataset", "asker", "at"])
