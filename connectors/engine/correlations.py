"""Pearson's r of two numbers of the same people, from sums of them and of their squares.

Invariants: nothing is opened; sizes depend on public bounds only; all is exact integer arithmetic, so the clear-text
twin gives the same to the last bit.

With n people of whom both numbers x and y are known, D_x = n sum x^2 - (sum x)^2, D_y likewise and C = n sum x y -
sum x sum y, all exact and below 2^58 in size, r = C / sqrt(D_x D_y) (Pearson, "Note on regression and inheritance in
the case of two parents", Proceedings of the Royal Society 58, 1895). What owners add up is x, y and x + y, of whose
squares twice the products are what is left. Out come r^2, which needs no root, the sign of C, and the upper 7 bits of
n - 2.

Of r^2 too only the upper 8 bits come out. All of them would tell the sums themselves: of a hundred people and two
numbers that are 0 or 1, which four cells they make.

With secret powers of two h, D h^2 has all of 58 bits or all but one, so C h_x h_y has 58 bits at most; of its upper 29
bits the square is divided by D_x h_x^2 and by D_y h_y^2 (ratios.py). So r^2 is off by less than 2^-25 and a relative
2^-22, before it is cut.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.compare import negative, negative_cost
from connectors.engine.convert import HALF, to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, combine, mul, sub
from connectors.engine.limits import Limits, all_kept, all_kept_cost, kept_clear
from connectors.engine.ratios import BITS, RATIO_BITS, ratios, ratios_clear, ratios_cost
from connectors.engine.reciprocals import cut, cut_cost, leading, leading_cost, upper, upper_clear, upper_cost
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.sums import Sums

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

MAX_LEVELS = 256
SQUARE_BITS = RATIO_BITS - 1  # r^2 is a whole number of 2^-SQUARE_BITS
FREEDOM_BITS, UPPER_BITS = 7, 8
OUTPUTS = 4
_WIDE = 58  # bits of D at most
_SQUARE = SQUARE_BITS + 2  # of r^2 at most, which may be off
_STEP = "correlation"


async def correlation(rt: "Engine", sums: Sums, rows: int, limits: Limits) -> Array:
    """Fresh shares [4], 0 where it is not told: r^2 in units of 2^-SQUARE_BITS with zeros for all but its upper
    UPPER_BITS, whether r is below zero, the degrees of freedom n - 2 likewise with FREEDOM_BITS, and whether it is
    told: of `sums` of x, y and x + y, whole numbers from 0 on of which x and y are below MAX_LEVELS, and of their
    squares, in one cell, of at most `rows` people."""
    told = await all_kept(rt, sums.known[0], rows, _enough(limits), f"{_STEP}: people")
    n, (x, y), (xx, yy, both) = sums.known[0, 0], sums.carried[:2, 0], sums.squares
    xy = mul(sub(sub(both, xx), yy), HALF)
    pairs = ((xx, x, x), (yy, y, y), (xy, x, y))
    apart = np.concatenate([sub(mul(n, products), mul(left, right)) for products, left, right in pairs])
    apart = await reshare(rt, apart, f"{_STEP}: apart")
    # Of what is not told only zeros and ones are left.
    lone = await reshare(rt, mul(np.concatenate([apart, sub(n, 3)]), told), f"{_STEP}: unless told")
    squares, freedom = lone[:2], add(lone[3:], 1)
    same = await to_field(rt, await negative(rt, sub(squares, 1), _WIDE, f"{_STEP}: variances"), 2, _STEP)
    varied = await multiply(rt, sub(1, same[:1]), sub(1, same[1:]), f"{_STEP}: variances")
    lone = await multiply(rt, lone[:3], varied, f"{_STEP}: unless told")
    squares, product = add(lone[:2], sub(1, varied)), lone[2:]
    sign = await to_field(rt, await negative(rt, product, _WIDE, f"{_STEP}: sign"), 1, f"{_STEP}: sign")
    product = await multiply(rt, product, sub(1, mul(sign, 2)), f"{_STEP}: sign")
    square = await upper(rt, await _squared(rt, squares, product), _SQUARE, UPPER_BITS, f"{_STEP}: digits")
    freedom = await upper(rt, freedom, _width(rows), FREEDOM_BITS, f"{_STEP}: freedom")
    out = mul(np.concatenate([square, sign, freedom]), varied)
    return await reshare(rt, np.concatenate([out, varied]), "limits: fresh shares")


async def _squared(rt: "Engine", squares: Array, product: Array) -> Array:
    """[1]: r^2 of D [2] and |C| [1]."""
    places = await leading(rt, squares, _WIDE, f"{_STEP}: to full length")
    half = combine([1 << (_WIDE - 1 - place) // 2 for place in range(_WIDE)], places)
    for factor in (half[:1], half[1:]):
        product = await multiply(rt, product, factor, f"{_STEP}: to full length")
        squares = await multiply(rt, squares, half, f"{_STEP}: to full length")
    product = await cut(rt, product, BITS, RATIO_BITS, f"{_STEP}: upper bits")
    product = await multiply(rt, product, product, f"{_STEP}: square")
    # No part is above its whole: of the second one half, so that what the first was rounded up by does not count.
    once = await ratios(rt, product, squares[:1], f"{_STEP}: first")
    return await ratios(rt, mul(once, 1 << SQUARE_BITS), squares[1:], f"{_STEP}: second")


def _enough(limits: Limits) -> Limits:
    """Through two people there is always a line."""
    return replace(limits, minimum=max(limits.minimum, 3), zero_is_small=True)


def _width(rows: int) -> int:
    """Bits of a number of people."""
    return max(rows.bit_length(), FREEDOM_BITS + 1)


def correlation_clear(known: list[int], sums: list[int], squares: list[int], limits: Limits) -> list[int]:
    """Clear-text twin of `correlation`: people [1 + P] of whom both are known, sums of x and y, and of the squares of
    x, y and x + y. How many rows there may be changes nothing."""
    if not kept_clear(known[:1], [[part] for part in known[1:]] if limits.by_provider else [], _enough(limits))[0]:
        return [0] * OUTPUTS
    (x, y), (xx, yy, both), n = sums, squares, known[0]
    apart, product = (n * xx - x * x, n * yy - y * y), n * (both - xx - yy) // 2 - x * y
    if not all(apart):
        return [0] * OUTPUTS
    half = [1 << (_WIDE - own.bit_length()) // 2 for own in apart]
    whole = [own * by**2 for own, by in zip(apart, half, strict=True)]
    (once,) = ratios_clear([(abs(product) * half[0] * half[1] >> RATIO_BITS) ** 2], whole[:1])
    (square,) = ratios_clear([once << SQUARE_BITS], whole[1:])
    return [upper_clear(square, UPPER_BITS), int(product < 0), upper_clear(n - 2, FREEDOM_BITS), 1]


def correlation_cost(shape: Shape, n: int, owners: int, limits: Limits) -> Cost:
    """`owners`: how many parts of the people somebody may take away."""

    def products(count: int, times: int = 1) -> Cost:
        return reshare_cost(shape, count).times(times)

    width = _width(n)
    out = all_kept_cost(shape, n, 1, owners, _enough(limits)) + products(3) + products(4)
    out += negative_cost(shape, _WIDE, 2) + to_field_cost(shape, 1, 2) + products(1) + products(3)
    out += negative_cost(shape, _WIDE, 1) + to_field_cost(shape, 1, 1) + products(1)
    out += leading_cost(shape, 2, _WIDE) + products(1, 2) + products(2, 2)
    out += cut_cost(shape, BITS, RATIO_BITS, 1) + products(1) + ratios_cost(shape, 1).times(2)
    out += upper_cost(shape, 1, _SQUARE, UPPER_BITS) + upper_cost(shape, 1, width, FREEDOM_BITS)
    return out + products(OUTPUTS)
