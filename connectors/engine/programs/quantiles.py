"""Quantiles of a number that people have, by groups: for each the interval of a public grid that it lies in.

Output: for each group, row-major over the columns' codes, and for each probability in its order the number of the
interval, 0 where it is not told; then for each whether it is told. No count is put out.

Route: people by groups and intervals (grids.py), then all on these counts (quantiles.py). Nothing is opened but what
linking opens: how many rows of a provider are out of order, and comparisons of shuffled rows.

Not linked, owners share how many records they have in each cell (pooled.py), and nothing is opened but whether these
totals are possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.counting import Counting
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.pooled import Pooled
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.grids import (
    Gridded,
    gridded_people,
    gridded_people_clear,
    gridded_people_cost,
    read_grid,
)
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import MAX_AT, MAX_CELLS, known_without_counts, read_probabilities
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.quantiles import limited_quantiles, limited_quantiles_clear, limited_quantiles_cost
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "quantiles"
VERSION = 1
OPENS = COUNTING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes and each probability, the interval of a public grid that the "
    "quantile lies in, or that it is not told, which says that few people are in that interval, or that somebody but "
    "few people are below or above it, or that few of them are left without one provider's own. "
    "An interval says between which parts of the people it stands: who knows how many there are learns a bound on how "
    "many are below it and above it."
)
ABOUT = About(
    title="Quantiles of a number that people have, by groups",
    inputs="A row for each person: a linkage key of 60 bits, the index of the person's code in each column, and the "
    "number of the interval that its number lies in, or that it has none; padded to a public bound. "
    "Or, not linked, how many there are in each cell, in as many bits as the bound has.",
    outputs="For each combination of codes, row-major, and each probability the number of an interval; then for each "
    "whether it is told.",
    takes=f"up to {MAX_AT} probabilities in hundredths, a grid, and up to five columns that make {MAX_CELLS} cells "
    "with it at most; no dominance, rounding or noise",
    formula="For n rows of P providers, what group_count costs for the cells of groups and grid, up to the limits; "
    "then a comparison for each cell and probability, and limits on three numbers for each group and probability.",
    sampled="6 groups by 24 intervals, quartiles, least part 11",
    sample={
        "columns": [{"name": "group", "codes": list("abcdef")}],
        "grid": {"name": "age", "intervals": 24},
        "at": [25, 50, 75],
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    gridded: Gridded
    at: tuple[int, ...]
    limits: Limits

    @property
    def counting(self) -> Counting:
        return self.gridded.counting(self.limits)


def _read(parameters: Parameters) -> _Query:
    known_without_counts(parameters, ("columns", "grid", "at", "linked"))
    groups = Columns((), ()) if parameters.get("columns") in ([], ()) else read_columns(parameters)
    at = read_probabilities(parameters.get("at"), "at")
    gridded = read_grid(parameters, groups)
    return _Query(gridded, at, read_limits(parameters, groups.cells))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return _read(parameters).gridded.words


def outputs(parameters: Parameters) -> int:
    query = _read(parameters)
    return 2 * query.gridded.groups.cells * len(query.at)


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked: how many records."""
    return _read(parameters).gridded.pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
    return _read(parameters).gridded.encoded(given, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    rows = query.counting.rows(inputs)
    people = await gridded_people(rt, query.gridded, inputs, uniform, query.limits, NAME)
    return await limited_quantiles(rt, people, rows, query.at, query.limits)


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    return limited_quantiles_clear(gridded_people_clear(query.gridded, providers, query.limits), query.at, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query = _read(parameters)
    owners = query.counting.owners(len(bounds))
    out = gridded_people_cost(query.gridded, bounds, shape, query.limits)
    rows = query.counting.rows_of(bounds)
    return out + limited_quantiles_cost(shape, rows, *query.gridded.shape, len(query.at), owners, query.limits)
