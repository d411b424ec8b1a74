"""The privacy budget of a dataset: what its answers with noise cost, whom, and what is left of it.

Invariants: amounts are ε in units of `gateway.rules.noise`, whole numbers; what is spent is never given back, whatever
becomes of editions and policies; the spaces that are in one operator's hands have one budget together, so that
splitting a question over them gains nothing.

Theorem: of questions with (ε_i, δ_i) all answers together have (Σ ε_i, Σ δ_i), also where each depends on the answers
before (Dwork, Kenthapadi, McSherry, Mironov, Naor 2006; Dwork, Roth 2014, theorem 3.16).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.domain.dataset import Privacy
from gateway.rules import noise

NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Budget:
    """What the questions of one operator may cost together, and those of all (None: no limit but the former)."""

    each: int
    total: int | None = None

    @classmethod
    def of(cls, terms: Privacy | None) -> Budget | None:
        """Of a policy's public terms."""
        if terms is None:
            return None
        return cls(noise.budget(terms.budget), None if terms.total is None else noise.budget(terms.total))


@dataclass(slots=True)
class Spent:
    """What each space's questions have cost; grows only."""

    by: Counter[str] = field(default_factory=Counter)

    def add(self, asker: str, charge: int) -> None:
        if charge:
            self.by[asker] += charge

    @property
    def total(self) -> int:
        return self.by.total()

    def of(self, asker: str, hands: Mapping[str, str] = NOBODY) -> int:
        """What the operator has spent in whose hands `asker` is."""
        own = hands.get(asker, asker)
        return sum(charge for space, charge in self.by.items() if hands.get(space, space) == own)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left, in units: for the operator of one space, and for all together (None: no such limit). What an
    operator can still ask for is the smaller of the two."""

    each: int
    total: int | None

    @property
    def most(self) -> int:
        return self.each if self.total is None else min(self.each, self.total)


def left(budget: Budget, spent: Spent, asker: str, hands: Mapping[str, str] = NOBODY) -> Left:
    """What is left for `asker`; below zero only where a policy was made stricter since."""
    each = budget.each - spent.of(asker, hands)
    return Left(each, None if budget.total is None else budget.total - spent.total)


def takes(
    budget: Budget | None,
    spent: Spent,
    held: Iterable[tuple[str, int]],
    asker: str,
    charge: int,
    hands: Mapping[str, str] = NOBODY,
) -> bool:
    """Whether a question of `asker` may cost `charge`, beside what is spent and `held` (by whom, how much)."""
    if budget is None:
        return False
    together = Spent(spent.by.copy())
    for other, cost in held:
        together.add(other, cost)
    return charge <= left(budget, together, asker, hands).most
