"""Counting linked people by cells: all of them, and those of each provider where limits ask whose they are.

Invariants: a person is counted once, at its first row, with what that row says; nothing is opened beyond what linking
opens.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.linking import Linked, both, both_cost, spread, spread_cost
from connectors.engine.tables import count_people, count_people_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


async def count_first_rows(
    rt: "Engine", people: Linked, places: Sequence[int], limits: Limits, providers: int, name: str
) -> Array:
    """[1 + P, K], or [1, K] where it does not matter whose people are: how many people, and how many with each
    provider, have each number of `places` as their first row's payload. `name` is the program's, for its steps.
    """
    counted = await both(rt, people.first, people.real, f"{name}: first rows")
    if limits.by_provider:
        having = await spread(rt, people.providers, people.same_next, providers, f"{name}: providers of a person")
        with_provider = await both(rt, having, counted, f"{name}: people of a provider")
        counted = np.concatenate([counted, with_provider], axis=1)
    return await count_people(rt, people.payload, places, counted, f"{name}: sums")


def count_first_rows_cost(
    shape: Shape, n: int, bits: int, places: Sequence[int], limits: Limits, providers: int
) -> Cost:
    owners = providers if limits.by_provider else 0
    out = both_cost(shape, 1, n)
    if owners:
        out += spread_cost(shape, n, owners, providers) + both_cost(shape, owners, n)
    return out + count_people_cost(shape, n, bits, places, 1 + owners)
