"""People by groups and by the interval of a public grid that their number lies in: what programs on numbers share.

Invariants: an owner sorts its people into the K intervals at home; a person is counted at its first row, with that
row's codes and interval, and not at all if it has no number there, which is the index K, or a code that is none of the
question's; nothing is opened beyond what linking opens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import count_first_rows, count_first_rows_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.linking import link, link_clear, link_cost
from connectors.engine.programs.cells import Columns
from connectors.engine.programs.parameters import MAX_CELLS, known
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Counts = npt.NDArray[np.object_]
OTHERS = ""  # the code of whoever has another one than the question's


@dataclass(frozen=True)
class Gridded:
    """Groups, row-major over their columns' codes, by the intervals of the grid of one number. `chosen`: the question
    takes some codes alone, and owners share one more of each column for all others."""

    groups: Columns
    name: str
    intervals: int
    chosen: bool = False

    @cached_property
    def shared(self) -> Columns:
        """What owners share: the groups' codes, then the interval, with one more for whoever has no number."""
        groups = [(*codes, OTHERS) if self.chosen else codes for codes in self.groups.codes]
        grid = tuple(map(str, range(self.intervals + 1)))
        return replace(self.groups, names=(*self.groups.names, self.name), codes=(*groups, grid))

    @property
    def places(self) -> list[int]:
        """Of the cells, row-major by group and interval, among those of what is shared."""
        sizes = (*self.groups.sizes, self.intervals)
        return [self.shared.place(codes) for codes in product(*map(range, sizes))]

    @property
    def words(self) -> int:
        """Words of bits per input row."""
        return words_per_row(self.shared.bits)

    @property
    def shape(self) -> tuple[int, int]:
        """Groups and intervals."""
        return self.groups.cells, self.intervals

    def encoded(self, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
        """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
        check_rows(rows, bound)
        self.shared.check(rows)
        places = np.array([self.shared.place(codes) for codes in rows.codes], dtype=np.uint64)
        return pack(rows.keys, places, self.shared.bits, bound, token_bytes)


async def gridded_people(
    rt: "Engine", query: Gridded, inputs: Sequence[Array], uniform: Sequence[Array], limits: Limits, name: str
) -> Array:
    """Linked people [1 + P, G, K] by group and interval: all of them, and, where limits ask for it, those that each
    provider has; each at its first row. `name` is the program's, for its steps."""
    people = await link(rt, inputs, query.shared.bits, limits, uniform)
    counts = await count_first_rows(rt, people, query.places, limits, len(inputs), name)
    return counts.reshape(-1, *query.shape)


def gridded_people_clear(query: Gridded, providers: Sequence[InputRows]) -> Counts:
    """Clear-text twin of `gridded_people`."""
    counts = np.zeros((1 + len(providers), *query.shape), dtype=object)
    sizes = (*query.groups.sizes, query.intervals)
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        codes = providers[first].codes[row]
        if all(code < size for code, size in zip(codes, sizes, strict=True)):
            *group, interval = codes
            counts[[0, *(1 + p for p in person)], query.groups.cell(group), interval] += 1
    return counts


def gridded_people_cost(query: Gridded, bounds: Sequence[int], shape: Shape, limits: Limits) -> Cost:
    n, bits, providers = sum(bounds), query.shared.bits, len(bounds)
    linking = link_cost(shape, n, bits, providers, limits)
    return linking + count_first_rows_cost(shape, n, bits, query.places, limits, providers)


def read_grid(parameters: Parameters, groups: Columns, most: int = MAX_CELLS, *, chosen: bool = False) -> Gridded:
    """A grid of 2 to `most` intervals, so that it makes at most MAX_CELLS cells with these groups. Raises
    InputRejected."""
    described = parameters.get("grid")
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise InputRejected("grid", "does not say the name of a column and the number of its intervals")
    known(described, ("name", "intervals"))
    intervals = described.get("intervals")
    if type(intervals) is not int or not 2 <= intervals <= most:
        raise InputRejected("grid.intervals", f"is not a whole number from 2 to {most}")
    if intervals * groups.cells > MAX_CELLS:
        raise InputRejected(
            "grid.intervals", f"make {intervals * groups.cells} cells with the groups; at most {MAX_CELLS} are possible"
        )
    if described["name"] in groups.names:
        raise InputRejected("grid.name", "is a column of groups as well")
    if chosen and any(OTHERS in codes for codes in groups.codes):
        raise InputRejected("columns", "have a code without a name")
    return Gridded(groups, described["name"], intervals, chosen)
