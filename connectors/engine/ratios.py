"""Ratios of whole numbers in fixed point, where neither is small enough for a product in the field.

Invariants: nothing is opened; sizes depend on nothing but how many numbers there are; all is exact integer arithmetic,
so the clear-text twins give the same to the last bit. Numbers have 59 bits at most, as many as can be taken apart.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.engine.arithmetic import multiply
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul
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
)
from connectors.engine.sharing import reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

BITS = 59
RATIO_BITS = 29  # a ratio is a whole number of 2^-RATIO_BITS
_PART = RATIO_BITS + 2  # bits that are kept of a part
_BELOW = _PART + FRACTION - RATIO_BITS  # of a part times an inverse, what is below a ratio's unit


async def ratios(rt: "Engine", parts: Array, wholes: Array, step: str) -> Array:
    """Shares [n] of part / whole in units of 2^-RATIO_BITS, for shares [n] of 0 <= part <= whole and 1 <= whole < 2^59:
    off by less than one unit and a relative 2^-23. Of equal numbers it may come out a few units above 1."""
    lift, high = await lifted(rt, wholes, BITS, step)
    inverse = await inverses(rt, await cut(rt, high, BITS, BITS - MOST_BITS, step), MOST_BITS, step)
    part = await cut(rt, await multiply(rt, parts, lift, step), BITS, BITS - _PART, step)
    return await scaled(rt, await multiply(rt, part, inverse, step), _BELOW, step)


async def scaled(rt: "Engine", x: Array, by: int, step: str) -> Array:
    """The nearest whole numbers to x / 2^by, for shares [n] of 0 <= x < 2^59 - 2^(by - 1); by may be below zero."""
    if by <= 0:
        return mul(x, 1 << -by)
    return await cut(rt, add(x, 1 << by - 1), BITS, by, step)


def ratios_clear(parts: Sequence[int], wholes: Sequence[int]) -> list[int]:
    """Clear-text twin of `ratios`."""
    lifts = [1 << BITS - int(whole).bit_length() for whole in wholes]
    upper = [int(whole) * lift >> BITS - MOST_BITS for whole, lift in zip(wholes, lifts, strict=True)]
    return [
        scaled_clear((int(part) * lift >> BITS - _PART) * inverse, _BELOW)
        for part, lift, inverse in zip(parts, lifts, inverses_clear(upper, MOST_BITS), strict=True)
    ]


def scaled_clear(x: int, by: int) -> int:
    """Clear-text twin of `scaled`."""
    return x << -by if by <= 0 else x + (1 << by - 1) >> by


def ratios_cost(shape: Shape, n: int) -> Cost:
    out = lifted_cost(shape, n, BITS) + cut_cost(shape, BITS, BITS - MOST_BITS, n) + inverses_cost(shape, n, MOST_BITS)
    out += reshare_cost(shape, n).times(2) + cut_cost(shape, BITS, BITS - _PART, n)
    return out + scaled_cost(shape, n, _BELOW)


def scaled_cost(shape: Shape, n: int, by: int) -> Cost:
    return cut_cost(shape, BITS, by, n) if by > 0 else Cost()
