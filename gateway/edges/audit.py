"""The audit log in the database: facts in the order they were written, under one Merkle tree.

Invariants: facts are appended in the transaction of what they are about, or in none; what is hashed is what
is stored, byte for byte; nothing is appended to an end that does not fit its tree; no fact breaks a line, whatever
names strangers chose (`gateway.rules.text`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Break, Consistency, Fact, Inclusion, TreeHead
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import audit_tree
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import facts as facts_table
from gateway.edges.store.tables import nodes, tree
from gateway.rules import merkle, merkle_proofs
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
            return _head(await audit_tree.frontier(connection))

        return await self._connections.read(work)

    async def raw(self, *, start: int, limit: int) -> Sequence[tuple[int, str]]:
        """Positions and records from `start` on as they are stored, whatever was made of them."""
        wanted = select(facts_table.c.position, facts_table.c.record).where(facts_table.c.position >= start)

        async def work(connection: AsyncConnection) -> Sequence[tuple[int, str]]:
            found = await connection.execute(wanted.order_by(facts_table.c.position).limit(limit))
            return [(position, record) for position, record in found]

        return await self._connections.read(work)

    async def head_at(self, size: int) -> TreeHead:
        """What the head was when the log had `size` records. Raises IsthmusError(INVALID_ARGUMENT) if it has fewer."""
        return await self._connections.read(lambda connection: _past_head(connection, size))

    async def include(self, position: int, size: int | None = None) -> Inclusion:
        """The proof that the record at `position` is in the log of `size` records, by default of all."""

        async def work(connection: AsyncConnection) -> Inclusion:
            head = await _past_head(connection, size)
            path = await _path(connection, lambda: merkle_proofs.inclusion(position, head.size), "position")
            record = select(facts_table.c.record).where(facts_table.c.position == position)
            return Inclusion(position, (await connection.execute(record)).scalar_one(), head, path)

        return await self._connections.read(work)

    async def consist(self, since: int, size: int | None = None) -> Consistency:
        """The proof that the log of `size` records, by default of all, begins with that of `since`."""

        async def work(connection: AsyncConnection) -> Consistency:
            head = await _past_head(connection, size)
            path = await _path(connection, lambda: merkle_proofs.consistency(since, head.size), "since")
            return Consistency(await _past_head(connection, since), head, path)

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
    """Append inside the caller's transaction; other writers wait for its end.

    Raises IsthmusError(AUDIT_BROKEN) where the log's end is not that of its tree: it would be forked there.
    """
    before = await audit_tree.frontier(connection, change=True)
    if not facts:
        return _head(before)
    if (found := await audit_tree.broken_end(connection, before)) is not None:
        raise audit_tree.broken(found)
    bodies = [to_bytes(_one_line(fact)) for fact in facts]
    after, made = merkle.with_nodes(before, bodies)
    rows = [{"position": before.size + n, "record": body.decode()} for n, body in enumerate(bodies)]
    await connection.execute(insert(facts_table), rows)
    completed = [{"level": node.level, "position": node.index, "hash": node.hash} for node in made]
    await connection.execute(insert(nodes), completed)
    await connection.execute(
        update(tree).values(size=after.size, frontier=" ".join(subtree.hex() for subtree in after.roots))
    )
    return _head(after)


async def _past_head(connection: AsyncConnection, size: int | None) -> TreeHead:
    now = await audit_tree.frontier(connection)
    if size is None:
        return _head(now)
    if not 0 <= size <= now.size:
        raise _no_such(f"the audit log has {now.size} records, not {size}", "size")
    places = merkle_proofs.subtrees((0, size))
    stored = await audit_tree.hashes_at(connection, places)
    return TreeHead(size, merkle.folded([_stored(stored, place) for place in places]).hex())


async def _path(
    connection: AsyncConnection, ranges: Callable[[], Sequence[merkle_proofs.Range]], field: str
) -> tuple[str, ...]:
    try:
        path = ranges()
    except ValueError as problem:
        raise _no_such(str(problem), field) from None
    stored = await audit_tree.hashes_at(
        connection, {place for leaves in path for place in merkle_proofs.subtrees(leaves)}
    )
    return tuple(part.hex() for part in merkle_proofs.hashes(path, lambda place: _stored(stored, place)))


def _stored(stored: Mapping[merkle_proofs.Place, bytes], place: merkle_proofs.Place) -> bytes:
    if place not in stored:
        raise audit_tree.broken(Break(f"the hash at level {place[0]}, index {place[1]} is missing"))
    return stored[place]


def _no_such(public: str, field: str) -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, public, field=field, advice="See: isthmus audit prove --help")


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
