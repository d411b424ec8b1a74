"""What is left of the budgets of this space's datasets, for people who decide; from their files and the ledger alone.

They are those of the edition that is on offer, and of the operator that asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.config import AgentConfig, DatasetConfig, PolicyConfig
from connectors.holdings import Holding
from connectors.policies import described, stewards_of
from connectors.rules import budgets as privacy
from gateway.config import load
from gateway.domain.dataset import Dataset
from gateway.domain.identity import host_of
from gateway.domain.inbox import Budget
from gateway.domain.offer import Operator
from gateway.edges.store.database import Database
from gateway.rules import noise
from gateway.rules.seats import hands


@dataclass(frozen=True, slots=True)
class Described:
    """A dataset as its files describe it, without its rows."""

    dataset: Dataset
    stewards: tuple[str, ...]
    questions: int | None


def describe(settings: AgentConfig) -> dict[str, Described]:
    """By name. Raises IsthmusError(CONFIGURATION)."""
    found = {}
    for path in settings.datasets:
        file = load(DatasetConfig, path)
        policy = load(PolicyConfig, file.policy)
        dataset = described(host_of(settings.entity), file, policy)
        found[dataset.name] = Described(dataset, stewards_of(policy), policy.questions)
    return found


def held_now(holdings: Mapping[str, Holding]) -> dict[str, Described]:
    """As an agent holds them now, by name."""
    return {name: Described(held.dataset, held.stewards, held.questions) for name, held in holdings.items()}


async def budgets(
    database: Database, datasets: Sequence[Described], asker: str, operators: Mapping[str, Operator]
) -> list[Budget]:
    """Of each dataset its questions, and where it answers with noise what the operator of the space `asker`, and
    everybody, may still spend of ε."""
    found = []
    for held in datasets:
        found.append(await _questions(database, held))
        found += await _epsilon(database, held, asker, operators)
    return found


async def _questions(database: Database, held: Described) -> Budget:
    """Different questions that the present edition has answered."""
    published = await database.editions.of(held.dataset.name)
    edition = published[-1].edition.id if published else held.dataset.edition.id
    answers = await database.ledger.answers(held.dataset.name)
    taken = {answer.question for answer in answers if answer.edition == edition}
    return Budget(held.dataset.name, f"questions on edition {edition}", len(taken), held.questions)


async def _epsilon(database: Database, held: Described, asker: str, operators: Mapping[str, Operator]) -> list[Budget]:
    allowed = privacy.Budget.of(held.dataset.terms.privacy)
    if allowed is None:
        return []
    name = held.dataset.name
    spent = privacy.Spent(Counter(await database.ledger.charges(name)))
    own = spent.of(asker, hands(operators.values()))
    found = [Budget(name, f"epsilon for the operator of {asker}", own, allowed.each, noise.UNITS)]
    if allowed.total is not None:
        found.append(Budget(name, "epsilon for everybody", spent.total, allowed.total, noise.UNITS))
    return found
