"""An agent's published editions in the database.

Invariants: an edition's rows and snapshot never change; of two that are published at once one is written; what is
deleted is its frozen copy, and its row set stays, since later editions are held against it. Each change is written with
its facts. Nothing of a row is here but its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.dataset import Edition
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import editions, insert_new


@dataclass(frozen=True, slots=True)
class StoredEdition:
    """The `number`-th edition of a dataset, from 1 on. `rows` is a serialised bitmap of row numbers; `file` is its
    frozen copy below the folder of editions, empty once that is deleted."""

    dataset: str
    number: int
    id: str
    created: int
    snapshot: str
    row_bound: int
    rows: bytes
    file: str

    @property
    def edition(self) -> Edition:
        return Edition(self.id, self.created, self.snapshot, self.row_bound)


class StoredEditions:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def of(self, dataset: str) -> Sequence[StoredEdition]:
        """All of one dataset, oldest first."""
        wanted = select(editions).where(editions.c.dataset == dataset).order_by(editions.c.number)

        async def work(connection: AsyncConnection) -> Sequence[StoredEdition]:
            return tuple(StoredEdition(**row) for row in (await connection.execute(wanted)).mappings())

        return await self._connections.read(work)

    async def newest(self) -> Mapping[str, int]:
        """The number of the newest edition, by dataset."""
        wanted = select(editions.c.dataset, func.max(editions.c.number).label("number")).group_by(editions.c.dataset)

        async def work(connection: AsyncConnection) -> Mapping[str, int]:
            return {row.dataset: row.number for row in await connection.execute(wanted)}

        return await self._connections.read(work)

    async def publish(self, edition: StoredEdition, outdated: Sequence[int], facts: Sequence[Fact]) -> bool:
        """Write it, and that the copies of the `outdated` numbers are gone; False, and nothing is written, where its
        number or id is taken."""
        old = (editions.c.dataset == edition.dataset) & editions.c.number.in_(outdated)

        async def work(connection: AsyncConnection) -> bool:
            if not await insert_new(connection, editions, asdict(edition)):
                return False
            await connection.execute(update(editions).where(old).values(file=""))
            await append_facts(connection, facts)
            return True

        return await self._connections.write(work)

    async def restore(self, dataset: str, number: int, file: str, fact: Fact) -> None:
        """Write down where the copy of an edition is again."""
        this = (editions.c.dataset == dataset) & (editions.c.number == number)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(update(editions).where(this).values(file=file))
            await append_facts(connection, [fact])

        await self._connections.write(work)
