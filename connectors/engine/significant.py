"""Numbers with a public number of binary digits that count.

Invariants: nothing is opened; what comes out has DIGITS binary digits and says at which power of two, nothing more.
"""

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.compare import negative, negative_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub
from connectors.engine.reciprocals import cut, cut_cost, lifted, lifted_cost
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

WINDOW = 57  # bits of a number
DIGITS = 16


async def significant(rt: "Engine", x: Array, signed: int, step: str) -> tuple[Array, Array]:
    """For shares [n] of whole numbers |x| < 2^WINDOW, of which the first `signed` may be below zero: d [n] of at most
    DIGITS bits, and one more only for 2^DIGITS, and the power of two v [n], so that d 2^(WINDOW - DIGITS) / v is x
    within a factor of 1 +- 2^-DIGITS; both 0 where x is.
    """
    sides = np.zeros_like(x)
    if signed:
        sides[:signed] = await to_field(rt, await negative(rt, x[:signed], WINDOW, step), signed, step)
    sides = sub(1, mul(sides, 2))
    lift, high = await lifted(rt, await reshare(rt, mul(x, sides), step), WINDOW, step)
    half = 1 << WINDOW - DIGITS - 1
    digits = await cut(rt, add(high, half), WINDOW + 1, WINDOW - DIGITS, step)
    return await reshare(rt, mul(digits, sides), step), lift


def significant_clear(x: int) -> tuple[int, int]:
    """Clear-text twin of `significant`, for one number."""
    if x == 0:
        return 0, 0
    lift = 1 << WINDOW - abs(x).bit_length()
    digits = abs(x) * lift + (1 << WINDOW - DIGITS - 1) >> WINDOW - DIGITS
    return digits if x > 0 else -digits, lift


def significant_cost(shape: Shape, n: int, signed: int) -> Cost:
    out = negative_cost(shape, WINDOW, signed) + to_field_cost(shape, 1, signed) if signed else Cost()
    out += reshare_cost(shape, n) + lifted_cost(shape, n, WINDOW)
    return out + cut_cost(shape, WINDOW + 1, WINDOW - DIGITS, n) + reshare_cost(shape, n)
