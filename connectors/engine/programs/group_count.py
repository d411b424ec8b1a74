"""How many people there are in each cell of one or more group columns, each person once across all providers; or, where
they are not linked, how many records.

Cells are row-major over the columns' codes. Output: a value per cell, then a flag per cell. Owners share the index of
each code in binary, the first column's in the highest bits.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's codes; which providers have
the person is the OR over its rows; cells are counted for all people and for those of each provider; limits. Nothing is
opened but what linking opens: how many rows of a provider are out of order, and comparisons of shuffled rows.

Not linked, owners share how many records they have in each cell (pooled.py); limits are the same, and nothing is
opened but whether these totals are possible.

With `grid` and `edges_at` the first column is of bins: owners share the interval of a public grid that a person's
number lies in, or that it has none, which is the last bin; the edges of the others are quantiles of everybody's
numbers, found on the counts and never opened (quantiles.py), and counts are of people between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine import noise
from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.counting import Counting, count_cells, count_cells_clear, count_cells_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits, limited_clear
from connectors.engine.pooled import Pooled
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.grids import read_grid
from connectors.engine.programs.parameters import LIMITS, MAX_CELLS, known, linked, read_probabilities
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.quantiles import binned, binned_clear, binned_cost
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "group_count"
VERSION = 1
OPENS = COUNTING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes, the number of people with it, each once, "
    "or of records, where people are not linked, "
    "with noise or rounded where the parameters say so, or that the number is suppressed, which says that it is small, "
    "or that what is left of it without one provider's own people is, or that one provider has more of it than the "
    "parameters allow. Where edges are quantiles of people, these are not told; how many people there are between "
    "them is about what their probabilities say."
)
ABOUT = About(
    title="People by groups, each once",
    inputs="A row for each person: a linkage key of 60 bits and the index of the person's code in each column; padded "
    "to a public bound. Or, not linked, how many there are in each cell, in as many bits as the bound has. "
    "With noise, 64 uniform bits for each coin.",
    outputs="For each combination of codes, row-major, the number of people; then for each whether it is shown.",
    takes=f"one to six columns that make {MAX_CELLS} cells at most; the first may be of bins between quantiles",
    formula="For n rows of P providers: a check of order, a shuffle and a sort of n rows by 63 bits, a comparison of "
    "neighbours, 1 + ceil(log2 P) rounds to spread whose a person is over its rows; then a conversion to the field of "
    "L + 2 P H bits a row, with L H cells in two halves; then limits, in the number of cells alone; with bins a "
    "comparison for each interval of the grid and each edge before.",
    sampled="66 cells, least cell 11",
    sample={"columns": [{"name": "group", "codes": [str(code) for code in range(66)]}], "minimum_cell": 11},
)


@dataclass(frozen=True, slots=True)
class _Query:
    """`intervals` of the grid of the first column, 0 where that is one of codes, and the quantiles `at` its edges."""

    columns: Columns
    limits: Limits
    linked: bool
    intervals: int = 0
    at: tuple[int, ...] = ()

    @property
    def shared(self) -> Columns:
        """What owners share."""
        if not self.at:
            return self.columns
        grid = tuple(map(str, range(self.intervals + 1)))
        return replace(self.columns, codes=(grid, *self.columns.codes[1:]))

    @property
    def groups(self) -> int:
        """Cells of each bin."""
        return self.columns.cells // self.columns.sizes[0]

    @property
    def pooled(self) -> Pooled | None:
        return None if self.linked else Pooled(self.shared.cells)

    @property
    def counting(self) -> Counting:
        return Counting(self.shared.bits, self.shared.places, self.limits, self.pooled)


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", *LIMITS, "structural_zeros", "linked", "grid", "edges_at"))
    columns = read_columns(parameters)
    limits = read_limits(parameters, columns.cells)
    if "edges_at" not in parameters and "grid" not in parameters:
        return _Query(columns, limits, linked(parameters))
    at = read_probabilities(parameters.get("edges_at"), "edges_at")
    if at[0] == 0 or at[-1] == 100:
        raise InputRejected("edges_at", "has the least or the greatest, which part nobody from anybody")
    if "noise" in parameters:
        raise InputRejected("noise", "does not go with edges that depend on people; leave one of them out")
    groups = Columns(columns.names[1:], columns.codes[1:])
    gridded = read_grid(parameters, groups, MAX_CELLS // groups.cells - 1)
    if (gridded.name, len(at) + 2) != (columns.names[0], columns.sizes[0]):
        raise InputRejected("columns", f"do not begin with the grid's, of {len(at) + 2} bins, the last of no number")
    return _Query(columns, limits, linked(parameters), gridded.intervals, at)


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).shared.bits)


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).columns.cells


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked: how many records."""
    return _read(parameters).pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
    query = _read(parameters)
    if query.pooled is not None:
        return query.pooled.encode(given, bound, query.shared)
    rows, shared = check_rows(given, bound), query.shared
    shared.check(rows)
    places = np.array([shared.place(codes) for codes in rows.codes], dtype=np.uint64)
    return pack(rows.keys, places, shared.bits, bound, token_bytes)


def noise_words(parameters: Parameters) -> int:
    """Words of uniform bits that each provider puts in beside its rows."""
    query = _read(parameters)
    return noise.noise_words(query.limits, query.columns.cells)


def own_noise(parameters: Parameters, seed: bytes) -> Words:
    """A provider's uniform bits, from a seed of 32 bytes."""
    query = _read(parameters)
    return noise.own_noise(seed, query.limits, query.columns.order)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, and those of their uniform bits where there is noise, in the
    contract's order."""
    query = _read(parameters)
    rows = query.counting.rows(inputs)
    counts = await count_cells(rt, query.counting, inputs, uniform, "group count")
    if query.at:
        cells = counts.reshape(len(counts), query.intervals + 1, query.groups)
        bins = await binned(rt, cells[:, :-1], rows, query.at)
        counts = np.concatenate([bins, cells[:, -1:]], axis=1).reshape(len(counts), -1)
    return await noise.settled(rt, counts, rows, query.limits, uniform)


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    counts, parts = count_cells_clear(query.counting, providers, query.shared.cell)
    if query.at:
        cells = np.array([counts, *parts], dtype=object).reshape(1 + len(parts), query.intervals + 1, query.groups)
        made = np.concatenate([binned_clear(cells[:, :-1], query.at), cells[:, -1:]], axis=1)
        counts, *parts = made.reshape(len(made), -1).tolist()
    if query.limits.coins:
        return noise.settled_clear(counts, query.limits, noise.noise_clear(uniform, query.limits, query.columns.cells))
    return limited_clear(counts, parts, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, providers = _read(parameters), len(bounds)
    rows, owners = query.counting.rows_of(bounds), query.counting.owners(providers)
    out = count_cells_cost(shape, query.counting, bounds)
    if query.at:
        out += binned_cost(shape, rows, query.intervals, query.groups, len(query.at), owners)
    return out + noise.settled_cost(shape, rows, query.columns.cells, owners, query.limits)
