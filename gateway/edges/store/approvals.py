"""An agent's approvals in the database, each with the contract that it approves.

Invariant: the first approval of a contract is the only one; its facts are written with it, and those of a
later one not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.approval import Approved
from gateway.domain.audit import Fact
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import approvals, insert_new

_OLDEST_FIRST = (approvals.c.at, approvals.c.digest)


class StoredApprovals:
    """`Approvals` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, approved: Approved, facts: Sequence[Fact]) -> str:
        row = {field.name: getattr(approved, field.name) for field in fields(Approved)}

        async def work(connection: AsyncConnection) -> str:
            if await insert_new(connection, approvals, row):
                await append_facts(connection, facts)
                return approved.approval
            return str((await connection.execute(_of(approved.digest))).scalar_one())

        return await self._connections.write(work)

    async def get(self, digest: str) -> str | None:
        async def work(connection: AsyncConnection) -> str | None:
            return (await connection.execute(_of(digest))).scalar()

        return await self._connections.read(work)

    async def list(self, *, since: int, until: int, after: str = "", limit: int) -> Sequence[Approved]:
        wanted = select(approvals).where(approvals.c.at >= since, approvals.c.at < until)
        if after:
            last = select(approvals.c.at).where(approvals.c.digest == after).scalar_subquery()
            wanted = wanted.where(tuple_(*_OLDEST_FIRST) > tuple_(last, after))
        return await self._read(wanted.order_by(*_OLDEST_FIRST).limit(limit))

    async def of_question(self, question: str) -> Sequence[Approved]:
        return await self._read(select(approvals).where(approvals.c.question == question).order_by(*_OLDEST_FIRST))

    async def _read(self, wanted: Select[Any]) -> Sequence[Approved]:
        async def work(connection: AsyncConnection) -> Sequence[Approved]:
            return tuple(Approved(**row) for row in (await connection.execute(wanted)).mappings())

        return await self._connections.read(work)


def _of(digest: str) -> Select[str]:
    return select(approvals.c.approval).where(approvals.c.digest == digest)
