"""When a computation ended and what is kept of it, and when a token was exchanged: what is deleted in its time."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
LIVE = ("PENDING", "AWAITING_APPROVAL", "AGREED", "RUNNING")


def upgrade() -> None:
    op.add_column("computations", sa.Column("ended", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("computations", sa.Column("kept", sa.Text(), nullable=False, server_default="record"))
    op.create_index("computations_kept", "computations", ["kept", "ended"])
    op.add_column("evidence", sa.Column("at", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("evidence_at", "evidence", ["at"])
    connection = op.get_bind()
    names = ("id", "state", "record", "ended", "kept")
    computations = sa.table("computations", *(sa.column(name) for name in names))
    for id, state, record in connection.execute(
        sa.select(computations.c.id, computations.c.state, computations.c.record)
    ).fetchall():
        stored = json.loads(record)
        kept = "result" if stored.get("shares") or stored.get("views") else "record"
        ended = 0 if state in LIVE else stored["updated"]
        connection.execute(sa.update(computations).where(computations.c.id == id).values(ended=ended, kept=kept))
    evidence = sa.table("evidence", sa.column("jti"), sa.column("record"), sa.column("at"))
    for jti, record in connection.execute(sa.select(evidence.c.jti, evidence.c.record)).fetchall():
        at = json.loads(record)["at"]
        connection.execute(sa.update(evidence).where(evidence.c.jti == jti).values(at=at))
