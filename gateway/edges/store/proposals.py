"""Policies that stewards have signed and that are not in force yet, in an agent's database.

Invariants: of one steward and dataset there is one, the newest; an older one never takes its place; an audit record is
written with what it is about. Nothing here is believed: whoever reads one verifies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.policy_text import Proposal
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import insert_new, proposals


class StoredProposals:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, proposal: Proposal, facts: Sequence[Fact]) -> bool:
        """Put it in the place of this steward's older one, with the facts; False where theirs is newer, or is another
        as new. The same one again changes nothing."""
        here = (proposals.c.dataset == proposal.dataset) & (proposals.c.signer == proposal.signer)
        row: dict[str, Any] = {field.name: getattr(proposal, field.name) for field in fields(Proposal)}

        async def work(connection: AsyncConnection) -> bool:
            found = (await connection.execute(select(proposals).where(here))).mappings().first()
            known = None if found is None else Proposal(**found)
            if known is not None and known.digest == proposal.digest and known.at == proposal.at:
                return True
            if known is not None and known.at >= proposal.at:
                return False
            await append_facts(connection, facts)
            if known is None and await insert_new(connection, proposals, row):
                return True
            await connection.execute(update(proposals).where(here).values(row))
            return True

        return await self._connections.write(work)

    async def of(self, dataset: str) -> Sequence[Proposal]:
        wanted = select(proposals).where(proposals.c.dataset == dataset).order_by(proposals.c.signer)

        async def work(connection: AsyncConnection) -> Sequence[Proposal]:
            return tuple(Proposal(**row) for row in (await connection.execute(wanted)).mappings())

        return await self._connections.read(work)
