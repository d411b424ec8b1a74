"""What tests of two columns share: their parameters, people by both columns, and whether anything is told of them.

Invariants: a person is counted at its first row, with that row's codes, and not at all if one of them is none of the
question's, which is one code more of each column for owners; nothing is opened beyond what counting opens.

Told, if each total of rows and columns is at least the minimum and 1, and for every provider what is left of it without
that provider's people is 0 or at least the minimum (limits.py). So all codes that there are occur, and no total is
small. Where it is not told, programs go on with zeros and ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import Counting, count_cells, count_cells_clear, count_cells_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, total
from connectors.engine.limits import Limits, all_kept, all_kept_cost, kept_clear
from connectors.engine.pooled import Pooled
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.parameters import known_of_test, linked
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words, check_rows, pack

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

MAX_CELLS = 64
_UNKNOWN = ""  # the code of whoever has another one than the question's
Counts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class TwoColumns:
    """The columns, of r and c codes, and what limits their totals."""

    columns: Columns
    limits: Limits
    linked: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.columns.sizes
        return rows, columns

    @property
    def totals(self) -> int:
        return sum(self.shape)

    @property
    def shared(self) -> Columns:
        """What owners share: each column with one code more, for all others."""
        return replace(self.columns, codes=tuple((*codes, _UNKNOWN) for codes in self.columns.codes))

    @property
    def pooled(self) -> Pooled | None:
        """What providers put in for each cell, where people are not linked: how many records."""
        return None if self.linked else Pooled(self.columns.cells)

    @property
    def counting(self) -> Counting:
        return Counting(self.shared.bits, self.places, self.limits, self.pooled)

    @property
    def places(self) -> list[int]:
        """Of the cells, among those of what is shared."""
        return [self.shared.place(codes) for codes in product(*map(range, self.shape))]

    def check(self, rows: InputRows) -> None:
        """Raises InputRejected, naming the field."""
        self.shared.check(rows)

    def cell(self, codes: Sequence[int]) -> int | None:
        """Row-major; None for whoever has a code that is none of the question's."""
        inside = all(code < size for code, size in zip(codes, self.shape, strict=True))
        return self.columns.cell(codes) if inside else None


def read(parameters: Parameters, test: str, *more: str) -> TwoColumns:
    """`more`: other parameters that this test takes. Raises InputRejected."""
    known_of_test(parameters, test, ("columns", *more))
    columns = read_columns(parameters)
    return compared(columns, read_limits(parameters, columns.cells), linked(parameters))


def compared(columns: Columns, limits: Limits, linked: bool = True) -> TwoColumns:
    """Raises InputRejected unless these are two columns that can be compared."""
    if len(columns.names) != 2:
        raise InputRejected("columns", f"are {len(columns.names)}; name the two that are to be compared")
    if min(columns.sizes) < 2 or columns.cells > MAX_CELLS:
        raise InputRejected("columns", f"are of two codes at least, and make {MAX_CELLS} cells at most")
    if any(_UNKNOWN in codes for codes in columns.codes):
        raise InputRejected("columns", "have a code without a name")
    # A total of zero says no more than a small one, and has no reciprocal.
    return TwoColumns(columns, replace(limits, minimum=max(limits.minimum, 1), zero_is_small=True), linked)


def encoded(query: TwoColumns, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals; a code that is none of the question's has the
    number after its last. Raises InputRejected, naming the field."""
    if query.pooled is not None:
        return query.pooled.encode(given, bound, query)
    rows = check_rows(given, bound)
    query.check(rows)
    places = np.array([query.shared.place(codes) for codes in rows.codes], dtype=np.uint64)
    return pack(rows.keys, places, query.shared.bits, bound, token_bytes)


@dataclass(frozen=True, slots=True)
class Crossed:
    """Shares: people by both columns [r, c], their totals [r] and [c], and whether these are `told` [1]."""

    cells: Array
    rows: Array
    columns: Array
    told: Array


async def crossed(
    rt: "Engine", query: TwoColumns, inputs: Sequence[Array], uniform: Sequence[Array], name: str
) -> Crossed:
    """`name` is the program's, for its steps."""
    counts = await count_cells(rt, query.counting, inputs, uniform, name)
    cells = counts.reshape(-1, *query.shape)
    of_rows, of_columns = total(cells, axis=2), total(cells, axis=1)
    totals = np.concatenate([of_rows, of_columns], axis=1)  # [1 + Q, r + c]
    told = await all_kept(rt, totals, query.counting.rows(inputs), query.limits, f"{name}: all totals")
    return Crossed(cells[0], of_rows[0], of_columns[0], told)


def crossed_clear(query: TwoColumns, providers: Sequence[InputRows | InputCells]) -> Counts:
    """[1 + Q, r, c]: all people, and the parts that somebody may take away."""
    counts, parts = count_cells_clear(query.counting, providers, query.cell)
    return np.array([counts, *parts], dtype=object).reshape(-1, *query.shape)


def told_clear(counts: Counts, limits: Limits) -> bool:
    """Whether anything is told of these counts [1 + Q, r, c]."""
    totals = np.concatenate([counts.sum(axis=2), counts.sum(axis=1)], axis=1)
    return all(totals[0]) and all(kept_clear(totals[0].tolist(), totals[1:].tolist(), limits))


def crossed_cost(query: TwoColumns, bounds: Sequence[int], shape: Shape) -> Cost:
    owners = query.counting.owners(len(bounds))
    out = count_cells_cost(shape, query.counting, bounds)
    return out + all_kept_cost(shape, query.counting.rows_of(bounds), query.totals, owners, query.limits)


def width_of(rows: int) -> int:
    """Bits of any total, for bounds that add up to `rows`."""
    return max(rows.bit_length(), 2)
