"""An agent's ledger: which table the rows of an answer were shown in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("answers", sa.Column("shown_as", sa.Text(), nullable=False, server_default=""))
