"""Kruskal and Wallis's H: whether groups of people differ in where they stand in an order; of two groups, Mann and
Whitney's test.

Output: H in units of 2^-16, rounded down or up, then whether it is told; 0 where it is not. No count is put out.

Route: people by groups (rows) and by intervals in their order (columns), and whether anything is told of them
(two_columns.py); then, on the k V cells and k + V totals alone, and on shares. With n_g people in a group, t_v in an
interval, N in all, a person in interval v stands e_v = 2 sum_(u < v) t_u + t_v - N from the middle, twice its mean rank
less N + 1, and E_g is the sum of that over a group. Corrected for ties (Kruskal, Wallis, "Use of ranks in one-criterion
variance analysis", JASA 47, 1952; in this form Conover, "Practical Nonparametric Statistics", 3rd edition, 1999,
section 5.2),
  H = (N - 1) sum_g E_g^2 / n_g / S,  S = sum_v t_v e_v^2 = sum_v t_v (N - t_v)(N + t_v) / 3.
- E is exact, |E| <= N^2 <= 2^44. S would not fit the field, so G = 3 S / N is summed of t_v (N - t_v), exact, times
  1 + t_v / N of 14 fraction bits: terms above zero, each too small by 2^-14 of it at most.
- 1/n_g and 1/N within 2^-24 (reciprocals.py); of G its upper 27 bits and its length, and 1/G of these; (N - 1) / N of
  26 fraction bits. Products in MPyC's integers of 176 bits, exact; then MPyC's truncation cuts off what is below 2^-16.
So the output is off by less than one unit and a relative 2^-13.9. Nothing is opened but what linking opens: how many
rows of a provider are out of order, and comparisons of shuffled rows; and, under MPyC's masks, one number for the
truncation (masked.py).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cold_cost import conversion_cost, products_cost, truncated_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.programs.about import About
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.two_columns import (
    MAX_CELLS,
    Counts,
    crossed,
    crossed_clear,
    crossed_cost,
    encoded,
    read,
    told_clear,
    width_of,
)
from connectors.engine.reciprocals import (
    FRACTION,
    MOST_BITS,
    cut,
    cut_cost,
    inverses,
    inverses_clear,
    inverses_cost,
    lifted,
    lifted_cost,
    reciprocals,
    reciprocals_clear,
    reciprocals_cost,
)
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, words_per_row
from connectors.engine.sharing import reshare, reshare_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "kruskal_wallis"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn one number, Kruskal and Wallis's H of the groups, or that it is not told, which says that some "
    "group or interval has few people, or that few are left of them without one provider's own. "
    "Who knows how many people are in each group and interval learns the more of the table the fewer cells it has: of "
    "two by two, all of it, up to which way it leans."
)
ABOUT = About(
    title="Whether groups differ in an order: Kruskal and Wallis's H",
    inputs="A row for each person: a linkage key of 60 bits and the index of the person's code in each column, or that "
    "it is another one; padded to a public bound.",
    outputs="H in units of 2^-16; then whether it is told.",
    takes=f"a column of groups and one of intervals in their order, of two codes at least, that make {MAX_CELLS} cells "
    "at most",
    formula="For n rows of P providers, as people by groups; then, in the number of codes alone, limits, reciprocals "
    "of totals and then of one more number, about 90 rounds each, products of integers of 241 bits, and a truncation.",
    sampled="2 groups by 5 intervals, least total 11",
    sample={
        "test": NAME,
        "columns": [{"name": "group", "codes": list("ab")}, {"name": "order", "codes": list("vwxyz")}],
        "minimum_cell": 11,
    },
)
UNIT_BITS = 16  # the output is in units of 2^-16
INTEGER_BITS = 176  # H times 2^146 fits, with a factor of 3, and a sign
_MODULUS = (1 << 241) - 1  # as long as the modulus of MPyC's integers of that length
_PART = 14  # fraction bits of t / N


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(read(parameters, NAME).shared.bits)


def outputs(parameters: Parameters) -> int:
    read(parameters, NAME)
    return 2


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits; a code that is none of the question's has the number after its
    last. Raises InputRejected, naming the field."""
    return encoded(read(parameters, NAME), rows, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query, bound = read(parameters, NAME), sum(shares.shape[-1] for shares in inputs)
    people, groups, width = await crossed(rt, query, inputs, uniform, "ranks"), query.shape[0], width_of(bound)
    everyone = total(people.rows)[None]
    sums = await reshare(rt, total(mul(people.cells, _from_the_middle(people.columns))), "ranks: sums")
    # Of what is not told only zeros and ones are left.
    lone = np.concatenate([sums, sub(people.rows, 1), sub(everyone, 1), people.columns])
    lone = await reshare(rt, mul(lone, people.told), "ranks: unless told")
    sums, others, intervals = np.split(lone, [groups, 2 * groups + 1])
    amounts = add(others, 1)
    shares = await reciprocals(rt, amounts, width, "ranks: reciprocals")
    parts = await _parts(rt, np.concatenate([others[-1:], intervals]), shares[-1:], width)
    spread = add(await _spread(rt, intervals, amounts[-1:], parts[1:]), mul(sub(1, people.told), 1 << _PART))
    lift, inverse = await _inverse(rt, spread, _length(bound))
    factors = np.concatenate([parts[:1], lift, inverse])
    value = await _weighed(rt, np.concatenate([sums, shares[:-1], factors]), groups, bound)
    return await reshare(rt, np.concatenate([value, people.told]), "limits: fresh shares")


def _from_the_middle(columns: Array) -> Array:
    """Shares [V] of how far the people of each interval stand from the middle, from those of how many there are."""
    up_to = np.stack([total(columns[: place + 1]) for place in range(len(columns))])
    return sub(sub(mul(up_to, 2), columns), up_to[-1:])


async def _parts(rt: "Engine", amounts: Array, share: Array, width: int) -> Array:
    """Shares of amounts over N, for that of 1/N: the first with FRACTION bits, the others with _PART."""
    products = await reshare(rt, mul(amounts, share), "ranks: parts of all")
    bits = width + FRACTION + 1
    first = await cut(rt, products[:1], bits, width, "ranks: parts of all")
    others = await cut(rt, products[1:], bits, width + FRACTION - _PART, "ranks: parts of all")
    return np.concatenate([first, others])


async def _spread(rt: "Engine", intervals: Array, everyone: Array, parts: Array) -> Array:
    """[1]: G of _PART fraction bits."""
    apart = await reshare(rt, mul(intervals, sub(everyone, intervals)), "ranks: ties")
    return await reshare(rt, total(mul(apart, add(parts, 1 << _PART)))[None], "ranks: ties")


async def _inverse(rt: "Engine", spread: Array, length: int) -> tuple[Array, Array]:
    """Two factors [1] of 2^(length + FRACTION) / G."""
    lift, high = await lifted(rt, spread, length, "ranks: spread")
    upper = await cut(rt, high, length, length - MOST_BITS, "ranks: spread")
    return lift, await inverses(rt, upper, MOST_BITS, "ranks: spread")


async def _weighed(rt: "Engine", numbers: Array, groups: int, bound: int) -> Array:
    """[1]: H of E [k], their weights [k], (N - 1) / N, and the two factors of 1 / G."""
    from connectors.engine.cold import from_cold, to_cold  # MPyC, which agents do not import

    most = 1 << width_of(bound) + FRACTION + 1  # nothing here, and no output, is as far from zero
    cold = await to_cold(rt, numbers, most, rt.SecInt(INTEGER_BITS))
    sums, weights, (corrected, lift, inverse) = cold[:groups], cold[groups : 2 * groups], cold[2 * groups :]
    scale = corrected * inverse * lift
    weighed = rt.in_prod(rt.schur_prod(sums, sums), weights) * scale * 3
    return await from_cold(rt, [rt.trunc(weighed, f=_below(width_of(bound), _length(bound)))], most)


def _length(bound: int) -> int:
    """Bits of G at most, and MOST_BITS at least."""
    return max((bound**2 << _PART).bit_length(), MOST_BITS)


def _below(width: int, length: int) -> int:
    """Bits of what is weighed that are below the output's unit."""
    return 3 * FRACTION + width + length - _PART - UNIT_BITS


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`, which may put out one unit more. Bounds do not matter: how long numbers can be scales
    reciprocals and changes nothing else."""
    query = read(parameters, NAME)
    return kruskal_wallis_clear(crossed_clear(query, providers), query.limits)


def kruskal_wallis_clear(counts: Counts, limits: Limits) -> list[int]:
    """What comes of counts [1 + Q, k, V] of all people and of the parts that somebody may take away."""
    if not told_clear(counts, limits):
        return [0, 0]
    cells, width, length = counts[0], MOST_BITS, 2 * MOST_BITS
    groups, intervals, everyone = cells.sum(axis=1), cells.sum(axis=0), int(cells.sum())
    sums = cells @ (2 * np.cumsum(intervals) - intervals - everyone)
    *shares, share = reciprocals_clear([*groups, everyone], width)
    parts = intervals * share >> width + FRACTION - _PART
    spread = int((intervals * (everyone - intervals) * ((1 << _PART) + parts)).sum())
    lift = 1 << length + _PART - spread.bit_length()
    (inverse,) = inverses_clear([spread * lift >> length + _PART - MOST_BITS], MOST_BITS)
    weighed = int((sums**2 * np.array(shares, dtype=object)).sum())
    scale = 3 * ((everyone - 1) * share >> width) * inverse * lift
    return [weighed * scale >> _below(width, length + _PART), 1]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, bound = read(parameters, NAME), sum(bounds)
    (groups, intervals), width, length = query.shape, width_of(bound), _length(bound)
    out = crossed_cost(query, bounds, shape) + reshare_cost(shape, groups)
    out += reshare_cost(shape, 2 * groups + 1 + intervals) + reciprocals_cost(shape, groups + 1, width)
    out += reshare_cost(shape, 1 + intervals) + cut_cost(shape, width + FRACTION + 1, width, 1)
    out += cut_cost(shape, width + FRACTION + 1, width + FRACTION - _PART, intervals)
    out += reshare_cost(shape, intervals) + reshare_cost(shape, 1) + lifted_cost(shape, 1, length)
    out += cut_cost(shape, length, length - MOST_BITS, 1) + inverses_cost(shape, 1, MOST_BITS)
    weighing = products_cost(shape, groups + 1, _MODULUS) + products_cost(shape, 2, _MODULUS)
    weighing += products_cost(shape, 1, _MODULUS)
    out += conversion_cost(shape, 2 * groups + 3, _MODULUS)
    out += truncated_cost(shape, weighing, _below(width, length), _MODULUS)
    return out + conversion_cost(shape, 1, P) + reshare_cost(shape, 2)
