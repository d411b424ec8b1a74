"""Pearson's χ² of two columns: whether what people are in one goes together with what they are in the other.

Output: χ² in units of 2^-16, rounded down or up, then whether it is told; 0 where it is not. No count is put out.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's codes, and not at all if one
of them is none of the question's (counting.py); all else is on the r + c totals of rows and columns and the r c cells,
and on shares:
- told, if each total is at least the minimum and 1, and for every provider what is left of it without that provider's
  people is 0 or at least the minimum. So the degrees of freedom are the public (r - 1)(c - 1), and no total is small.
  Where it is not told, all that follows is computed on zeros and ones.
- χ² = sum of d_ij² / (n r_i c_j) with d_ij = n o_ij - r_i c_j: terms that are not below zero, so that nothing cancels
  but in d, which is exact (|d| <= n² <= 2^44). (Pearson 1900; Agresti, "Categorical Data Analysis", 3rd edition, 2013,
  section 3.2.1.)
- 1/n, 1/r_i, 1/c_j in fixed point, each within 2^-24 of it (reciprocals.py); their products with d² in MPyC's integers
  of 176 bits, exact (cold.py); then all bits below 2^-16 are cut off by MPyC's truncation, which rounds up or down.
So the output is off by less than one unit and a relative 2^-22. Nothing is opened but what linking opens: how many rows
of a provider are out of order, and comparisons of shuffled rows; and, under MPyC's masks, one number for the truncation
(masked.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cold_cost import conversion_cost, products_cost, truncated_cost
from connectors.engine.compare import all_of, all_of_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import count_first_rows, count_first_rows_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits, kept, kept_clear, kept_cost
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.linking import link, link_clear, link_cost
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.parameters import known
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.reciprocals import FRACTION, MOST_BITS, reciprocals, reciprocals_clear, reciprocals_cost
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sharing import reshare, reshare_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "chi_square"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn one number, chi-square of the two columns, or that it is not told, which says that some code has "
    "few people, or that few are left of them without one provider's own. "
    "Who knows how many people have each code of either column learns the more of the table the fewer cells it has: of "
    "two codes by two, all of it, up to which way it leans."
)
MAX_CELLS = 64
ABOUT = About(
    title="Whether two columns go together: Pearson's chi-square",
    inputs="A row for each person: a linkage key of 60 bits and the index of the person's code in each column, or that "
    "it is another one; padded to a public bound.",
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
_UNKNOWN = ""  # the code of whoever has another one than the question's


@dataclass(frozen=True, slots=True)
class _Query:
    columns: Columns
    limits: Limits

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
    def places(self) -> list[int]:
        """Of the cells, among those of what is shared."""
        return [self.shared.place(codes) for codes in product(*map(range, self.shape))]


def _read(parameters: Parameters) -> _Query:
    for name in ("dominance", "rounding", "noise"):
        if name in parameters:
            raise InputRejected(name, "does not go with a test; leave it out")
    known(parameters, ("columns", "test", "minimum_cell", "zero_is_small"))
    if parameters.get("test") != NAME:
        raise InputRejected("test", f"is not {NAME!r}, which is what this program computes")
    columns = read_columns(parameters)
    if len(columns.names) != 2:
        raise InputRejected("columns", f"are {len(columns.names)}; name the two that are to be compared")
    if min(columns.sizes) < 2 or columns.cells > MAX_CELLS:
        raise InputRejected("columns", f"are of two codes at least, and make {MAX_CELLS} cells at most")
    if any(_UNKNOWN in codes for codes in columns.codes):
        raise InputRejected("columns", "have a code without a name")
    limits = read_limits(parameters, columns.cells)
    # A total of zero says no more than a small one, and has no reciprocal.
    return _Query(columns, replace(limits, minimum=max(limits.minimum, 1), zero_is_small=True))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).shared.bits)


def outputs(parameters: Parameters) -> int:
    _read(parameters)
    return 2


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits; a code that is none of the question's has the number after its
    last. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    query.shared.check(rows)
    places = np.array([query.shared.place(codes) for codes in rows.codes], dtype=np.uint64)
    return pack(rows.keys, places, query.shared.bits, bound, token_bytes)


def noise_words(parameters: Parameters) -> int:
    """Words of uniform bits that each provider puts in beside its rows: none."""
    _read(parameters)
    return 0


def own_noise(parameters: Parameters, seed: bytes) -> Words:
    """A provider's uniform bits: none."""
    return np.zeros(noise_words(parameters), dtype=np.uint64)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query, rows = _read(parameters), sum(shares.shape[-1] for shares in inputs)
    people = await link(rt, inputs, query.shared.bits, query.limits, uniform)
    counts = await count_first_rows(rt, people, query.places, query.limits, len(inputs), "chi-square")
    cells = counts.reshape(-1, *query.shape)
    of_rows, of_columns = total(cells, axis=2), total(cells, axis=1)
    totals = np.concatenate([of_rows, of_columns], axis=1)  # [1 + P, r + c]
    told = await _told(rt, totals, rows, query.limits)
    everyone = total(counts[0])
    apart = sub(mul(everyone, cells[0]), mul(of_rows[0, :, None], of_columns[0])).reshape(-1)
    apart = await reshare(rt, apart, "chi-square: against what is expected")
    # Of what is not told only zeros and ones are left.
    amounts = np.concatenate([totals[0], everyone[None]])
    lone = np.concatenate([apart, sub(amounts, 1)])
    apart, amounts = np.split(await reshare(rt, mul(lone, told), "chi-square: unless told"), [len(apart)])
    width = _width(rows)
    shares = await reciprocals(rt, add(amounts, 1), width, "chi-square: reciprocals")
    value = await _weighed(rt, apart, shares, query.shape, width)
    return await reshare(rt, np.concatenate([value, told]), "limits: fresh shares")


async def _told(rt: "Engine", totals: Array, rows: int, limits: Limits) -> Array:
    """[1]: whether all totals [1 + P, T] are kept."""
    met, _ = await kept(rt, totals.T[:, :, None], rows, limits)  # each total a table of one cell
    return await to_field(rt, await all_of(rt, met, "chi-square: all totals"), 1, "chi-square: all totals")


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


def _width(rows: int) -> int:
    """Bits of any total."""
    return max(rows.bit_length(), 2)


def _bound(width: int) -> int:
    """No d, no reciprocal and no output is as far from zero."""
    return 1 << width + FRACTION + 1


def _cut(width: int) -> int:
    """Bits of what is weighed that are below the output's unit."""
    return 3 * (width + FRACTION) - UNIT_BITS


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`, which may put out one unit more. Bounds do not matter: how long numbers can be scales
    reciprocals and changes nothing else."""
    query = _read(parameters)
    counts = np.zeros((1 + len(providers), *query.shape), dtype=object)
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        codes = tuple(providers[first].codes[row])
        if all(code < size for code, size in zip(codes, query.shape, strict=True)):
            for part in (0, *(1 + p for p in person)):
                counts[(part, *codes)] += 1
    return chi_square_clear(counts, query.limits)


def chi_square_clear(counts: "np.typing.NDArray[np.object_]", limits: Limits) -> list[int]:
    """What comes of counts [1 + P, r, c] of all people and of those with each provider."""
    totals = np.concatenate([counts.sum(axis=2), counts.sum(axis=1)], axis=1)
    if not all(totals[0]) or not all(kept_clear(totals[0].tolist(), totals[1:].tolist(), limits)):
        return [0, 0]
    cells, width = counts[0], MOST_BITS
    apart = cells.sum() * cells - np.outer(cells.sum(axis=1), cells.sum(axis=0))
    shares = np.array(reciprocals_clear([*totals[0], cells.sum()], width), dtype=object)
    weighed = shares[: len(cells)] @ apart**2 @ shares[len(cells) : -1] * shares[-1]
    return [int(weighed) >> _cut(width), 1]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    owners = providers if query.limits.by_provider else 0
    cells, amounts, bits = query.columns.cells, query.totals + 1, query.shared.bits
    out = link_cost(shape, n, bits, providers, query.limits)
    out += count_first_rows_cost(shape, n, bits, query.places, query.limits, providers)
    out += kept_cost(shape, n, 1, owners, query.limits, query.totals) + all_of_cost(shape, query.totals, 1)
    out += to_field_cost(shape, 1, 1) + reshare_cost(shape, cells) + reshare_cost(shape, cells + amounts)
    out += reciprocals_cost(shape, amounts, _width(n)) + conversion_cost(shape, cells + amounts, _MODULUS)
    weighing = products_cost(shape, cells, _MODULUS) + products_cost(shape, query.shape[0], _MODULUS)
    weighing += products_cost(shape, 1, _MODULUS).times(2)
    out += truncated_cost(shape, weighing, _cut(_width(n)), _MODULUS)
    return out + conversion_cost(shape, 1, P) + reshare_cost(shape, 2)
