"""What reports read of an agent's ledger beyond what its rule needs: which contract had each answer, and when.

Invariant: it reads, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import answers, approvals


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer with its contract's digest and, as long as it is kept, its signed form. `rows` is a serialised bitmap
    of row numbers."""

    question: str
    contract: str
    signed: str
    at: int
    edition: str
    sources: tuple[str, ...]
    table: str
    rows: bytes
    # ε in units of 1/10000 (0 without noise), and the space that asked first.
    charge: int
    asker: str


class StoredReports:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def answers(self, dataset: str) -> Sequence[GivenAnswer]:
        """All that `dataset` ever answered, in order."""
        signed = approvals.c.contract.label("signed")
        wanted = (
            select(answers, signed)
            .outerjoin(approvals, approvals.c.digest == answers.c.contract)
            .where(answers.c.dataset == dataset)
            .order_by(answers.c.number)
        )

        async def work(connection: AsyncConnection) -> Sequence[GivenAnswer]:
            return tuple(
                GivenAnswer(
                    row["question"],
                    row["contract"],
                    row["signed"] or "",
                    row["at"],
                    row["edition"],
                    tuple(row["sources"].split()),
                    row["shown_as"],
                    row["rows"],
                    row["charge"],
                    row["asker"],
                )
                for row in (await connection.execute(wanted)).mappings()
            )

        return await self._connections.read(work)
