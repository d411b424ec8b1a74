"""Pearson's χ² of two columns: whether what people are in one goes together with what they are in the other.

Output: χ² in units of 2^-16, rounded down or up, then whether it is told; 0 where it is not. No count is put out.

Route: people by both columns, and whether anything is told of them (two_columns.py); then, on the r c cells and r + c
totals alone, and on shares:
- χ² = sum of d_ij² / (n r_i c_j) with d_ij = n o_ij - r_i c_j: terms that are not below zero, so that nothing cancels
  but in d, which is exact (|d| <= n² <= 2^44). (Pearson 1900; Agresti, "Categorical Data Analysis", 3rd edition, 2013,
  section 3.2.1.)
- 1/n, 1/r_i, 1/c_j in fixed point, each within 2^-24 of it (reciprocals.py); their products with d² in MPyC's integers
  of 176 bits, exact (cold.py); then all bits below 2^-16 are cut off by MPyC's truncation, which rounds up or down.
So the output is off by less than one unit and a relative 2^-22. Nothing is opened but what linking opens: how many rows
of a provider are out of order, and comparisons of shuffled rows; and, under MPyC's masks, one number for the truncation
(masked.py).

Not linked, owners share how many records they have in each cell (pooled.py), and nothing is opened but whether these
totals are possible.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cold_cost import conversion_cost, products_cost, truncated_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits
from connectors.engine.pooled import Pooled
from connectors.engine.programs.about import About
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.two_columns import (
    MAX_CELLS,
    Counts,
    TwoColumns,
    crossed,
    crossed_clear,
    crossed_cost,
    encoded,
    read,
    told_clear,
    width_of,
)
from connectors.engine.reciprocals import FRACTION, MOST_BITS, reciprocals, reciprocals_clear, reciprocals_cost
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words, words_per_row
from connectors.engine.sharing import reshare, reshare_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "chi_square"
VERSION = 1
OPENS = COUNTING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn one number, chi-square of the two columns, or that it is not told, which says that some code has "
    "few people, or that few are left of them without one provider's own. "
    "Who knows how many people have each code of either column learns the more of the table the fewer cells it has: of "
    "two codes by two, all of it, up to which way it leans."
)
ABOUT = About(
    title="Whether two columns go together: Pearson's chi-square",
    inputs="A row for each person: a linkage key of 60 bits and the index of the person's code in each column, or that "
    "it is another one; padded to a public bound. "
    "Or, not linked, how many there are in each cell, in as many bits as the bound has.",
    outputs="Chi-square in units of 2^-16; then whether it is told.",
    takes=f"two columns of two codes at least, that make {MAX_CELLS} cells at most",
    formula="For n rows of P providers, as people by groups; then, in the number of codes alone, limits, reciprocals "
    "of all totals in about 80 rounds, products of integers of 241 bits, and one truncation.",
    sampled="2 by 5 codes, least total 11",
    sample={
        "test": NAME,
        "columns": [{"name": "one", "codes": list("ab")}, {"name": "other", "codes": list("vwxyz")}],
        "minimum_cell": 11,
    },
)
UNIT_BITS = 16  # the output is in units of 2^-16
INTEGER_BITS = 176  # chi-square times 2^(3 (23 + FRACTION)) fits: 25 + 147 bits and a sign
_MODULUS = (1 << 241) - 1  # as long as the modulus of MPyC's integers of that length


def _read(parameters: Parameters) -> TwoColumns:
    return read(parameters, NAME, "linked")


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).shared.bits)


def outputs(parameters: Parameters) -> int:
    _read(parameters)
    return 2


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked: how many records."""
    return _read(parameters).pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals; a code that is none of the question's has the
    number after its last. Raises InputRejected, naming the field."""
    return encoded(_read(parameters), given, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    people = await crossed(rt, query, inputs, uniform, "chi-square")
    everyone = total(people.rows)[None]
    apart = sub(mul(everyone, people.cells), mul(people.rows[:, None], people.columns)).reshape(-1)
    apart = await reshare(rt, apart, "chi-square: against what is expected")
    # Of what is not told only zeros and ones are left.
    lone = np.concatenate([apart, sub(np.concatenate([people.rows, people.columns, everyone]), 1)])
    apart, amounts = np.split(await reshare(rt, mul(lone, people.told), "chi-square: unless told"), [len(apart)])
    width = width_of(query.counting.rows(inputs))
    shares = await reciprocals(rt, add(amounts, 1), width, "chi-square: reciprocals")
    value = await _weighed(rt, apart, shares, query.shape, width)
    return await reshare(rt, np.concatenate([value, people.told]), "limits: fresh shares")


async def _weighed(rt: "Engine", apart: Array, shares: Array, shape: tuple[int, int], width: int) -> Array:
    """[1]: the sum of d_ij² over n, r_i and c_j, for d [r c] and the reciprocals [r + c + 1] of r, c and n."""
    from connectors.engine.cold import from_cold, to_cold  # MPyC, which agents do not import

    rows, columns = shape
    number = rt.SecInt(INTEGER_BITS)
    cold = await to_cold(rt, np.concatenate([apart, shares]), _bound(width), number)
    apart_cold, by_row, by_column = cold[: len(apart)], cold[len(apart) :][:rows], cold[len(apart) + rows : -1]
    squares = rt.schur_prod(apart_cold, apart_cold)
    lines = [rt.in_prod(squares[row * columns : (row + 1) * columns], by_column) for row in range(rows)]
    weighed = rt.in_prod(lines, by_row) * cold[-1]
    cut = rt.trunc(weighed, f=_cut(width))
    return await from_cold(rt, [cut], _bound(width))


def _bound(width: int) -> int:
    """No d, no reciprocal and no output is as far from zero."""
    return 1 << width + FRACTION + 1


def _cut(width: int) -> int:
    """Bits of what is weighed that are below the output's unit."""
    return 3 * (width + FRACTION) - UNIT_BITS


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`, which may put out one unit more. Bounds do not matter: how long numbers can be scales
    reciprocals and changes nothing else."""
    query = _read(parameters)
    return chi_square_clear(crossed_clear(query, providers), query.limits)


def chi_square_clear(counts: Counts, limits: Limits) -> list[int]:
    """What comes of counts [1 + Q, r, c] of all people and of the parts that somebody may take away."""
    if not told_clear(counts, limits):
        return [0, 0]
    cells, width = counts[0], MOST_BITS
    of_rows, of_columns, everyone = cells.sum(axis=1), cells.sum(axis=0), cells.sum()
    apart = everyone * cells - np.outer(of_rows, of_columns)
    shares = np.array(reciprocals_clear([*of_rows, *of_columns, everyone], width), dtype=object)
    weighed = shares[: len(cells)] @ apart**2 @ shares[len(cells) : -1] * shares[-1]
    return [int(weighed) >> _cut(width), 1]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query = _read(parameters)
    width = width_of(query.counting.rows_of(bounds))
    cells, amounts = query.columns.cells, query.totals + 1
    out = crossed_cost(query, bounds, shape) + reshare_cost(shape, cells) + reshare_cost(shape, cells + amounts)
    out += reciprocals_cost(shape, amounts, width) + conversion_cost(shape, cells + amounts, _MODULUS)
    weighing = products_cost(shape, cells, _MODULUS) + products_cost(shape, query.shape[0], _MODULUS)
    weighing += products_cost(shape, 1, _MODULUS).times(2)
    out += truncated_cost(shape, weighing, _cut(width), _MODULUS)
    return out + conversion_cost(shape, 1, P) + reshare_cost(shape, 2)
