"""What an agent's datasets have answered about one person, in the database: by case and by day.

Invariants: an answer is written with its fact in the transaction that looked whether a quota is spent, so that of many
questions at once no more are answered than it allows; what is written stays; of a case only what its owner's key makes
of it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.offer import Operator
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.ledger import remember
from gateway.edges.store.tables import insert_new, person_answers


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks: a space, and all spaces in its operator's hands, itself among them, which have one quota. Answers since
    `since` (seconds) are those of a day."""

    asker: str
    together: frozenset[str]
    since: int


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    contract: str
    asker: str
    case: str
    at: int


class StoredPersonAnswers:
    """Of one agent. A case is a keyed digest wherever it is named."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def spent(self, dataset: str, case: str, asking: Asking) -> tuple[int, int]:
        """How many answers of `dataset` they had about this case, ever, and about any within a day."""
        return await self._connections.read(lambda connection: _spent(connection, dataset, case, asking))

    async def given(self, dataset: str) -> Sequence[PersonAnswer]:
        """All answers of `dataset`, the oldest first."""
        here = person_answers.c
        wanted = (
            select(here.contract, here.asker, here.case_reference, here.at)
            .where(here.dataset == dataset)
            .order_by(here.at)
        )

        async def work(connection: AsyncConnection) -> Sequence[PersonAnswer]:
            return tuple(PersonAnswer(*row) for row in await connection.execute(wanted))

        return await self._connections.read(work)

    async def answer(
        self,
        cases: Mapping[str, str],
        asking: Asking,
        contract: str,
        fact: Fact,
        check: Callable[[str, int, int], None],
        hands: Sequence[Operator] = (),
    ) -> None:
        """Write down that these datasets answer now, each about the case as its own key names it, with what the audit
        log gets about it. `hands` are the operators in whose hands the asking space is believed to be.

        `check(dataset, of_case, within_a_day)` is handed what `spent` says, in the same transaction, and raises to
        leave everything as it was.
        """

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, [fact])  # first, since it makes other writers wait
            for dataset, case in cases.items():
                check(dataset, *await _spent(connection, dataset, case, asking))
                row = {
                    "dataset": dataset,
                    "contract": contract,
                    "asker": asking.asker,
                    "case_reference": case,
                    "at": fact.at,
                }
                await insert_new(connection, person_answers, row)
            await remember(connection, hands)

        await self._connections.write(work)


async def _spent(connection: AsyncConnection, dataset: str, case: str, asking: Asking) -> tuple[int, int]:
    theirs = (person_answers.c.dataset == dataset) & person_answers.c.asker.in_(sorted(asking.together))
    counted = select(func.count()).select_from(person_answers)
    of_case = await connection.execute(counted.where(theirs, person_answers.c.case_reference == case))
    within_a_day = await connection.execute(counted.where(theirs, person_answers.c.at > asking.since))
    return int(of_case.scalar_one()), int(within_a_day.scalar_one())
