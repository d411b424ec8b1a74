"""Counting people by cells: all of them, and those of each provider where limits ask whose they are.

Invariants: linked, a person is counted once, at its first row, with what that row says, and nothing is opened beyond
what linking opens; pooled, each provider's records are counted at home, and nothing is opened but whether its totals
are possible.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.linking import Linked, both, both_cost, link, link_clear, link_cost, spread, spread_cost
from connectors.engine.pooled import OPENS as POOLED_OPENS
from connectors.engine.pooled import Pooled, placed, with_parts
from connectors.engine.rows import InputCells, InputRows
from connectors.engine.tables import count_people, count_people_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


OPENS = LINKING_OPENS | POOLED_OPENS


@dataclass(frozen=True, slots=True)
class Counting:
    """How people are counted by cells. Linked rows say their cell in `bits`, and `places` are the numbers that make the
    cells; `pooled` is None there."""

    bits: int
    places: Sequence[int]
    limits: Limits
    pooled: Pooled | None = None

    def owners(self, providers: int) -> int:
        """Q: how many parts of each count somebody may take away."""
        return parts_of(providers, self.limits, linked=self.pooled is None)

    def rows(self, inputs: Sequence[Array]) -> int:
        """No count is above this, whatever is in the inputs."""
        return sum(shares.shape[-1] for shares in inputs) if self.pooled is None else self.pooled.rows(inputs)

    def rows_of(self, bounds: Sequence[int]) -> int:
        """The same, from the providers' bounds."""
        return sum(bounds) if self.pooled is None else self.pooled.rows_of(bounds)


async def count_cells(
    rt: "Engine", counting: Counting, inputs: Sequence[Array], uniform: Sequence[Array], name: str
) -> Array:
    """[1 + Q, K], or [1, K] where it does not matter whose people are, from the providers' input shares. `name` is the
    program's, for its steps."""
    if counting.pooled is not None:
        (counts,) = await counting.pooled.totals(rt, inputs, uniform, f"{name}: totals")
        return with_parts(counts, counting.limits)
    people = await link(rt, inputs, counting.bits, counting.limits, uniform)
    return await count_first_rows(rt, people, counting.places, counting.limits, len(inputs), name)


def count_cells_clear(
    counting: Counting, providers: Sequence[InputRows | InputCells], cell: Callable[[Sequence[int]], int | None]
) -> tuple[list[int], list[list[int]]]:
    """Clear-text twin of `count_cells`: people by cells [K], and the parts that somebody may take away [Q, K]. `cell`
    is the number of a row's codes, None where it counts nowhere."""
    counts, own = [0] * len(counting.places), range(2 * len(providers) - 1)
    parts = [[0] * len(counting.places) for _ in own]
    if counting.pooled is not None:
        given = [placed(each, len(counts), cell) for each in providers if isinstance(each, InputCells)]
        parts = [[int(count) for count in each[0]] for each in given]
        return [sum(each) for each in zip(*parts, strict=True)], parts
    rows = [given for given in providers if isinstance(given, InputRows)]
    for person in link_clear(rows):
        first, row = next(iter(person.items()))
        if (at := cell(rows[first].codes[row])) is not None:
            counts[at] += 1
            for part in parts_with(person, len(providers)):
                parts[part][at] += 1
    return counts, parts


def parts_of(providers: int, limits: Limits, *, linked: bool = True) -> int:
    """How many parts of a count somebody may take away: the people of each provider and, where people are linked, those
    whom it says what they are, by having their first row. The first provider does so of all whom it has."""
    if not limits.by_provider:
        return 0
    return 2 * providers - 1 if linked else providers


def parts_with(person: Iterable[int], providers: int) -> list[int]:
    """The numbers of the parts that a person is in whom these providers have, the first of them first."""
    having = list(person)
    return having + [providers + having[0] - 1] * (having[0] > 0)


def count_cells_cost(shape: Shape, counting: Counting, bounds: Sequence[int]) -> Cost:
    if counting.pooled is not None:
        return counting.pooled.cost(bounds, shape)
    n, bits, limits = sum(bounds), counting.bits, counting.limits
    out = link_cost(shape, n, bits, len(bounds), limits)
    return out + count_first_rows_cost(shape, n, bits, counting.places, limits, len(bounds))


async def count_first_rows(
    rt: "Engine", people: Linked, places: Sequence[int], limits: Limits, providers: int, name: str
) -> Array:
    """[1 + Q, K], or [1, K] where it does not matter whose people are: how many people have each number of `places` as
    their first row's payload, and how many of them are in each part that somebody may take away (`parts_of`). A
    provider knows who its own people are, and of those whose first row is its own also what is said of them. `name` is
    the program's, for its steps.
    """
    counted = await both(rt, people.first, people.real, f"{name}: first rows")
    if limits.by_provider:
        having = await spread(rt, people.providers, people.same_next, providers, f"{name}: providers of a person")
        parts = np.concatenate([having, people.providers[:, 1:]], axis=1)  # at a first row, the latter say whose it is
        with_provider = await both(rt, parts, counted, f"{name}: people of a provider")
        counted = np.concatenate([counted, with_provider], axis=1)
    return await count_people(rt, people.payload, places, counted, f"{name}: sums")


def count_first_rows_cost(
    shape: Shape, n: int, bits: int, places: Sequence[int], limits: Limits, providers: int
) -> Cost:
    owners = parts_of(providers, limits)
    out = both_cost(shape, 1, n)
    if owners:
        out += spread_cost(shape, n, providers, providers) + both_cost(shape, owners, n)
    return out + count_people_cost(shape, n, bits, places, 1 + owners)
