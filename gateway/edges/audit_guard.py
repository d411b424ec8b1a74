"""Stands by the audit log while a process runs: what it has seen of the log must stay, and all of it is hashed again.

Invariants: where the log was found broken once, no new session begins in this process, whatever the log looks like
afterwards; a head that this process has seen is a prefix of every later one; every record is hashed again at start,
and then slice by slice for as long as the process runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Break
from gateway.domain.errors import IsthmusError
from gateway.edges import audit_tree
from gateway.edges.store.connections import Connections
from gateway.rules.merkle import Frontier

# Every so many seconds a slice of records is hashed again; it takes some milliseconds, in which nothing else moves.
EVERY, SLICE = 2.0, 512
# At start, and on the command line, larger ones cost less each.
AT_START = 2048
# So often in a row a slice may not be readable, for whatever reason of the database's.
UNREADABLE = 5

# Size, root in hex, and where it is known from.
Promise = tuple[int, str, str]


class AuditGuard:
    """Of one database; belongs to one process."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._broken: Break | None = None
        # The largest tree that this process has seen, and how far it has been hashed again in this round.
        self._seen, self._hashed = Frontier(), Frontier()
        self._promises: Sequence[Promise] = ()
        self._told: Callable[[Break], None] = _nobody

    async def begin(self, told: Callable[[Break], None], promises: Sequence[Promise] = ()) -> None:
        """Hash all of the log again and hold it against `promises`, the heads that somebody else has seen of it.
        `told` is what happens once when it is found broken, now or later."""
        self._told, self._promises = told, promises
        if (found := await self.verified(promises)) is not None:
            self._found(found)
            return
        await self._connections.read(self._compare)

    async def verified(self, promises: Sequence[Promise] = ()) -> Break | None:
        """Hash all of the log again, slice by slice; the first thing that does not fit, or None."""
        hashed = Frontier()

        async def work(connection: AsyncConnection) -> tuple[Frontier, Break | None]:
            return await audit_tree.next_slice(connection, hashed, AT_START)

        try:
            while True:
                before = hashed
                hashed, found = await self._connections.read(work)
                if found is not None:
                    return found
                if hashed == before:
                    return await self._connections.read(
                        lambda connection: audit_tree.broken_promise(connection, promises)
                    )
        except IsthmusError:
            return _unreadable(hashed)

    async def check(self) -> None:
        """Whether a session may begin. Raises IsthmusError(AUDIT_BROKEN)."""
        # Taken before the look: what others have seen meanwhile may be newer than what this one reads.
        seen = self._seen
        await self._connections.read(lambda connection: self._compare(connection, seen))
        self._refuse()

    async def check_within(self, connection: AsyncConnection) -> None:
        """The same in a transaction that writes."""
        await audit_tree.frontier(connection, change=True)
        await self._compare(connection)
        self._refuse()

    async def watch_for_ever(self) -> None:
        """Look every two seconds, and hash the next slice again."""
        failures = 0
        while self._broken is None:
            await asyncio.sleep(EVERY)
            try:
                await self.look()
                failures = 0
            except IsthmusError:  # the database: it may be busy or away for a moment
                failures += 1
                if failures == UNREADABLE:
                    self._found(_unreadable(self._hashed))

    async def look(self) -> None:
        """Compare what was seen with what is stored, and hash the next slice again."""
        seen = self._seen

        async def work(connection: AsyncConnection) -> None:
            await self._compare(connection, seen)
            await self._hash_on(connection)

        await self._connections.read(work)

    async def _compare(self, connection: AsyncConnection, seen: Frontier | None = None) -> None:
        before = self._seen if seen is None else seen
        stored = await audit_tree.frontier(connection)
        if stored.size < before.size:
            self._found(Break(f"record {stored.size} is missing: there were {before.size}", stored.size))
        elif not await audit_tree.prefix_holds(connection, before):
            self._found(Break(f"the first {before.size} records are not those that this process has seen"))
        elif (found := await audit_tree.broken_end(connection, stored)) is not None:
            self._found(found)
        elif stored.size > self._seen.size:
            self._seen = stored

    async def _hash_on(self, connection: AsyncConnection) -> None:
        after, found = await audit_tree.next_slice(connection, self._hashed, SLICE)
        if found is None and after.size - self._hashed.size < SLICE:
            found = await audit_tree.broken_promise(connection, self._promises)
            after = Frontier()  # the next round
        self._hashed = after
        if found is not None:
            self._found(found)

    def _found(self, found: Break) -> None:
        if self._broken is None:
            self._broken = found
            self._told(found)

    def _refuse(self) -> None:
        if self._broken is not None:
            raise audit_tree.broken(self._broken)


def _nobody(_: Break) -> None:
    """Nobody is told: of a database that no process watches over."""


def _unreadable(hashed: Frontier) -> Break:
    return Break(f"the records from {hashed.size} on cannot be read", hashed.size)
