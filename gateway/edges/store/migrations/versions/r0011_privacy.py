"""An agent's ledger: what an answer with noise cost, and who asked for it first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("answers", sa.Column("charge", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("answers", sa.Column("asker", sa.Text(), nullable=False, server_default=""))
