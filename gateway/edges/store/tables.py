"""What the database holds: whole records as canonical JSON beside the few columns that are searched.

Invariants: these tables and the newest migration describe the same schema (a test compares them), and
REVISION names that migration. A column repeats what the record says; the record is what counts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

REVISION = "0018"

metadata = MetaData()

computations = Table(
    "computations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("request_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("contract_digest", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    # Since when it has ended; 0 while it lives. `kept` is what can be deleted of it: result, record, or nothing.
    Column("ended", BigInteger, nullable=False, server_default="0"),
    Column("kept", Text, nullable=False, server_default="record"),
)

_home = (computations.c.role == "HOME") & (computations.c.request_id != "")
Index(
    "computations_request",
    computations.c.requester,
    computations.c.request_id,
    unique=True,
    sqlite_where=_home,
    postgresql_where=_home,
)
_participant = computations.c.role == "PARTICIPANT"
Index(
    "computations_contract",
    computations.c.contract_digest,
    unique=True,
    sqlite_where=_participant,
    postgresql_where=_participant,
)
Index("computations_newest", computations.c.created, computations.c.id)
Index("computations_of", computations.c.requester, computations.c.created, computations.c.id)
Index("computations_state", computations.c.state, computations.c.created)
Index("computations_kept", computations.c.kept, computations.c.ended)

once = Table(
    "once",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("issuer", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("expires", BigInteger),
)
Index("once_expires", once.c.expires)

# Of an agent: its approvals, each with the contract that it approves, as both were signed. Those of before 0008 have no
# contract. `question` is the digest of the canonical query.
approvals = Table(
    "approvals",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("approval", Text, nullable=False),
    Column("contract", Text, nullable=False, server_default=""),
    Column("question", Text, nullable=False, server_default=""),
    Column("initiator", Text, nullable=False, server_default=""),
    Column("at", BigInteger, nullable=False, server_default="0"),
)
Index("approvals_newest", approvals.c.at, approvals.c.digest)
Index("approvals_question", approvals.c.question)

# Of an agent: what its datasets have answered. Rows are known by number: `identities` are the 64-bit keyed hashes of
# the rows from number `first` on, one after the other.
known_rows = Table(
    "known_rows",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("identities", LargeBinary, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    # In the order of writing, so that whoever has read some reads on from there.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("edition", Text, nullable=False),
    # Names with a space between two.
    Column("sources", Text, nullable=False),
    # A Roaring bitmap of row numbers.
    Column("rows", LargeBinary, nullable=False),
    Column("contract", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    # The digest of the table that the rows were shown in; empty for one that hides no cell.
    Column("shown_as", Text, nullable=False, server_default=""),
    # What an answer with noise cost, in units of 1/10000 of ε, and the space that asked for it first.
    Column("charge", BigInteger, nullable=False, server_default="0"),
    Column("asker", Text, nullable=False, server_default=""),
    # As `rows`: those of them that have the codes which the question takes; NULL where it takes all.
    Column("counted", LargeBinary, nullable=True),
)

Index("answers_once", answers.c.dataset, answers.c.question, unique=True)

refusals = Table(
    "refusals",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("space", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("refusals_of", refusals.c.space, refusals.c.at)

# What was answered about one person: the case as the asking space names it.
person_answers = Table(
    "person_answers",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("contract", Text, primary_key=True),
    Column("asker", Text, nullable=False),
    Column("case_reference", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("person_answers_of", person_answers.c.dataset, person_answers.c.asker, person_answers.c.at)

beliefs = Table(
    "beliefs",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("issuer", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
# What the login page gave out, by the hash of the code.
codes = Table(
    "codes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("expires", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
)
Index("codes_expires", codes.c.expires)

# Inbound tokens, by the jti of what was issued for them.
evidence = Table(
    "evidence",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("at", BigInteger, nullable=False, server_default="0"),
)
Index("evidence_digest", evidence.c.digest)
Index("evidence_at", evidence.c.at)

facts = Table(
    "facts",
    metadata,
    # Counts from 0, as RFC 9162 counts leaves. INTEGER is what SQLite takes for a row's own number.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    # Exactly the bytes that were hashed.
    Column("record", Text, nullable=False),
)

# The root of every perfect subtree over the facts; level 0 is a fact's own hash, its position that of the fact.
nodes = Table(
    "nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

tree = Table(
    "tree",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="tree_is_one"), primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    # Roots of the perfect subtrees in hex, largest first, a space between two.
    Column("frontier", Text, nullable=False),
)

# Of an anchor: those for whom it vouches, and those it has invited.
members = Table(
    "members",
    metadata,
    Column("entity", Text, primary_key=True),
    # Counts the changes of all members, so that whoever has seen one asks for what came after it.
    Column("version", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
)
Index("members_version", members.c.version, unique=True)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("record", Text, nullable=False),
)

# Of an agent: the editions of its datasets that were published.
editions = Table(
    "editions",
    metadata,
    Column("dataset", Text, primary_key=True),
    # Counts from 1.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("row_bound", BigInteger, nullable=False),
    # A Roaring bitmap of the numbers of `known_rows`.
    Column("rows", LargeBinary, nullable=False),
    # Of its frozen copy, below the folder of editions; empty once that is deleted.
    Column("file", Text, nullable=False),
)
Index("editions_id", editions.c.dataset, editions.c.id, unique=True)
# Of an agent: what it keeps of released results, sealed to itself. `seats` are entities by pid, a space between two.
kept_shares = Table(
    "kept_shares",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("session", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("seats", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
)
Index("kept_shares_question", kept_shares.c.question)
Index("kept_shares_session", kept_shares.c.session)
Index("kept_shares_at", kept_shares.c.at)

# Of an agent: sessions that were answered from what is kept of an earlier contract.
deliveries = Table(
    "deliveries",
    metadata,
    Column("session", Text, primary_key=True),
    Column("contract", Text, nullable=False),
)
Index("deliveries_contract", deliveries.c.contract)
# Of an anchor: its federation's rulebook, every version with its text.
rulebooks = Table(
    "rulebooks",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# Of an agent: plans that people decide on, by their digest. Times are 0 for what has not happened.
plans = Table(
    "plans",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("plan", Text, nullable=False),
    Column("initiator", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    # The thumbprint of the key of whoever looked first.
    Column("seen_by", Text, nullable=False),
    Column("withdrawn", BigInteger, nullable=False),
)
Index("plans_newest", plans.c.delivered, plans.c.digest)
Index("plans_of", plans.c.initiator, plans.c.delivered)

# What stewards signed, each with the digest of its payload.
decisions = Table(
    "decisions",
    metadata,
    Column("plan", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# The sets of editions that were run under a plan, each with the contract that was first.
plan_runs = Table(
    "plan_runs",
    metadata,
    Column("plan", Text, primary_key=True),
    Column("editions", Text, primary_key=True),
    Column("contract", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Policies that stewards have signed: of each the newest, for each dataset.
proposals = Table(
    "proposals",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("signer", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

# Who has spent of a privacy budget, and those in the same hands: records, each as it was believed then.
spenders = Table(
    "spenders",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("operator", Text, nullable=False),
)

# As alembic makes it; apart, because alembic leaves its own table out when it compares.
version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


async def insert_new(connection: AsyncConnection, table: Table, row: dict[str, Any]) -> bool:
    """Insert `row` unless that would break a uniqueness; True when it was inserted."""
    # Only the dialect at hand is imported.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        done = await connection.execute(postgresql_insert(table).values(row).on_conflict_do_nothing())
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        done = await connection.execute(sqlite_insert(table).values(row).on_conflict_do_nothing())
    return done.rowcount == 1
