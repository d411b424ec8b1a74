"""Survival curves and the log-rank test on secret counts of who is at risk and to whom it happens.

Invariants: nothing is opened; sizes depend on public numbers only; all is exact integer arithmetic, so the clear-text
twins give the same to the last bit. Fractions are whole numbers of 2^-26 (reciprocals.FRACTION), cut off downwards
after each product.

The curve (Kaplan, Meier, JASA 53, 1958, section 2): S(k) = prod over i <= k of (1 - d_i / n_i), with n_i at risk when
interval i begins and d_i events in it; where nobody is at risk the factor is 1. Prefix products whose length doubles.
A factor is off by less than 2^-23 and a product of K <= 64 of them by less than K 2^-22, 2^-16.

The test between two groups (Mantel, Cancer Chemotherapy Reports 50, 1966): U^2 / V with U = sum of d_1 - d n_1 / n and
V = sum of d (n_1 / n) (n_2 / n) (n - d) / (n - 1), over the intervals. By Cauchy's inequality U^2 <= V sum of (n - 1),
which bounds the statistic and, with V raised by its own unit so that it is never zero, U / V.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.compare import to_bits, to_bits_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.field import Array, add, combine, mul, sub, total
from connectors.engine.reciprocals import FRACTION, MOST_BITS, reciprocals, reciprocals_clear, reciprocals_cost
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

MAX_INTERVALS = 64
TEST_UNIT = 64  # the statistic of the test is a whole number of 1 / TEST_UNIT
CURVE, TEST = "survival: curve", "survival: test"
_COARSE = 12  # fraction bits of 1 / V, V at its largest: a part in 2^12 of it
_QUOTIENT = 20  # fraction bits of U / V
_QUOTIENT_BITS = 56  # U / V at its largest, as it is before it is cut
_TEST_BITS = TEST_UNIT.bit_length() - 1


async def curves(rt: "Engine", at_risk: Array, events: Array, empty: Array, width: int, steps: int) -> Array:
    """Shares [G, K] of S(k) as the nearest whole number of 1 / steps (within half a step and `steps` 2^-16), steps <=
    1000, from shares [G, K] of n < 2^width, of d <= n, and of whether n = 0.
    """
    factors = await _shares_of(rt, add(sub(at_risk, events), empty), add(at_risk, empty), width, CURVE)
    for level in range(levels(factors.shape[1])):
        by = 1 << level
        longer = await _product(rt, factors[:, by:], factors[:, :-by], CURVE)
        factors = np.concatenate([factors[:, :by], longer], axis=1)
    scaled = add(mul(factors, steps), 1 << FRACTION - 1)
    return await _cut(rt, scaled, FRACTION + 1 + steps.bit_length(), FRACTION, CURVE)


def curves_clear(
    at_risk: Sequence[Sequence[int]], events: Sequence[Sequence[int]], width: int, steps: int
) -> list[int]:
    """Clear-text twin of `curves`, row-major."""
    out = []
    for ns, ds in zip(at_risk, events, strict=True):
        factors = _shares_clear([n - d + (not n) for n, d in zip(ns, ds, strict=True)], [n or 1 for n in ns], width)
        for level in range(levels(len(factors))):
            by = 1 << level
            longer = [x * y >> FRACTION for x, y in zip(factors[by:], factors[:-by], strict=True)]
            factors = factors[:by] + longer
        out += [(factor * steps + (1 << FRACTION - 1)) >> FRACTION for factor in factors]
    return out


def curves_cost(shape: Shape, groups: int, intervals: int, width: int, steps: int) -> Cost:
    out = _shares_cost(shape, groups * intervals, width)
    for level in range(levels(intervals)):
        out += _product_cost(shape, groups * (intervals - (1 << level)))
    return out + _cut_cost(shape, FRACTION + 1 + steps.bit_length(), FRACTION, groups * intervals)


async def log_rank(rt: "Engine", at_risk: Array, events: Array, none: Array, one: Array, width: int) -> Array:
    """Share [1] of U^2 / V as a whole number of 1 / TEST_UNIT, from shares [2, K] of n_g at risk and of d_g <= n_g, and
    [K] of whether n = n_1 + n_2 < 2^width is 0, and whether it is 1. Where V = 0 it is 0.
    """
    at = _scales(width, at_risk.shape[1])
    n, d = add(*at_risk), add(*events)
    others = add(sub(add(n, one), 1), mul(none, 2))  # n - 1, and 1 where that is not above zero
    first, second, spared = await _shares_of(
        rt, np.stack([*at_risk, sub(n, d)]), np.stack([add(n, none), add(n, none), others]), width, TEST
    )
    spread = await _product(rt, await _product(rt, first, second, TEST), spared, TEST)
    excess = sub(mul(total(events[0]), 1 << FRACTION), total(mul(d, first)))
    sums = await reshare(rt, np.stack([excess, total(mul(d, spread))]), TEST)
    excess = await _cut_signed(rt, add(sums[:1], at.half), at.excess, FRACTION - at.fraction, TEST)
    variance = add(await _cut(rt, sums[1:], at.variance, width - 1, TEST), 1)
    inverse = await reciprocals(rt, variance, MOST_BITS, TEST)
    inverse = await _cut(rt, inverse, MOST_BITS + FRACTION + 1, FRACTION - _COARSE, TEST)
    quotient = await _cut_signed(rt, await multiply(rt, excess, inverse, TEST), _QUOTIENT_BITS, at.quotient, TEST)
    squared = await multiply(rt, excess, quotient, TEST)
    return await _cut(rt, squared, at.squared, at.fraction + _QUOTIENT - _TEST_BITS, TEST)


def log_rank_clear(at_risk: Sequence[Sequence[int]], events: Sequence[Sequence[int]], width: int) -> int:
    """Clear-text twin of `log_rank`."""
    at = _scales(width, len(at_risk[0]))
    n, d = ([x + y for x, y in zip(*pair, strict=True)] for pair in (at_risk, events))
    first, second = (_shares_clear(ns, [x or 1 for x in n], width) for ns in at_risk)
    spared = _shares_clear([x - y for x, y in zip(n, d, strict=True)], [max(x - 1, 1) for x in n], width)
    spread = [(x * y >> FRACTION) * z >> FRACTION for x, y, z in zip(first, second, spared, strict=True)]
    excess: int = (sum(events[0]) << FRACTION) - sum(x * y for x, y in zip(d, first, strict=True))
    excess = excess + at.half >> FRACTION - at.fraction
    variance = (sum(x * y for x, y in zip(d, spread, strict=True)) >> width - 1) + 1
    inverse = reciprocals_clear([variance], MOST_BITS)[0] >> FRACTION - _COARSE
    quotient = excess * inverse >> at.quotient
    return excess * quotient >> at.fraction + _QUOTIENT - _TEST_BITS


def log_rank_cost(shape: Shape, intervals: int, width: int) -> Cost:
    at = _scales(width, intervals)
    out = _shares_cost(shape, 3 * intervals, width) + _product_cost(shape, intervals).times(2)
    out += reshare_cost(shape, 2) + _cut_signed_cost(shape, at.excess, FRACTION - at.fraction, 1)
    out += _cut_cost(shape, at.variance, width - 1, 1) + reciprocals_cost(shape, 1, MOST_BITS)
    out += _cut_cost(shape, MOST_BITS + FRACTION + 1, FRACTION - _COARSE, 1) + reshare_cost(shape, 1).times(2)
    out += _cut_signed_cost(shape, _QUOTIENT_BITS, at.quotient, 1)
    return out + _cut_cost(shape, at.squared, at.fraction + _QUOTIENT - _TEST_BITS, 1)


@dataclass(frozen=True, slots=True)
class _Scales:
    """Of numbers below 2^width: fraction bits of U; bits of U, V and U^2 / V before they are cut, and by how many
    U / V is cut.

    With the unit of V, 2^(width - 27), no larger than what it is raised by, |U / V| <= sqrt(K 2^width) / (2 sqrt(unit))
    < 2^15.5; times 2^(fraction + width + _COARSE), that is below 2^_QUOTIENT_BITS.
    """

    fraction: int
    excess: int
    variance: int
    quotient: int
    squared: int

    @property
    def half(self) -> int:
        """Of the last place that U keeps."""
        return 1 << FRACTION - self.fraction - 1


def _scales(width: int, intervals: int) -> _Scales:
    fraction = min(8, 28 - width)
    return _Scales(
        fraction,
        width + FRACTION + 1,
        width + FRACTION,
        fraction + width + _COARSE - _QUOTIENT,
        levels(intervals) + width + fraction + _QUOTIENT + 2,
    )


async def _shares_of(rt: "Engine", part: Array, whole: Array, width: int, step: str) -> Array:
    """part / whole as fractions, for 0 <= part <= 2 whole and 1 <= whole < 2^width."""
    inverse = (await reciprocals(rt, whole.reshape(-1), width, step)).reshape(whole.shape)
    product = await multiply(rt, part, inverse, step)
    return await _cut(rt, product, width + FRACTION + 2, width, step)


def _shares_clear(part: Sequence[int], whole: Sequence[int], width: int) -> list[int]:
    return [x * inverse >> width for x, inverse in zip(part, reciprocals_clear(whole, width), strict=True)]


def _shares_cost(shape: Shape, n: int, width: int) -> Cost:
    out = reciprocals_cost(shape, n, width) + reshare_cost(shape, n)
    return out + _cut_cost(shape, width + FRACTION + 2, width, n)


async def _product(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """Of two fractions of at most 1, or one of at most 2."""
    return await _cut(rt, await multiply(rt, x, y, step), 2 * FRACTION + 2, FRACTION, step)


def _product_cost(shape: Shape, n: int) -> Cost:
    return reshare_cost(shape, n) + _cut_cost(shape, 2 * FRACTION + 2, FRACTION, n)


async def _cut(rt: "Engine", x: Array, bits: int, by: int, step: str) -> Array:
    """x without its lowest bits, for shares of 0 <= x < 2^bits."""
    upper = (await to_bits(rt, x.reshape(-1), bits, step))[:, by:]
    return combine([1 << place for place in range(bits - by)], await to_field(rt, upper, x.size, step)).reshape(x.shape)


def _cut_cost(shape: Shape, bits: int, by: int, n: int) -> Cost:
    return to_bits_cost(shape, bits, n) + to_field_cost(shape, bits - by, n)


async def _cut_signed(rt: "Engine", x: Array, bits: int, by: int, step: str) -> Array:
    """x / 2^by, downwards, for shares of |x| < 2^bits."""
    return sub(await _cut(rt, add(x, 1 << bits), bits + 1, by, step), 1 << bits - by)


def _cut_signed_cost(shape: Shape, bits: int, by: int, n: int) -> Cost:
    return _cut_cost(shape, bits + 1, by, n)
