"""An agent's approvals in the database.

Invariant: the first approval of a contract is the only one; its facts are written with it, and those of a
later one not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import approvals, insert_new


class StoredApprovals:
    """`Approvals` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, digest: str, approval: str, facts: Sequence[Fact]) -> str:
        async def work(connection: AsyncConnection) -> str:
            if await insert_new(connection, approvals, {"digest": digest, "approval": approval}):
                await append_facts(connection, facts)
                return approval
            return str((await connection.execute(_of(digest))).scalar_one())

        return await self._connections.write(work)

    async def get(self, digest: str) -> str | None:
        async def work(connection: AsyncConnection) -> str | None:
            return (await connection.execute(_of(digest))).scalar()

        return await self._connections.read(work)


def _of(digest: str) -> Select[str]:
    return select(approvals.c.approval).where(approvals.c.digest == digest)
