"""Welch's t of two groups, from how many people of each have which of K numbers.

Invariants: nothing is opened; sizes depend on public bounds only; all is exact integer arithmetic, so the clear-text
twin gives the same to the last bit.

With n people of a group, the sum s and the sum of squares q of their numbers 0 .. K - 1, D = n q - s^2 (exact, at most
(n (K - 1))^2 / 4), the variance of its mean is A = D / (n^2 (n - 1)), and, of two groups (Welch, "The generalization of
Student's problem when several different population variances are involved", Biometrika 34, 1947),
  t^2 = d^2 / (A_1 + A_2), d = (s_1 n_2 - s_2 n_1) / (n_1 n_2), 1/df = sum of (A_g / (A_1 + A_2))^2 / (n_g - 1).
Out come t^2 / (1 + t^2) and 1 / (1 + t^2), which are ratios, whatever t is, the sign of d, and 1/df.

Numbers are floating where they have to be: v n has all W bits of an amount for a power of two v (reciprocals.py), and
so D v^2 < 2^(2 W + 2 B - 2) and |d| n_1 n_2 v_1 v_2 < 2^(2 W + B), B bits a number, are cut to 31 and 29 bits and
multiplied by y / 2^27, 1/2 <= y / 2^27 <= 1, for each division by v n. So a variance is off by a few times
2^(2 B - 31), d by as much of 2^(B - 27). A group whose variance is below 2^10 such units, a standard deviation of
2^(B - 9) or less, has none that could be told, and t is not.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.arithmetic import multiply
from connectors.engine.compare import negative, negative_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits, all_kept, all_kept_cost, kept_clear
from connectors.engine.ratios import (
    RATIO_BITS,
    ratios,
    ratios_clear,
    ratios_cost,
    scaled,
    scaled_clear,
    scaled_cost,
)
from connectors.engine.reciprocals import (
    FRACTION,
    inverses,
    inverses_clear,
    inverses_cost,
    lifted,
    lifted_cost,
    upper,
    upper_clear,
    upper_cost,
)
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Counts = npt.NDArray[np.object_]
MAX_LEVELS = 128
DF_BITS = 12  # 1/df is a whole number of 2^-DF_BITS
UPPER_BITS = 8  # of each ratio
OUTPUTS = 5
_SPREAD, _APART = 31, 29  # bits of a variance, of a difference
_LEAST = 1 << 10  # units of a variance
_RATIO = RATIO_BITS + 1  # of a ratio at most, which may be off
_STEP = "t test"


async def welch(rt: "Engine", counts: Array, rows: int, limits: Limits) -> Array:
    """Fresh shares [5], 0 where it is not told: t^2 / (1 + t^2) and 1 / (1 + t^2) in units of 2^-RATIO_BITS, with zeros
    for all but their upper UPPER_BITS (more digits would be those of one table of few people alone), whether
    the first mean is below the second, 1/df in units of 2^-DF_BITS, and whether it is told: of the people of two groups
    with each number [1 + Q, 2, K], all of them, at most `rows`, and of the parts that somebody may take away."""
    width, bits = _width(rows), _bits(counts.shape[2])
    people, levels = total(counts), np.arange(counts.shape[2], dtype=np.uint64)
    told = await all_kept(rt, people, rows, _enough(limits), f"{_STEP}: both groups")
    n, s, q = people[0], total(mul(counts[0], levels)), total(mul(counts[0], levels**2))
    crosswise = sub(mul(s[:1], n[1:]), mul(s[1:], n[:1]))
    apart = await reshare(rt, np.concatenate([sub(mul(n, q), mul(s, s)), crosswise]), f"{_STEP}: apart")
    # Of what is not told only zeros and ones are left.
    lone = await reshare(rt, mul(np.concatenate([apart, sub(n, 2)]), told), f"{_STEP}: unless told")
    squares, crosswise, others = np.split(lone, [2, 3])
    below = await negative(rt, crosswise, 2 * width + bits, f"{_STEP}: sign")
    sign = await to_field(rt, below, 1, f"{_STEP}: sign")
    lift, whole = await lifted(rt, np.concatenate([add(others, 2), add(others, 1)]), width, f"{_STEP}: reciprocals")
    inverse = await inverses(rt, whole, width, f"{_STEP}: reciprocals")
    crosswise = await multiply(rt, crosswise, sub(1, mul(sign, 2)), f"{_STEP}: sign")
    spread, apart = await _floating(rt, squares, crosswise, lift, width, bits)
    spread, apart = await _divided(rt, spread, apart, inverse)
    told = await _varied(rt, spread)
    amounts = await multiply(rt, np.concatenate([spread, apart]), np.concatenate([lift[2:], apart]), _STEP)
    amounts = np.concatenate([mul(amounts[:2], 1 << _align(width)), amounts[2:]])  # all in one unit
    amounts = await multiply(rt, amounts, told, f"{_STEP}: unless told")
    variance = add(total(amounts[:2])[None], sub(1, told))
    whole = add(variance, amounts[2:])
    wholes = np.concatenate([variance, variance, whole, whole])
    parts = await ratios(rt, np.concatenate([amounts, variance]), wholes, f"{_STEP}: ratios")
    freedom = await _freedom(rt, parts[:2], inverse[2:], lift[2:], width)
    digits = await upper(rt, parts[2:], _RATIO, UPPER_BITS, f"{_STEP}: digits")
    out = mul(np.concatenate([digits, sign, freedom]), told)
    return await reshare(rt, np.concatenate([out, told]), "limits: fresh shares")


async def _floating(
    rt: "Engine", squares: Array, crosswise: Array, lift: Array, width: int, bits: int
) -> tuple[Array, Array]:
    """D v^2 and |d| n_1 n_2 v_1 v_2, their upper bits."""
    by = await multiply(rt, lift[[0, 1, 0]], lift[[0, 1, 1]], _STEP)
    high = await multiply(rt, np.concatenate([squares, crosswise]), by, _STEP)
    spread = await scaled(rt, high[:2], 2 * width + 2 * bits - 2 - _SPREAD, f"{_STEP}: upper bits")
    return spread, await scaled(rt, high[2:], 2 * width + bits - _APART, f"{_STEP}: upper bits")


async def _divided(rt: "Engine", spread: Array, apart: Array, inverse: Array) -> tuple[Array, Array]:
    """The same over (v n)^2 times v (n - 1), but for powers of two; and over v_1 n_1 v_2 n_2."""
    both = np.concatenate([spread, apart])
    for factors in ([0, 1, 0], [0, 1, 1]):
        both = await _times(rt, both, inverse[factors])
    return await _times(rt, both[:2], inverse[2:]), both[2:]


async def _times(rt: "Engine", x: Array, inverse: Array) -> Array:
    return await scaled(rt, await multiply(rt, x, inverse, _STEP), FRACTION + 1, f"{_STEP}: upper bits")


async def _varied(rt: "Engine", spread: Array) -> Array:
    """[1]: whether both variances are large enough; of a group that is not told it is zero."""
    small = await negative(rt, sub(spread, _LEAST), _SPREAD + 1, f"{_STEP}: variances")
    varied = sub(1, await to_field(rt, small, 2, f"{_STEP}: variances"))
    return await multiply(rt, varied[:1], varied[1:], f"{_STEP}: variances")


async def _freedom(rt: "Engine", parts: Array, inverse: Array, lift: Array, width: int) -> Array:
    """[1]: 1/df of the groups' parts of the variance."""
    squares = await scaled(rt, await multiply(rt, parts, parts, _STEP), RATIO_BITS, f"{_STEP}: freedom")
    each = await multiply(rt, await _times(rt, squares, inverse), lift, f"{_STEP}: freedom")
    return await scaled(rt, total(each)[None], RATIO_BITS + width - 1 - DF_BITS, f"{_STEP}: freedom")


def _enough(limits: Limits) -> Limits:
    """One person has no variance."""
    return replace(limits, minimum=max(limits.minimum, 2), zero_is_small=True)


def _width(rows: int) -> int:
    """Bits of a number of people."""
    return max(rows.bit_length(), 2)


def _bits(levels: int) -> int:
    """Of a number."""
    return (levels - 1).bit_length()


def _align(width: int) -> int:
    """Bits between the units of A, 2^(2 B + 1 - _SPREAD - width), and of d^2, 2^(2 B + 4 - 2 _APART)."""
    return 2 * _APART - _SPREAD - 3 - width


def welch_clear(counts: Counts, rows: int, limits: Limits) -> list[int]:
    """Clear-text twin of `welch`; `rows` say how finely it computes, which shows in a last place alone."""
    people, levels, nothing = counts.sum(axis=2).tolist(), np.arange(counts.shape[2]), [0] * OUTPUTS
    parts = people[1:] if limits.by_provider else []
    if not all(kept_clear(people[0], parts, _enough(limits))):
        return nothing
    width, bits = _width(rows), _bits(counts.shape[2])
    n, s, q = people[0], (counts[0] @ levels).tolist(), (counts[0] @ levels**2).tolist()
    crosswise = s[0] * n[1] - s[1] * n[0]
    amounts = [*n, n[0] - 1, n[1] - 1]
    lift = [1 << width - amount.bit_length() for amount in amounts]
    inverse = inverses_clear([amount * by for amount, by in zip(amounts, lift, strict=True)], width)
    spread, amounts = [], []
    for g in (0, 1):
        high = (n[g] * q[g] - s[g] ** 2) * lift[g] ** 2
        own = scaled_clear(high, 2 * width + 2 * bits - 2 - _SPREAD)
        for factor in (g, g, 2 + g):
            own = scaled_clear(own * inverse[factor], FRACTION + 1)
        spread.append(own)
        amounts.append(own * lift[2 + g] << _align(width))
    if min(spread) < _LEAST:
        return nothing
    apart = scaled_clear(abs(crosswise) * lift[0] * lift[1], 2 * width + bits - _APART)
    for g in (0, 1):
        apart = scaled_clear(apart * inverse[g], FRACTION + 1)
    variance, whole = sum(amounts), sum(amounts) + apart**2
    *shares, less, more = ratios_clear([*amounts, apart**2, variance], [variance, variance, whole, whole])
    freedom = 0
    for g in (0, 1):
        square = scaled_clear(shares[g] ** 2, RATIO_BITS)
        freedom += scaled_clear(square * inverse[2 + g], FRACTION + 1) * lift[2 + g]
    less, more = (upper_clear(part, UPPER_BITS) for part in (less, more))
    return [less, more, int(crosswise < 0), scaled_clear(freedom, RATIO_BITS + width - 1 - DF_BITS), 1]


def welch_cost(shape: Shape, n: int, levels: int, owners: int, limits: Limits) -> Cost:
    """`owners`: P, 0 where limits do not ask whose people they are."""
    width, bits = _width(n), _bits(levels)

    def products(count: int) -> Cost:
        return reshare_cost(shape, count)

    def times(count: int) -> Cost:
        return products(count) + scaled_cost(shape, count, FRACTION + 1)

    out = all_kept_cost(shape, n, 2, owners, _enough(limits)) + products(3) + products(5)
    out += negative_cost(shape, 2 * width + bits, 1) + to_field_cost(shape, 1, 1) + products(1)
    out += lifted_cost(shape, 4, width) + inverses_cost(shape, 4, width) + products(3).times(2)
    out += scaled_cost(shape, 2, 2 * width + 2 * bits - 2 - _SPREAD) + scaled_cost(shape, 1, 2 * width + bits - _APART)
    out += times(3).times(2) + times(2)
    out += negative_cost(shape, _SPREAD + 1, 2) + to_field_cost(shape, 1, 2) + products(1)
    out += products(3).times(2) + ratios_cost(shape, 4) + upper_cost(shape, 2, _RATIO, UPPER_BITS)
    out += products(2) + scaled_cost(shape, 2, RATIO_BITS) + times(2) + products(2)
    return out + scaled_cost(shape, 1, RATIO_BITS + width - 1 - DF_BITS) + products(OUTPUTS)
