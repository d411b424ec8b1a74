"""One over positive whole numbers, in fixed point.

Invariants: nothing is opened; sizes depend on the public length of the numbers; what comes out is exact integer
arithmetic, so the clear-text twin gives the same to the last bit.

With v = 2^(w - l) for a number x of l bits, b = v x / 2^w lies in [1/2, 1), and Newton's iteration
y <- y (2 - b y) for 1 / b squares the relative error, which begins below 0.086 with y = 2.9142 - 2 b: three steps leave
2^-28. Numbers of F = 26 fraction bits are cut off after each product, and v y is 2^(w + F) / x within a factor of
1 +- 2^-24 (a test takes all x below 2^23). Neither b nor what follows depends on w, which only scales v. It is MPyC's
own division (`mpyc.runtime.Runtime._rec`, version 0.11; Catrina, Saxena, "Secure computation with fixed-point numbers",
FC 2010, normalise alike), which takes a party half a second for each number, three hundred random bits and more; this
takes milliseconds for dozens.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.bits import and_cost, or_, words_for
from connectors.engine.compare import to_bits, to_bits_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.field import Array, combine, mul, sub
from connectors.engine.sharing import reshare_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

FRACTION = 26
STEPS = 3
_FIRST = round(2.9142135 * 2**FRACTION)
MOST_BITS = FRACTION + 1


async def reciprocals(rt: "Engine", x: Array, width: int, step: str) -> Array:
    """Shares [n] of 2^(width + FRACTION) / x, within a factor of 1 +- 2^-24, for shares [n] of 1 <= x < 2^width; width
    is from 2 to MOST_BITS. Nothing is opened; rounds and elements: `reciprocals_cost`.
    """
    if not 2 <= width <= MOST_BITS:
        raise ValueError(f"numbers of {width} bits have no reciprocal here; 2 to {MOST_BITS} bits do")
    lift, b = await lifted(rt, x, width, step)
    return await multiply(rt, lift, await inverses(rt, b, width, step), step)


async def lifted(rt: "Engine", x: Array, width: int, step: str) -> tuple[Array, Array]:
    """Shares [n] of the v for which v x has all of `width` bits, and of v x, for shares [n] of 1 <= x < 2^width."""
    lift = combine([1 << width - 1 - place for place in range(width)], await leading(rt, x, width, step))
    return lift, await multiply(rt, x, lift, step)


async def leading(rt: "Engine", x: Array, width: int, step: str) -> Array:
    """Shares [width, n] of whether the highest bit of x stands at each place, for shares [n] of 1 <= x < 2^width."""
    bits = await to_bits(rt, x, width, step)
    highest = bits.copy()  # of each place whether a bit there or above is set
    for level in range(levels(width)):
        by = 1 << level
        highest[:, :-by] = await or_(rt, highest[:, :-by], highest[:, by:], step)
    highest[:, :-1] ^= highest[:, 1:]  # and now whether the highest one is there
    return await to_field(rt, highest, x.size, step)


async def inverses(rt: "Engine", b: Array, width: int, step: str) -> Array:
    """Shares [n] of 2^(width + FRACTION) / b, within a factor of 1 +- 2^-24, for shares [n] of numbers that have all of
    `width` bits."""
    y = sub(_FIRST, mul(b, 1 << FRACTION + 1 - width))
    for _ in range(STEPS):
        product = await cut(rt, await multiply(rt, b, y, step), width + FRACTION + 1, width, step)
        y = await cut(rt, await multiply(rt, y, sub(2 << FRACTION, product), step), 2 * FRACTION + 2, FRACTION, step)
    return y


async def cut(rt: "Engine", x: Array, bits: int, by: int, step: str) -> Array:
    """x without its lowest bits, for shares [n] of 0 <= x < 2^bits."""
    upper = (await to_bits(rt, x, bits, step))[:, by:]
    return combine([1 << place for place in range(bits - by)], await to_field(rt, upper, x.size, step))


async def upper(rt: "Engine", x: Array, width: int, bits: int, step: str) -> Array:
    """x with zeros for all but its upper bits, for shares [n] of 0 <= x < 2^width."""
    places = await leading(rt, x, width, step)  # of zero there is none, and zero comes out
    lift = combine([1 << width - 1 - place for place in range(width)], places)
    high = await cut(rt, await multiply(rt, x, lift, step), width, width - bits, step)
    # Of a shorter number the lowest ones are zeros that the lift has put there: the division is exact in the field.
    back = combine([pow(2, place + 1 - bits, P) for place in range(width)], places)
    return await multiply(rt, high, back, step)


def upper_clear(x: int, bits: int) -> int:
    """Clear-text twin of `upper`."""
    below = max(x.bit_length() - bits, 0)
    return x >> below << below


def reciprocals_clear(x: Sequence[int], width: int) -> list[int]:
    """Clear-text twin of `reciprocals`."""
    lift = [1 << width - int(number).bit_length() for number in x]
    found = inverses_clear([int(number) * by for number, by in zip(x, lift, strict=True)], width)
    return [by * y for by, y in zip(lift, found, strict=True)]


def inverses_clear(b: Sequence[int], width: int) -> list[int]:
    """Clear-text twin of `inverses`."""
    numbers = np.array(b, dtype=np.uint64)
    y = np.uint64(_FIRST) - (numbers << np.uint64(FRACTION + 1 - width))
    for _ in range(STEPS):
        y = y * (np.uint64(2 << FRACTION) - (numbers * y >> np.uint64(width))) >> np.uint64(FRACTION)
    return [int(one) for one in y]


def reciprocals_cost(shape: Shape, n: int, width: int) -> Cost:
    return lifted_cost(shape, n, width) + inverses_cost(shape, n, width) + reshare_cost(shape, n)


def lifted_cost(shape: Shape, n: int, width: int) -> Cost:
    return leading_cost(shape, n, width) + reshare_cost(shape, n)


def leading_cost(shape: Shape, n: int, width: int) -> Cost:
    out = to_bits_cost(shape, width, n) + to_field_cost(shape, width, n)
    for level in range(levels(width)):
        out += and_cost(shape, (width - (1 << level)) * words_for(n))
    return out


def inverses_cost(shape: Shape, n: int, width: int) -> Cost:
    each = reshare_cost(shape, n).times(2) + cut_cost(shape, width + FRACTION + 1, width, n)
    return (each + cut_cost(shape, 2 * FRACTION + 2, FRACTION, n)).times(STEPS)


def upper_cost(shape: Shape, n: int, width: int, bits: int) -> Cost:
    return leading_cost(shape, n, width) + reshare_cost(shape, n).times(2) + cut_cost(shape, width, width - bits, n)


def cut_cost(shape: Shape, bits: int, by: int, n: int) -> Cost:
    return to_bits_cost(shape, bits, n) + to_field_cost(shape, bits - by, n)
