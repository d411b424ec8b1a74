"""People by groups and by the interval of a public grid that their number lies in: what programs on numbers share.

Invariants: an owner sorts its people into the K intervals at home; a person is counted at its first row, with that
row's codes and interval, and not at all if it has no number there, which is the index K, or a code that is none of the
question's; nothing is opened beyond what counting opens (counting.py). Not linked, owners share how many records they
have in each cell, and those that count nowhere stay at home.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import Counting, count_cells, count_cells_clear, count_cells_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.pooled import Pooled
from connectors.engine.programs.cells import Columns
from connectors.engine.programs.parameters import MAX_CELLS, known, linked
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Counts = npt.NDArray[np.object_]
OTHERS = ""  # the code of whoever has another one than the question's


@dataclass(frozen=True)
class Gridded:
    """Groups, row-major over their columns' codes, by the intervals of the grid of one number. `chosen`: the question
    takes some codes alone, and owners' rows have one more of each column for all others."""

    groups: Columns
    name: str
    intervals: int
    chosen: bool = False
    linked: bool = True

    @cached_property
    def shared(self) -> Columns:
        """What owners' rows say: the groups' codes, then the interval, with one more for whoever has no number."""
        groups = [(*codes, OTHERS) if self.chosen else codes for codes in self.groups.codes]
        grid = tuple(map(str, range(self.intervals + 1)))
        return replace(self.groups, names=(*self.groups.names, self.name), codes=(*groups, grid))

    @property
    def places(self) -> list[int]:
        """Of the cells, row-major by group and interval, among those of what is shared."""
        return [self.shared.place(codes) for codes in product(*map(range, self.sizes))]

    @property
    def sizes(self) -> tuple[int, ...]:
        return (*self.groups.sizes, self.intervals)

    @property
    def pooled(self) -> Pooled | None:
        """What providers put in for each cell, where people are not linked: how many records."""
        return None if self.linked else Pooled(prod(self.sizes))

    def counting(self, limits: Limits) -> Counting:
        return Counting(self.shared.bits, self.places, limits, self.pooled)

    @property
    def words(self) -> int:
        """Words of bits per input row."""
        return words_per_row(self.shared.bits)

    @property
    def shape(self) -> tuple[int, int]:
        """Groups and intervals."""
        return self.groups.cells, self.intervals

    def check(self, rows: InputRows) -> None:
        """Raises InputRejected, naming the field."""
        self.shared.check(rows)

    def cell(self, codes: Sequence[int]) -> int | None:
        """Row-major by group and interval; None for whoever counts nowhere."""
        inside = all(code < size for code, size in zip(codes, self.sizes, strict=True))
        *group, interval = codes
        return self.groups.cell(group) * self.intervals + interval if inside else None

    def encoded(self, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
        """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
        if self.pooled is not None:
            return self.pooled.encode(given, bound, self)
        rows = check_rows(given, bound)
        self.check(rows)
        places = np.array([self.shared.place(codes) for codes in rows.codes], dtype=np.uint64)
        return pack(rows.keys, places, self.shared.bits, bound, token_bytes)


async def gridded_people(
    rt: "Engine", query: Gridded, inputs: Sequence[Array], uniform: Sequence[Array], limits: Limits, name: str
) -> Array:
    """People [1 + Q, G, K] by group and interval: all of them, and, where limits ask for it, the parts that somebody
    may take away (counting.py). `name` is the program's, for its steps."""
    counts = await count_cells(rt, query.counting(limits), inputs, uniform, name)
    return counts.reshape(-1, *query.shape)


def gridded_people_clear(query: Gridded, providers: Sequence[InputRows | InputCells], limits: Limits) -> Counts:
    """Clear-text twin of `gridded_people`."""
    counts, parts = count_cells_clear(query.counting(limits), providers, query.cell)
    return np.array([counts, *parts], dtype=object).reshape(-1, *query.shape)


def gridded_people_cost(query: Gridded, bounds: Sequence[int], shape: Shape, limits: Limits) -> Cost:
    return count_cells_cost(shape, query.counting(limits), bounds)


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
    return Gridded(groups, described["name"], intervals, chosen, linked(parameters))
