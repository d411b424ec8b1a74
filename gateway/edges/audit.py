"""The audit log in the database: facts in the order they were written, under one Merkle tree.

Invariants: facts are appended in the transaction of what they are about, or in none; what is hashed is what
is stored, byte for byte; no fact breaks a line, whatever names strangers chose (`gateway.rules.text`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact, TreeHead
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import facts as facts_table
from gateway.edges.store.tables import tree
from gateway.rules import merkle
from gateway.rules.records import from_bytes, to_bytes
from gateway.rules.text import escaped


class StoredAuditLog:
    """`AuditLog` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def append(self, facts: Sequence[Fact]) -> TreeHead:
        return await self._connections.write(lambda connection: append_facts(connection, facts))

    async def head(self) -> TreeHead:
        async def work(connection: AsyncConnection) -> TreeHead:
            return _head(await _frontier(connection, change=False))

        return await self._connections.read(work)

    async def read(self, *, start: int, limit: int) -> Sequence[Fact]:
        """Facts from position `start` (the first is 0) on."""
        if start < 0 or limit < 1:
            raise IsthmusError(
                Reason.INVALID_ARGUMENT,
                "the audit log is read from position 0 on, one fact at least",
                field="limit" if start >= 0 else "start",
                advice="Give a start of 0 or more and a limit of 1 or more",
            )
        wanted = (
            select(facts_table.c.record)
            .where(facts_table.c.position >= start)
            .order_by(facts_table.c.position)
            .limit(limit)
        )

        async def work(connection: AsyncConnection) -> Sequence[Fact]:
            found = (await connection.execute(wanted)).scalars()
            return tuple(from_bytes(Fact, body, what="fact", reason=Reason.INTERNAL) for body in found)

        return await self._connections.read(work)


async def append_facts(connection: AsyncConnection, facts: Sequence[Fact]) -> TreeHead:
    """Append inside the caller's transaction; other writers wait for its end."""
    before = await _frontier(connection, change=True)
    if not facts:
        return _head(before)
    bodies = [to_bytes(_one_line(fact)) for fact in facts]
    after = merkle.grown(before, bodies)
    # The position is the primary key: a tree that is behind its facts fails here instead of forking.
    rows = [{"position": before.size + n, "record": body.decode()} for n, body in enumerate(bodies)]
    await connection.execute(insert(facts_table), rows)
    await connection.execute(
        update(tree).values(size=after.size, frontier=" ".join(subtree.hex() for subtree in after.roots))
    )
    return _head(after)


async def _frontier(connection: AsyncConnection, *, change: bool) -> merkle.Frontier:
    wanted = select(tree.c.size, tree.c.frontier)
    size, roots = (await connection.execute(wanted.with_for_update() if change else wanted)).one()
    return merkle.Frontier(size, tuple(bytes.fromhex(subtree) for subtree in roots.split()))


def _head(frontier: merkle.Frontier) -> TreeHead:
    return TreeHead(frontier.size, merkle.root(frontier).hex())


def _one_line(fact: Fact) -> Fact:
    return dataclasses.replace(
        fact,
        kind=escaped(fact.kind),
        subject=escaped(fact.subject),
        about=escaped(fact.about),
        detail=escaped(fact.detail),
    )
