"""Things that may happen once, in the database: whoever inserts the row was the first.

Invariant: an answer other than True means no; every failure of the store raises, so that a caller that
hears nothing goes no further.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import insert_new, once


class StoredOnce:
    """`Once` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def consume(self, kind: str, issuer: str, key: str, expires: int | None) -> bool:
        row = {"kind": kind, "issuer": issuer, "key": key, "expires": expires}
        return await self._connections.write(lambda connection: insert_new(connection, once, row))

    async def consumed(self, kind: str, issuer: str, key: str) -> bool:
        wanted = select(once.c.key).where(once.c.kind == kind, once.c.issuer == issuer, once.c.key == key)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(wanted)).first() is not None

        return await self._connections.read(work)

    async def forget(self, now: int) -> int:
        # What is kept for ever has no time, and NULL is before nothing.
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(once).where(once.c.expires < now))).rowcount

        return await self._connections.write(work)
