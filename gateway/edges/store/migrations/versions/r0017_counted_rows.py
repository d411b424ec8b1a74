"""Of an answer that counts the people of chosen codes alone, the rows that these are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("answers", sa.Column("counted", sa.LargeBinary(), nullable=True))
