"""What an agent keeps of released results, in the database, and which sessions were answered from it.

Invariants: of one question one answer is kept for the same seats, the newest; facts are written with what they tell;
nothing here opens a share.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError
from gateway.domain.kept import Kept
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import deliveries, insert_new, kept_shares
from gateway.rules.records import from_bytes, to_bytes


class StoredKept:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, kept: Kept, fact: Fact) -> None:
        """In place of what was kept of the same question for the same seats."""
        seats = " ".join(kept.seats)
        same = (kept_shares.c.question == kept.question) & (kept_shares.c.seats == seats)
        row = {
            "contract": kept.contract,
            "session": kept.session,
            "question": kept.question,
            "seats": seats,
            "at": kept.at,
            "record": to_bytes(kept).decode(),
        }

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, [fact])  # first, since it makes other writers wait
            older = (await connection.execute(select(kept_shares.c.contract).where(same))).scalars().all()
            await _delete(connection, older)
            await insert_new(connection, kept_shares, row)

        await self._connections.write(work)

    async def of_question(self, question: str) -> Sequence[Kept]:
        """Newest first."""
        wanted = select(kept_shares.c.record).where(kept_shares.c.question == question)
        wanted = wanted.order_by(kept_shares.c.at.desc(), kept_shares.c.contract)

        async def work(connection: AsyncConnection) -> Sequence[Kept]:
            found = (await connection.execute(wanted)).scalars()
            return tuple(kept for record in found if (kept := _read(record)) is not None)

        return await self._connections.read(work)

    async def deliver(self, session: str, contract: str, fact: Fact) -> None:
        """Write down that `session` is answered from what is kept of `contract`."""

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, [fact])
            await insert_new(connection, deliveries, {"session": session, "contract": contract})

        await self._connections.write(work)

    async def of_session(self, session: str) -> Sequence[str]:
        """The contracts of which something was kept in this session, or that it was answered from."""
        kept = select(kept_shares.c.contract).where(kept_shares.c.session == session)
        delivered = select(deliveries.c.contract).where(deliveries.c.session == session)

        async def work(connection: AsyncConnection) -> Sequence[str]:
            return tuple((await connection.execute(union(kept, delivered))).scalars())

        return await self._connections.read(work)

    async def before(self, at: int) -> Sequence[str]:
        """The contracts whose shares were kept before then, oldest first."""
        wanted = select(kept_shares.c.contract).where(kept_shares.c.at < at).order_by(kept_shares.c.at)

        async def work(connection: AsyncConnection) -> Sequence[str]:
            return tuple((await connection.execute(wanted)).scalars())

        return await self._connections.read(work)

    async def forget(self, contract: str, fact: Fact) -> bool:
        """Delete what is kept of `contract`; without a fact, and False, where nothing is."""

        async def work(connection: AsyncConnection) -> bool:
            if not await _delete(connection, [contract]):
                return False
            await append_facts(connection, [fact])
            return True

        return await self._connections.write(work)


def _read(record: str) -> Kept | None:
    """Somebody altered what cannot be read: it answers nothing, and is no reason to refuse the question."""
    try:
        return from_bytes(Kept, record, what="kept share")
    except IsthmusError:
        return None


async def _delete(connection: AsyncConnection, contracts: Sequence[str]) -> int:
    await connection.execute(deliveries.delete().where(deliveries.c.contract.in_(contracts)))
    return (await connection.execute(kept_shares.delete().where(kept_shares.c.contract.in_(contracts)))).rowcount
