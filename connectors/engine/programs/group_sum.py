"""How many people there are in each cell of some group columns, each once across all providers, and what their numbers
add up to: how many people have one, its sum and, where asked for, the sum of its squares, for each measure; or, where
they are not linked, the same of records.

Cells are row-major over the columns' codes; without columns there is one. Output, each part over all cells: the count;
for each measure how many people's number is known, the sum of these and, where asked for, of their squares; then flags,
for the cell and for each measure. Owners share the index of each code in binary, the first column's in the highest
bits, and for each measure whether it is known and how far it is above its lowest value.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's codes and numbers: what that
row does not know is not known, whatever later ones say; which providers have the person is the OR over its rows; rows
are counted and added up by cells, for all people, for those of each provider, and for those whose numbers each provider
said, at their first row (tables.py); limits (sums.py), so that no provider gets few people's numbers by taking away
those that it said itself. Nothing is opened but what linking opens: how many rows of a provider are out of order, and
comparisons of shuffled rows.

Not linked, owners share for each cell how many records they have, and of each measure how many have a number, and the
sums of how far it is above its lowest value, and of the squares of that (pooled.py). A provider's part is what it has,
limits are the same, and nothing is opened but whether these totals are possible.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.pooled import Pooled
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.measures import MAX_APART, MAX_MEASURES, read_measures
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import LIMITS, MAX_CELLS, known, linked
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.programs.summed import Summed, summed_people, summed_people_clear, summed_people_cost
from connectors.engine.rows import (
    InputCells,
    InputRows,
    Parameters,
    TokenBytes,
    Words,
)
from connectors.engine.sums import limited_sums, limited_sums_clear, limited_sums_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "group_sum"
VERSION = 1
OPENS = COUNTING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes, the number of people with it, each once, and for each measure "
    "how many of them have a number, its sum and, where the parameters say so, the sum of its squares, rounded where "
    "they say so; or that the number, or what belongs to a measure, is suppressed, which says that it is of few people "
    "or that what is left of it without one provider's own people is, or that one provider has more of it, or a person "
    "could have, than the parameters allow."
)
ABOUT = About(
    title="What is measured of people, by groups",
    inputs="A row for each person: a linkage key of 60 bits, the index of the person's code in each column, and for "
    "each measure whether it is known and how far it is above its lowest value; padded to a public bound.",
    outputs="For each combination of codes, row-major, the number of people; for each measure how many have it, its "
    "sum and, where asked for, the sum of its squares; then for each whether it is shown, and its measures.",
    takes=f"one to {MAX_MEASURES} measures, whole numbers at most {MAX_APART} apart, and up to six columns that make "
    f"{MAX_CELLS} cells at most; no noise",
    formula="For n rows of P providers, M measures of B bits and Q squares: a check of order, a shuffle and a sort of "
    "n rows by 63 bits, a comparison of neighbours, 1 + ceil(log2 P) rounds to spread whose a person is over its rows; "
    "then a conversion to the field of L + (1 + P) H + M (1 + B) bits a row, with L H cells in two halves, and "
    "Q + (2 M + Q) L products a row; then limits, in the number of cells and measures alone.",
    sampled="66 cells, an age from 0 to 120 and its squares, least cell 11",
    sample={
        "columns": [{"name": "group", "codes": [str(code) for code in range(66)]}],
        "measures": [{"name": "age", "least": 0, "most": 120, "squares": True}],
        "minimum_cell": 11,
    },
)


def _read(parameters: Parameters) -> Summed:
    known(parameters, ("columns", "measures", *LIMITS, "structural_zeros", "linked"))
    if "noise" in parameters:
        raise InputRejected("noise", "does not go with sums yet; leave the noise or the measures out")
    columns = Columns((), ()) if parameters.get("columns") in ([], ()) else read_columns(parameters)
    return Summed(columns, read_measures(parameters), read_limits(parameters, columns.cells), linked(parameters))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return _read(parameters).words


def outputs(parameters: Parameters) -> int:
    query = _read(parameters)
    return query.columns.cells * (2 + 3 * len(query.measures) + len(query.squared))


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked."""
    return _read(parameters).pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
    return _read(parameters).encoded(given, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    sums = await summed_people(rt, query, inputs, uniform, "group sum")
    return await limited_sums(rt, sums, query.rows(inputs), query.limits, query.measures)


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    return limited_sums_clear(*summed_people_clear(query, providers), query.limits, query.measures)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query = _read(parameters)
    owners, rows, cells = query.owners(len(bounds)), query.rows_of(bounds), query.columns.cells
    out = summed_people_cost(query, bounds, shape)
    return out + limited_sums_cost(shape, rows, cells, owners, query.limits, query.measures)
