"""An agent keeps the contracts that it approved: what was asked of its space, by whom, when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("approvals", sa.Column("contract", sa.Text(), nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("question", sa.Text(), nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("initiator", sa.Text(), nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("at", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("approvals_newest", "approvals", ["at", "digest"])
    op.create_index("approvals_question", "approvals", ["question"])
