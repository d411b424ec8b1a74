"""What a protocol costs: rounds, elements on the wire.

Invariant: the costs are exact, not estimates; a test compares them with what a session sends.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """m parties, threshold t = (m - 1) / 2."""

    m: int
    t: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Rounds; elements sent by all parties together; the longest vector in one message."""

    rounds: int = 0
    elements: int = 0
    largest: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.rounds + other.rounds, self.elements + other.elements, max(self.largest, other.largest))

    def times(self, n: int) -> "Cost":
        """n of it, one after the other."""
        return Cost(self.rounds * n, self.elements * n, self.largest if n else 0)


def levels(n: int) -> int:
    """Depth of a binary tree over n leaves."""
    return max(n - 1, 0).bit_length()


def in_blocks(n: int, size: int, cost: Callable[[int], Cost]) -> Cost:
    """n entries in lanes (lanes.py) of `size`, each `cost(entries)`: the rounds of one, the elements of all."""
    if n <= size:
        return cost(n)
    whole, rest = cost(size), cost(n % size) if n % size else Cost()
    return Cost(
        max(whole.rounds, rest.rounds), whole.elements * (n // size) + rest.elements, max(whole.largest, rest.largest)
    )
