"""How many people there are in each cell of one or more group columns, each person once across all providers.

Cells are row-major over the columns' codes. Output: a value per cell, then a flag per cell. Owners share the index of
each code in binary, the first column's in the highest bits.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's codes; which providers have
the person is the OR over its rows; cells are counted for all people and for those of each provider; limits. Nothing is
opened but what linking opens: how many rows of a provider are out of order, and comparisons of shuffled rows.

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
from connectors.engine.counting import count_first_rows, count_first_rows_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits, limited_clear
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.linking import link, link_clear, link_cost
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.grids import read_grid
from connectors.engine.programs.parameters import LIMITS, MAX_CELLS, known, read_probabilities
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.quantiles import binned, binned_clear, binned_cost
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "group_count"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes, the number of people with it, each once, "
    "with noise or rounded where the parameters say so, or that the number is suppressed, which says that it is small, "
    "or that what is left of it without one provider's own people is, or that one provider has more of it than the "
    "parameters allow. Where edges are quantiles of people, these are not told; how many people there are between "
    "them is about what their probabilities say."
)
ABOUT = About(
    title="People by groups, each once",
    inputs="A row for each person: a linkage key of 60 bits and the index of the person's code in each column; padded "
    "to a public bound. With noise, 64 uniform bits for each coin.",
    outputs="For each combination of codes, row-major, the number of people; then for each whether it is shown.",
    takes=f"one to six columns that make {MAX_CELLS} cells at most; the first may be of bins between quantiles",
    formula="For n rows of P providers: a check of order, a shuffle and a sort of n rows by 63 bits, a comparison of "
    "neighbours, 1 + ceil(log2 P) rounds to spread whose a person is over its rows; then a conversion to the field of "
    "L + (1 + P) H bits a row, with L H cells in two halves; then limits, in the number of cells alone; with bins a "
    "comparison for each interval of the grid and each edge before.",
    sampled="66 cells, least cell 11",
    sample={"columns": [{"name": "group", "codes": [str(code) for code in range(66)]}], "minimum_cell": 11},
)


@dataclass(frozen=True, slots=True)
class _Query:
    """`intervals` of the grid of the first column, 0 where that is one of codes, and the quantiles `at` its edges."""

    columns: Columns
    limits: Limits
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


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", *LIMITS, "structural_zeros", "grid", "edges_at"))
    columns = read_columns(parameters)
    limits = read_limits(parameters, columns.cells)
    if "edges_at" not in parameters and "grid" not in parameters:
        return _Query(columns, limits)
    at = read_probabilities(parameters.get("edges_at"), "edges_at")
    if at[0] == 0 or at[-1] == 100:
        raise InputRejected("edges_at", "has the least or the greatest, which part nobody from anybody")
    if "noise" in parameters:
        raise InputRejected("noise", "does not go with edges that depend on people; leave one of them out")
    groups = Columns(columns.names[1:], columns.codes[1:])
    gridded = read_grid(parameters, groups, MAX_CELLS // groups.cells - 1)
    if (gridded.name, len(at) + 2) != (columns.names[0], columns.sizes[0]):
        raise InputRejected("columns", f"do not begin with the grid's, of {len(at) + 2} bins, the last of no number")
    return _Query(columns, limits, gridded.intervals, at)


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).shared.bits)


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).columns.cells


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    shared = query.shared
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
    query, rows = _read(parameters), sum(shares.shape[-1] for shares in inputs)
    people = await link(rt, inputs, query.shared.bits, query.limits, uniform)
    counts = await count_first_rows(rt, people, query.shared.places, query.limits, len(inputs), "group count")
    if query.at:
        cells = counts.reshape(len(counts), query.intervals + 1, query.groups)
        bins = await binned(rt, cells[:, :-1], rows, query.at)
        counts = np.concatenate([bins, cells[:, -1:]], axis=1).reshape(len(counts), -1)
    return await noise.settled(rt, counts, rows, query.limits, uniform)


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    made = np.zeros((1 + len(providers), query.shared.cells), dtype=object)
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        made[[0, *(1 + p for p in person)], query.shared.cell(providers[first].codes[row])] += 1
    if query.at:
        cells = made.reshape(len(made), query.intervals + 1, query.groups)
        made = np.concatenate([binned_clear(cells[:, :-1], query.at), cells[:, -1:]], axis=1).reshape(len(made), -1)
    counts, *parts = made.tolist()
    if query.limits.coins:
        return noise.settled_clear(counts, query.limits, noise.noise_clear(uniform, query.limits, query.columns.cells))
    return limited_clear(counts, parts, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    shared, owners = query.shared, providers if query.limits.by_provider else 0
    out = link_cost(shape, n, shared.bits, providers, query.limits)
    out += count_first_rows_cost(shape, n, shared.bits, shared.places, query.limits, providers)
    if query.at:
        out += binned_cost(shape, n, query.intervals, query.groups, len(query.at), owners)
    return out + noise.settled_cost(shape, n, query.columns.cells, providers, query.limits)
