"""Least squares on secret totals of a public design: coefficients, their covariance's diagonal, what is left over.

    X'X = sum of n_c x_c x_c', X'y = sum of s_c x_c       linear in the secret totals n_c, s_c of the design's cells c
    b = (X'X)^-1 X'y, rest = y'y - b' X'y                 (e.g. Seber, Lee, "Linear Regression Analysis", 2003, ch. 3)

Invariants: nothing is opened but products under masks (wide.py); sizes and rounds follow from design and row bounds;
all scales are powers of two, so that only products round. With 2^u >= the range of each term, x 2^-u is from 0 to 1;
with k <= 2^h terms and fewer than 2^l rows, B = X'X 2^-(u_i + u_j + l + h) has eigenvalues from 0 to 1. Beside it
stands n 2^-(l + h), everybody, in a row and column of its own, whose inverse gives means. inversion.py inverts both.

Told, if every term has enough variation of its own: a_jj, the diagonal of (X'X)^-1, is 1 / (the squares of what is left
of term j after a regression on all others). Of an indicator it is at least the sum of 1 / people with the code and
1 / people with the reference, for whom it may not be above 2 / minimum; of a value, in units of its range, not above 1;
of the intercept not above 2^10. Collinear terms have none. What this allows has a trace of at most 1 + (1 + k) sum of
these bounds (the intercept's part is at most 1 / n + k trace of the others), which says how many steps the inverse
takes for an error of e^-64. And the variance that is left may not be below 2^-VARIANCE_FLOOR of the outcome's squared
range: it would say everybody's outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, log2
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import invert
from connectors.engine.compare import negative, negative_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.field import Array, inner_products, mul, sub, total
from connectors.engine.inversion import inverse, inverse_cost
from connectors.engine.limits import in_words
from connectors.engine.programs.design import Counts, Design
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.significant import WINDOW
from connectors.engine.wide import (
    FRACTION,
    Q,
    Wide,
    cut,
    cut_cost,
    deal_masks,
    from_wide,
    from_wide_cost,
    masks_cost,
    to_wide,
    to_wide_cost,
    wide,
)

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

COEFFICIENT_BITS = 40  # units of what is put out: 2^-40 of outcome range over term range,
INVERSE_BITS = 40  # 2^-(40 + h) of one over the term's range squared,
VARIANCE_BITS = 51  # 2^-51 of the outcome's range squared, times 2^h
VARIANCE_FLOOR = 34
EACH = 10  # people for each coefficient
_SLACK = Fraction(1025, 1024)  # so that a bound that is just met is met after rounding
_INTERCEPT = 1 << 10


@dataclass(frozen=True)
class Scales:
    """Exponents of two: of each term's range, of how many terms, of how many rows, of the outcome's range."""

    terms: tuple[int, ...]
    size: int
    rows: int
    outcome: int

    @property
    def whole(self) -> int:
        return self.size + self.rows


@dataclass(frozen=True)
class Fit:
    """Shares, wide: coefficients [k], the diagonal of Y [k], and [2] the mean squares of what is left and of the
    outcome about its mean."""

    coefficients: Wide
    diagonal: Wide
    squares: Wide

    @property
    def numbers(self) -> Wide:
        return np.concatenate([self.coefficients, self.diagonal, self.squares])


def scales(design: Design, rows: int, outcome_bits: int) -> Scales:
    return Scales(
        tuple(levels(largest) for largest in design.ranges),
        levels(len(design.ranges)),
        rows.bit_length(),
        outcome_bits,
    )


def variation(design: Design, minimum: int) -> list[Fraction]:
    """The most that each a_jj may be."""
    out = [Fraction(_INTERCEPT)]
    for largest, coded in list(zip(design.ranges, design.coded, strict=True))[1:]:
        out.append(Fraction(2, max(minimum, 1)) if coded else Fraction(1, largest**2))
    return [_SLACK * bound for bound in out]


def steps_of(design: Design, at: Scales, minimum: int) -> int:
    own = [bound * 4**u for bound, u in zip(variation(design, minimum), at.terms, strict=True)][1:]
    trace = 1 + (1 + len(at.terms)) * sum(own)
    return ceil(log2(64 * 2**at.whole * trace))


async def fit(rt: "Engine", design: Design, at: Scales, minimum: int, totals: tuple[Array, Array, Array]) -> Fit:
    """For shares of people [C], sums of outcomes [C], both from F_p, and the sum of squares [1]."""
    people, sums, squares = totals
    x, terms = design.matrix, len(at.terms)
    upper = np.triu_indices(terms)
    crossed = (x[:, upper[0]] * x[:, upper[1]]).T.astype(np.uint64)
    moments = inner_products(crossed, people[None])[:, 0]
    sides = inner_products(x.T.astype(np.uint64), sums[None])[:, 0]
    moved = await to_wide(rt, np.concatenate([moments, sides, squares]), 1 << WINDOW)
    b = np.zeros((terms + 1, terms + 1), dtype=object)
    u = np.array(at.terms)
    scaled = moved[: len(moments)] * wide([1 << FRACTION - int(e) - at.whole for e in u[upper[0]] + u[upper[1]]])
    b[:terms, :terms][upper] = scaled
    b.T[:terms, :terms][upper] = scaled
    b[terms, terms] = b[0, 0]
    side = moved[len(moments) : -1] * wide([1 << FRACTION - e - at.outcome - at.whole for e in at.terms]) % Q
    side = np.concatenate([side, side[:1]])
    whole = moved[-1:] * (1 << FRACTION - 2 * at.outcome - at.rows)
    y = await inverse(rt, b % Q, steps_of(design, at, minimum), "least squares: inverse")
    masks = await deal_masks(rt, terms + 5, "least squares: masks")
    solved = await cut(rt, y @ side % Q, masks.taken(0, terms + 1), "least squares: coefficients")
    explained = np.array([solved[:terms] @ side[:terms], solved[terms] * side[terms]], dtype=object)
    explained = await cut(rt, explained % Q, masks.taken(terms + 1, 2), "least squares: explained")
    left = whole - explained * (1 << at.size)
    squares_of = await cut(rt, left * y[terms, terms] % Q, masks.taken(terms + 3, 2), "least squares: squares")
    return Fit(solved[:terms], y.diagonal()[:terms], squares_of)


async def sound(rt: "Engine", design: Design, at: Scales, minimum: int, found: Fit, everyone: Array) -> Array:
    """Planes [S, k + 2, 1] of what has to hold, in the first row: variation, a rest, and enough people [1]."""
    steps, terms = steps_of(design, at, minimum), len(at.terms)
    unit = WINDOW - 1 - steps  # the diagonal is 2^steps at most
    numbers = np.concatenate([found.diagonal * (1 << unit), found.squares[:1] * (1 << VARIANCE_BITS)]) % Q
    numbers = await cut(rt, numbers, await deal_masks(rt, terms + 1, "least squares: checks"), "least squares: checks")
    amounts = await from_wide(rt, numbers, 1 << WINDOW)
    most = [
        min(int(bound * 2 ** (2 * u + at.whole + unit)), (1 << WINDOW) - 1)
        for bound, u in zip(variation(design, minimum), at.terms, strict=True)
    ]
    margin = sub(np.array(most, dtype=np.uint64), amounts[:terms])
    rest = sub(amounts[terms:], 1 << VARIANCE_BITS - VARIANCE_FLOOR)
    enough = sub(everyone, EACH * terms)
    checks = in_words(np.concatenate([margin, rest, enough])[:, None]).reshape(-1)
    below = await negative(rt, checks, WINDOW, "least squares: checks")
    return invert(rt, below)[:, :, None]


def units_of(at: Scales) -> list[int]:
    terms = len(at.terms)
    return [COEFFICIENT_BITS] * terms + [INVERSE_BITS - at.rows] * terms + [VARIANCE_BITS] * 2


async def put_out(rt: "Engine", numbers: Wide, units: Sequence[int], told: Array) -> Array:
    """Shares [n] of numbers in units of 2^-unit, where told [1] is 1; 0 otherwise."""
    flag = (await to_wide(rt, told, 2))[0]
    masks = await deal_masks(rt, len(units), "regression: unless told")
    scaled = numbers * wide([1 << unit for unit in units]) % Q
    held = await from_wide(rt, await cut(rt, scaled * flag % Q, masks, "regression: unless told"), 1 << WINDOW)
    return await reshare(rt, mul(held, told), "regression: unless told")  # a cut leaves some units of what is 0


def everyone_of(people: Array) -> Array:
    return total(people)[None]


def fit_cost(shape: Shape, design: Design, at: Scales, minimum: int) -> Cost:
    terms = len(at.terms)
    out = to_wide_cost(shape, terms * (terms + 1) // 2 + terms + 1)
    out += inverse_cost(shape, terms + 1, steps_of(design, at, minimum))
    return out + masks_cost(shape, terms + 5) + cut_cost(shape, terms + 1) + cut_cost(shape, 2).times(2)


def sound_cost(shape: Shape, design: Design) -> Cost:
    terms = len(design.coded)
    out = masks_cost(shape, terms + 1) + cut_cost(shape, terms + 1) + from_wide_cost(shape, terms + 1)
    return out + negative_cost(shape, WINDOW, 64 * (terms + 2))


def put_out_cost(shape: Shape, n: int) -> Cost:
    out = to_wide_cost(shape, 1) + masks_cost(shape, n) + cut_cost(shape, n)
    return out + from_wide_cost(shape, n) + reshare_cost(shape, n)


def fit_clear(design: Design, at: Scales, minimum: int, people: Counts, sums: Counts, squares: int) -> list[int] | None:
    """Clear-text twin of `fit`, `sound` and `put_out`, in fractions: None where it is not told."""
    x, terms = design.matrix.astype(object), len(at.terms)
    everyone = int(people.sum())
    if everyone < EACH * terms:
        return None
    inverted = _inverted((x.T * people) @ x)
    if inverted is None:
        return None
    side = x.T @ sums
    coefficients = [sum(a * b for a, b in zip(row, side, strict=True)) for row in inverted]
    rest = squares - sum(a * b for a, b in zip(coefficients, side, strict=True))
    own = [Fraction(amount, everyone) / 4**at.outcome for amount in (rest, squares - Fraction(side[0] ** 2, everyone))]
    diagonal = [inverted[j][j] for j in range(terms)]
    bounds = variation(design, minimum)
    if any(a > bound for a, bound in zip(diagonal, bounds, strict=True)) or own[0] * 2**at.size < Fraction(
        1, 1 << VARIANCE_FLOOR
    ):
        return None
    put = [c * 2**u / 2**at.outcome * 2**COEFFICIENT_BITS for c, u in zip(coefficients, at.terms, strict=True)]
    put += [a * 4**u * 2**at.size * 2**INVERSE_BITS for a, u in zip(diagonal, at.terms, strict=True)]
    put += [v * 2**at.size * 2**VARIANCE_BITS for v in own]
    return [floor(number) for number in put]


def _inverted(matrix: Counts) -> list[list[Fraction]] | None:
    """By Gauss and Jordan's elimination; None for a singular matrix. The matrix is positive semidefinite."""
    size = len(matrix)
    rows = [[*map(Fraction, row), *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix.tolist())]
    for i in range(size):
        if not rows[i][i]:
            return None
        rows[i] = [number / rows[i][i] for number in rows[i]]
        for j in range(size):
            if j != i and rows[j][i]:
                factor = rows[j][i]
                rows[j] = [own - factor * other for own, other in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]
