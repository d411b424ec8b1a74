"""An anchor's rulebook in the database, every version with its text. Nothing is ever taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.errors import Reason
from gateway.domain.rulebook import Published, Rulebook
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import rulebooks
from gateway.rules.records import from_bytes, to_bytes

_RECORDS = select(rulebooks.c.record).order_by(rulebooks.c.version)


class StoredRulebooks:
    """`RulebookStore` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(
        self, published: Published, text: str, check: Callable[[Sequence[Rulebook]], None], facts: Sequence[Fact]
    ) -> None:
        row = {"version": published.book.version, "record": to_bytes(published).decode(), "text": text}

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, facts)  # first: it is what makes writers take turns
            check([item.book for item in map(_published, (await connection.execute(_RECORDS)).scalars())])
            await connection.execute(insert(rulebooks).values(row))

        await self._connections.write(work)

    async def list(self) -> Sequence[Published]:
        async def work(connection: AsyncConnection) -> Sequence[Published]:
            return tuple(map(_published, (await connection.execute(_RECORDS)).scalars()))

        return await self._connections.read(work)

    async def text(self, version: int) -> str | None:
        wanted = select(rulebooks.c.text).where(rulebooks.c.version == version)

        async def work(connection: AsyncConnection) -> str | None:
            return (await connection.execute(wanted)).scalar()

        return await self._connections.read(work)


def _published(record: str) -> Published:
    return from_bytes(Published, record, what="rulebook", reason=Reason.INTERNAL)
