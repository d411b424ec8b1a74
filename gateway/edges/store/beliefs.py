"""What is believed of each issuer, in the database.

Invariant: a row is only ever replaced by one of greater order, in one transaction with the look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.revocation import Belief
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import beliefs, insert_new


class StoredBeliefs:
    """`Beliefs` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, kind: str, belief: Belief) -> Belief:
        def newer(before: Belief | None) -> Belief:
            return belief if before is None or belief.order > before.order else before

        return await self.renew(kind, belief.issuer, newer)

    async def renew(self, kind: str, issuer: str, make: Callable[[Belief | None], Belief]) -> Belief:
        row = (beliefs.c.kind == kind) & (beliefs.c.issuer == issuer)
        wanted = select(beliefs.c.issuer, beliefs.c.position, beliefs.c.body).where(row)

        async def work(connection: AsyncConnection) -> Belief:
            found = (await connection.execute(wanted.with_for_update())).first()
            if found is None:
                made = make(None)
                values = {"kind": kind, "issuer": issuer, "position": made.order, "body": made.body}
                if await insert_new(connection, beliefs, values):
                    return made
                found = (await connection.execute(wanted.with_for_update())).one()  # somebody was faster
            before = Belief(*found)
            made = make(before)
            if made == before:
                return before
            if made.order <= before.order:
                raise IsthmusError(
                    Reason.INTERNAL, "an older belief would replace a newer one", private=f"{kind} {issuer}"
                )
            await connection.execute(update(beliefs).where(row).values(position=made.order, body=made.body))
            return made

        return await self._connections.write(work)

    async def all(self, kind: str) -> Sequence[Belief]:
        wanted = select(beliefs.c.issuer, beliefs.c.position, beliefs.c.body)
        ordered = wanted.where(beliefs.c.kind == kind).order_by(beliefs.c.issuer)

        async def work(connection: AsyncConnection) -> Sequence[Belief]:
            return [Belief(*found) for found in await connection.execute(ordered)]

        return await self._connections.read(work)
