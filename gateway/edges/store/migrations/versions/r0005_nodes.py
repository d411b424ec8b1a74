"""The roots of perfect subtrees over the audit log's facts, for proofs; made from the facts that are there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.rules import merkle

revision = "0005"
down_revision = "0004"
AT_ONCE = 1000


def upgrade() -> None:
    nodes = op.create_table(
        "nodes",
        sa.Column("level", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    facts = sa.table("facts", sa.column("position"), sa.column("record"))
    connection, frontier = op.get_bind(), merkle.Frontier()
    wanted = sa.select(facts.c.record).order_by(facts.c.position).limit(AT_ONCE)
    while records := list(connection.scalars(wanted.where(facts.c.position >= frontier.size))):
        frontier, made = merkle.with_nodes(frontier, [record.encode() for record in records])
        rows = [{"level": node.level, "position": node.index, "hash": node.hash} for node in made]
        connection.execute(sa.insert(nodes), rows)
