"""Welch's t: whether two groups of people differ in the mean of a number, whatever their variances.

Output: the upper 8 bits of t^2 / (1 + t^2) and of 1 / (1 + t^2), in units of 2^-29, one number, each exact where the
other is not;
whether the first mean is below the second; 1/df in units of 2^-12; then whether it is told. 0 where it is not. No
count, sum or mean is put out.

Route: people by groups and by the interval of a public grid that their number lies in (grids.py); the number is that of
the interval; then all on these counts (welch.py). Nothing is opened but what linking opens: how many rows of a provider
are out of order, and comparisons of shuffled rows.

Not linked, owners share how many records they have in each cell (pooled.py), and nothing is opened but whether these
totals are possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.counting import Counting
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.pooled import Pooled
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import read_columns
from connectors.engine.programs.grids import (
    Gridded,
    gridded_people,
    gridded_people_clear,
    gridded_people_cost,
    read_grid,
)
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import known_of_test
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words
from connectors.engine.welch import MAX_LEVELS, OUTPUTS, welch, welch_clear, welch_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "t_test"
VERSION = 1
OPENS = COUNTING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn Welch's t of two groups and its degrees of freedom, these as 1/df in steps of 1/4096, or that it "
    "is not told, which says that a group has few people, or few without one provider's own, or that hardly any of its "
    "people differ in the number. "
    "Degrees of freedom lie between the people of the smaller group and all of them, and of few people say how many."
)
ABOUT = About(
    title="Whether two groups differ in a mean: Welch's t",
    inputs="A row for each person: a linkage key of 60 bits, the index of the person's code, or that it is another "
    "one, and the number of the interval that its number lies in, or that it has none; padded to a public bound. "
    "Or, not linked, how many there are in each cell, in as many bits as the bound has.",
    outputs="t^2 / (1 + t^2) and 1 / (1 + t^2) in units of 2^-29, upper 8 bits; whether t is below zero; 1/df "
    "in units of 2^-12; then whether it is told.",
    takes=f"a column with two codes, and a grid of up to {MAX_LEVELS} intervals; no dominance, rounding or noise",
    formula="For n rows of P providers, people by two groups and the intervals; then, whatever n is, limits, "
    "reciprocals of four amounts, ten products with upper bits, and four ratios.",
    sampled="2 groups by 24 intervals, least group 11",
    sample={
        "test": NAME,
        "columns": [{"name": "group", "codes": list("ab")}],
        "grid": {"name": "age", "intervals": 24},
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    gridded: Gridded
    limits: Limits

    @property
    def counting(self) -> Counting:
        return self.gridded.counting(self.limits)


def _read(parameters: Parameters) -> _Query:
    known_of_test(parameters, NAME, ("columns", "grid", "linked"))
    groups = read_columns(parameters)
    if groups.sizes != (2,):
        raise InputRejected("columns", "are not one column with the two codes that are compared")
    gridded = read_grid(parameters, groups, MAX_LEVELS, chosen=True)
    return _Query(gridded, read_limits(parameters, groups.cells))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return _read(parameters).gridded.words


def outputs(parameters: Parameters) -> int:
    _read(parameters)
    return OUTPUTS


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
    people = await gridded_people(rt, query.gridded, inputs, uniform, query.limits, "t test")
    return await welch(rt, people, rows, query.limits)


def clear(
    parameters: Parameters,
    providers: Sequence[InputRows | InputCells],
    uniform: Sequence[Words] = (),
    bounds: Sequence[int] = (),
) -> list[int]:
    """Clear-text twin of `run`. The contract's row `bounds` say how finely it computes, which shows in a last place
    alone; without them there are as many rows as people."""
    query = _read(parameters)
    people = gridded_people_clear(query.gridded, providers, query.limits)
    rows = query.counting.rows_of(bounds) if bounds else max(1, people[0].sum())
    return welch_clear(people, rows, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query = _read(parameters)
    owners = query.counting.owners(len(bounds))
    out = gridded_people_cost(query.gridded, bounds, shape, query.limits)
    return out + welch_cost(shape, query.counting.rows_of(bounds), query.gridded.intervals, owners, query.limits)
