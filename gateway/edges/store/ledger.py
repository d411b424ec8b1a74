"""An agent's ledger in the database: the rows that it knows by number, what its datasets answered, whom it refused.

Invariants: a row keeps its number for ever; an answer is written with its facts, once per dataset and question, in the
transaction that looked for objections; nothing of a row is here but a keyed hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.offer import Operator
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import answers, insert_new, known_rows, refusals, spenders
from gateway.rules.records import from_bytes, to_bytes

WORD = 8  # bytes of an identity


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """`rows` and `counted` are serialised bitmaps of row numbers; `number` counts the answers of all datasets. `charge`
    is ε in units of 1/10000, 0 without noise, `asker` the entity ID of the space that asked first."""

    number: int
    question: str
    edition: str
    sources: tuple[str, ...]
    table: str
    rows: bytes
    charge: int = 0
    asker: str = ""
    counted: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What is to be written of one dataset; `after` is the number of the last answer that was read of it."""

    dataset: str
    question: str
    edition: str
    sources: tuple[str, ...]
    table: str
    rows: bytes
    after: int
    charge: int = 0
    asker: str = ""
    counted: bytes | None = None


class StoredLedger:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def identities(self, dataset: str) -> bytes:
        """The identities of the rows 0, 1, 2 …, one after the other."""
        wanted = select(known_rows.c.identities).where(known_rows.c.dataset == dataset).order_by(known_rows.c.first)

        async def work(connection: AsyncConnection) -> bytes:
            return b"".join((await connection.execute(wanted)).scalars())

        return await self._connections.read(work)

    async def number(self, dataset: str, first: int, identities: bytes) -> bool:
        """Give new rows the numbers from `first` on; False when somebody else has given them meanwhile."""
        row = {"dataset": dataset, "first": first, "identities": identities}
        return await self._connections.write(lambda connection: insert_new(connection, known_rows, row))

    async def answers(self, dataset: str, after: int = 0) -> Sequence[StoredAnswer]:
        """What `dataset` answered, in order, from behind the answer with this number on."""
        return await self._connections.read(lambda connection: _answers(connection, dataset, after))

    async def charges(self, dataset: str) -> dict[str, int]:
        """What answers of `dataset` with noise have cost, by the space that asked first, in units of 1/10000 of ε."""
        cost = func.sum(answers.c.charge)
        wanted = (
            select(answers.c.asker, cost)
            .where(answers.c.dataset == dataset, answers.c.charge > 0)
            .group_by(answers.c.asker)
        )

        async def work(connection: AsyncConnection) -> dict[str, int]:
            return {asker: int(charge) for asker, charge in await connection.execute(wanted)}

        return await self._connections.read(work)

    async def spenders(self) -> Sequence[Operator]:
        """Whoever has paid for noise, and those in the same hands, as they were believed then: of a space whose
        statement has changed since, several."""

        async def work(connection: AsyncConnection) -> Sequence[Operator]:
            found = await connection.execute(select(spenders.c.operator).order_by(spenders.c.digest))
            return tuple(from_bytes(Operator, said, what="spender") for said in found.scalars())

        return await self._connections.read(work)

    async def answer(
        self,
        given: Sequence[Answered],
        contract: str,
        at: int,
        fact: Fact,
        check: Callable[[str, Sequence[StoredAnswer]], None],
        hands: Sequence[Operator] = (),
    ) -> None:
        """Write down that these are answered now, with what the audit log gets about it; those that were answered
        before stay as they are. `hands` are the operators in whose hands the space is that pays for it.

        `check(dataset, news)` is handed what was written of each dataset behind `Answered.after`, in the same
        transaction, and raises to leave everything as it was.
        """

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, [fact])  # first, since it makes other writers wait
            for one in given:
                check(one.dataset, await _answers(connection, one.dataset, one.after))
            for one in given:
                row = {
                    "dataset": one.dataset,
                    "question": one.question,
                    "edition": one.edition,
                    "sources": " ".join(one.sources),
                    "shown_as": one.table,
                    "rows": one.rows,
                    "contract": contract,
                    "at": at,
                    "charge": one.charge,
                    "asker": one.asker,
                    "counted": one.counted,
                }
                await insert_new(connection, answers, row)
            for operator in hands:
                said = to_bytes(operator)
                row = {"digest": hashlib.sha256(said).hexdigest(), "operator": said.decode()}
                await insert_new(connection, spenders, row)

        await self._connections.write(work)

    async def refuse(self, contract: str, space: str, at: int, facts: Sequence[Fact]) -> None:
        """Count a refusal that depends on rows against the space that asked; a contract counts once."""

        async def work(connection: AsyncConnection) -> None:
            await insert_new(connection, refusals, {"contract": contract, "space": space, "at": at})
            await append_facts(connection, facts)

        await self._connections.write(work)

    async def refused(self, space: str, since: int) -> int:
        """How many questions of `space` were refused since then."""
        wanted = select(func.count()).where(refusals.c.space == space, refusals.c.at >= since)

        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(wanted)).scalar_one())

        return await self._connections.read(work)


async def _answers(connection: AsyncConnection, dataset: str, after: int) -> Sequence[StoredAnswer]:
    here = (answers.c.dataset == dataset) & (answers.c.number > after)
    found = (await connection.execute(select(answers).where(here).order_by(answers.c.number))).mappings()
    return tuple(
        StoredAnswer(
            row["number"],
            row["question"],
            row["edition"],
            tuple(row["sources"].split()),
            row["shown_as"],
            row["rows"],
            row["charge"],
            row["asker"],
            row["counted"],
        )
        for row in found
    )
