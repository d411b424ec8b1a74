"""Computations, things that happen once, approvals, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "computations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("contract_digest", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )
    home = sa.text("role = 'HOME' AND request_id != ''")
    op.create_index(
        "computations_request",
        "computations",
        ["requester", "request_id"],
        unique=True,
        sqlite_where=home,
        postgresql_where=home,
    )
    participant = sa.text("role = 'PARTICIPANT'")
    op.create_index(
        "computations_contract",
        "computations",
        ["contract_digest"],
        unique=True,
        sqlite_where=participant,
        postgresql_where=participant,
    )
    op.create_index("computations_newest", "computations", ["created", "id"])
    op.create_index("computations_of", "computations", ["requester", "created", "id"])
    op.create_index("computations_state", "computations", ["state", "created"])
    op.create_table(
        "once",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("issuer", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("expires", sa.BigInteger()),
    )
    op.create_index("once_expires", "once", ["expires"])
    op.create_table(
        "approvals",
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("approval", sa.Text(), nullable=False),
    )
    op.create_table(
        "facts",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("record", sa.Text(), nullable=False),
    )
    tree = op.create_table(
        "tree",
        sa.Column(
            "id", sa.Integer(), sa.CheckConstraint("id = 1", name="tree_is_one"), primary_key=True, autoincrement=False
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.Text(), nullable=False),
    )
    op.bulk_insert(tree, [{"id": 1, "size": 0, "frontier": ""}])
