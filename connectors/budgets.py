"""What is left of the budgets of this space's datasets, for people who decide; from their files and the ledger alone.

Another budget (of privacy) is another `Budget` of the same dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.config import AgentConfig, DatasetConfig, PolicyConfig
from connectors.policies import described, stewards_of
from gateway.config import load
from gateway.domain.dataset import Dataset
from gateway.domain.identity import host_of
from gateway.edges.store.database import Database


@dataclass(frozen=True, slots=True)
class Described:
    """A dataset as its files describe it, without its rows."""

    dataset: Dataset
    stewards: tuple[str, ...]
    questions: int | None


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one dataset: what is counted, how much of it was spent, and how much there is (None: no limit)."""

    dataset: str
    what: str
    spent: int
    limit: int | None


def describe(settings: AgentConfig) -> dict[str, Described]:
    """By name. Raises IsthmusError(CONFIGURATION)."""
    found = {}
    for path in settings.datasets:
        file = load(DatasetConfig, path)
        policy = load(PolicyConfig, file.policy)
        dataset = described(host_of(settings.entity), file, policy)
        found[dataset.name] = Described(dataset, stewards_of(policy), policy.questions)
    return found


async def budgets(database: Database, datasets: Sequence[Described]) -> list[Budget]:
    return [await _questions(database, held) for held in datasets]


async def _questions(database: Database, held: Described) -> Budget:
    """Different questions that the present edition has answered."""
    answers = await database.ledger.answers(held.dataset.name)
    taken = {answer.question for answer in answers if answer.edition == held.dataset.edition.id}
    return Budget(held.dataset.name, f"questions on edition {held.dataset.edition.id}", len(taken), held.questions)
