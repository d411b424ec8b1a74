"""What an agent's datasets have answered about one person, in the database: by case and by day.

Invariant: an answer is written with its fact in the transaction that looked whether a quota is spent, so that of many
questions at once no more are answered than it allows; what is written stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import insert_new, person_answers


class StoredPersonAnswers:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def spent(self, dataset: str, asker: str, case: str, since: int) -> tuple[int, int]:
        """How many answers of `dataset` the space `asker` had about this case, ever, and about any since then."""
        return await self._connections.read(lambda connection: _spent(connection, dataset, asker, case, since))

    async def answer(
        self,
        datasets: Sequence[str],
        asker: str,
        case: str,
        contract: str,
        at: int,
        since: int,
        fact: Fact,
        check: Callable[[str, int, int], None],
    ) -> None:
        """Write down that these datasets answer now about the case, with what the audit log gets about it.

        `check(dataset, of_case, since_then)` is handed what `spent` says, in the same transaction, and raises to leave
        everything as it was.
        """

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, [fact])  # first, since it makes other writers wait
            for dataset in datasets:
                check(dataset, *await _spent(connection, dataset, asker, case, since))
                row = {"dataset": dataset, "contract": contract, "asker": asker, "case_reference": case, "at": at}
                await insert_new(connection, person_answers, row)

        await self._connections.write(work)


async def _spent(connection: AsyncConnection, dataset: str, asker: str, case: str, since: int) -> tuple[int, int]:
    of_asker = (person_answers.c.dataset == dataset) & (person_answers.c.asker == asker)
    counted = select(func.count()).select_from(person_answers)
    of_case = await connection.execute(counted.where(of_asker, person_answers.c.case_reference == case))
    since_then = await connection.execute(counted.where(of_asker, person_answers.c.at > since))
    return int(of_case.scalar_one()), int(since_then.scalar_one())
