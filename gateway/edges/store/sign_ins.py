"""Authorization codes and evidence of sign-ins in the database.

Invariants: a code is kept as its hash, and whoever takes it takes it away; the evidence for a token is written in
the transaction of the fact that says that it was issued.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.errors import Reason
from gateway.domain.sign_in import Code, Evidence
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import codes
from gateway.edges.store.tables import evidence as evidence_table
from gateway.rules.records import from_bytes, to_bytes


class StoredSignIns:
    """`SignIns` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def offer(self, hash: str, code: Code, facts: Sequence[Fact]) -> None:
        async def work(connection: AsyncConnection) -> None:
            row = {"hash": hash, "expires": code.expires, "record": to_bytes(code).decode()}
            await connection.execute(insert(codes), row)
            await append_facts(connection, facts)

        await self._connections.write(work)

    async def take(self, hash: str) -> Code | None:
        async def work(connection: AsyncConnection) -> Code | None:
            taken = await connection.execute(delete(codes).where(codes.c.hash == hash).returning(codes.c.record))
            record = taken.scalar()
            return None if record is None else from_bytes(Code, record, what="code", reason=Reason.INTERNAL)

        return await self._connections.write(work)

    async def keep(self, evidence: Evidence, facts: Sequence[Fact]) -> None:
        async def work(connection: AsyncConnection) -> None:
            record = to_bytes(evidence).decode()
            row = {"jti": evidence.jti, "digest": evidence.digest, "record": record, "at": evidence.at}
            await connection.execute(insert(evidence_table), row)
            await append_facts(connection, facts)

        await self._connections.write(work)

    async def evidence(self, jti: str) -> Evidence | None:
        wanted = select(evidence_table.c.record).where(evidence_table.c.jti == jti)

        async def work(connection: AsyncConnection) -> Evidence | None:
            record = (await connection.execute(wanted)).scalar()
            return None if record is None else from_bytes(Evidence, record, what="evidence", reason=Reason.INTERNAL)

        return await self._connections.read(work)

    async def forget(self, now: int) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(codes).where(codes.c.expires < now))).rowcount

        return await self._connections.write(work)
