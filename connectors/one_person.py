"""Questions about one person at this agent: whom its own list has, how long its lists are, what quotas are left.

Invariants: what depends on rows or on what was answered before is one refusal, in the words and the time of the
ledger's (connectors/ledgers.py); an answer is written down, for good, in the transaction that finds its quota not
spent, before an input leaves; each asking spends, a repeat too. Row sets, which the ledger compares, are no measure
here: the asker's is one person by intention, and the others' are whole lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from connectors.engine.rows import InputRows
from connectors.holdings import Holding, read_rows
from gateway.domain.approval import SignedContract
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.dataset import OnePerson
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.person_answers import StoredPersonAnswers
from gateway.ports import Clock
from gateway.rules.statistics import hit

DAY = 24 * 60 * 60


class Objection(StrEnum):
    """Why not, for the audit log of the dataset's own agent."""

    POLICY = "the policy has no terms for answers about one person"
    NOT_ONE = "the case does not stand for exactly one person"
    SHORT = "the list has fewer people than the policy or the question says"
    CASE = "the asking space has had as many answers about this case as the policy allows"
    TODAY = "the asking space has had as many answers within a day as the policy allows"


@dataclass(frozen=True, slots=True)
class OnePersonLimits:
    """Of one agent."""

    entity: str
    holdings: Mapping[str, Holding]
    store: StoredPersonAnswers
    clock: Clock

    async def objection(self, contract: Contract) -> tuple[str, Objection] | None:
        """The dataset that does not answer, and why not, before anything is shared. Raises what reading rows does."""
        people = await asyncio.to_thread(self._people, contract)
        for index, source in enumerate(contract.query.sources):
            if (count := people.get(source.dataset)) is None:
                continue
            terms = self.holdings[source.dataset].dataset.terms.one_person
            if terms is None:
                return source.dataset, Objection.POLICY
            if index == 0 and count != 1:
                return source.dataset, Objection.NOT_ONE
            if index and count < max(terms.least_list, hit.least_list(contract.query)):
                return source.dataset, Objection.SHORT
            case, asker = hit.reference(contract.query), contract.initiator
            spent = await self.store.spent(source.dataset, asker, case, self.clock.now() - DAY)
            if (problem := _over(terms, *spent)) is not None:
                return source.dataset, problem
        return None

    async def answer(self, contract: SignedContract) -> tuple[str, Objection] | None:
        """Spend of the quota of every dataset of this space, for good; else nothing is written, and this says why."""
        body, now = contract.body, self.clock.now()
        provider = body.provider_of(self.entity)
        names = [] if provider is None else [item.dataset for item in provider.inputs]
        found: list[tuple[str, Objection]] = []

        def check(dataset: str, of_case: int, today: int) -> None:
            terms = self.holdings[dataset].dataset.terms.one_person
            problem = Objection.POLICY if terms is None else _over(terms, of_case, today)
            if problem is not None:
                found.append((dataset, problem))
                raise IsthmusError(Reason.NOT_RELEASABLE, "a quota is spent")  # undoes the transaction

        fact = Fact(now, "person.answered", body.initiator, contract.digest, f"datasets {' '.join(names)}"[:1000])
        case = hit.reference(body.query)
        try:
            await self.store.answer(names, body.initiator, case, contract.digest, now, now - DAY, fact, check)
        except IsthmusError:
            if not found:
                raise
        return found[0] if found else None

    def _people(self, contract: Contract) -> dict[str, int]:
        """How many people the contract takes of each dataset of this space."""
        provider = contract.provider_of(self.entity)
        here = set() if provider is None else {item.dataset for item in provider.inputs}
        read = read_rows(contract, self.entity, self.holdings)
        # This kind is always linked; of records without persons nobody would be on a list.
        lists = read.lists if isinstance(read, InputRows) else ()
        return {
            source.dataset: sum(mask >> index & 1 for mask in lists)
            for index, source in enumerate(contract.query.sources)
            if source.dataset in here
        }


def _over(terms: OnePerson, of_case: int, today: int) -> Objection | None:
    if of_case >= terms.quota_per_case:
        return Objection.CASE
    return Objection.TODAY if today >= terms.quota_per_day else None
