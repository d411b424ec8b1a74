"""Products and random bits.

Invariant: nothing is opened here.

Multiplication is a local product and a re-sharing (sharing.py): 1 round, t elements sent per party. Random
bits are the XOR of t + 1 bits: one of each of the parties 0..t-1, and one that the group of all the others
draws from its common stream and holds as shares without a message (replicated to Shamir: Cramer, Damgård,
Ishai 2005). Any t parties miss at least one of them. 1 + ceil(log2(t + 1)) rounds; t^2 elements are dealt and
t products taken: (t^2 + m t^2) / m elements per party and bit, 1.33 at m = 3 (the square-root trick of
Damgård et al. 2006 takes 3).
"""

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.field import Array, add, mul, sub
from connectors.engine.lanes import blocks, joined
from connectors.engine.sharing import BLOCK, deal, dealt, due_from, reshare, reshare_cost
from gateway.rules.sharing import lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


async def multiply(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """Products of two arrays of shares, with broadcasting. 1 round, t elements per product."""
    if x.shape != y.shape:
        return await reshare(rt, mul(x, y), step)
    left, right = x.reshape(-1), y.reshape(-1)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        return await reshare(lane, mul(left[start:stop], right[start:stop]), step)

    return joined(await blocks(rt, left.size, BLOCK, block)).reshape(x.shape)


async def product(rt: "Engine", factors: Array, step: str) -> Array:
    """The product along the first axis, as a tree. ceil(log2 F) rounds, (F - 1) t elements per value."""
    while len(factors) > 1:
        pairs, odd = len(factors) // 2, factors[len(factors) // 2 * 2 :]
        factors = np.concatenate([await multiply(rt, factors[:pairs], factors[pairs : 2 * pairs], step), odd])
    result: Array = factors[0]
    return result


async def random_bits(rt: "Engine", n: int, step: str) -> Array:
    """Shares of n uniform bits that no t parties know."""
    rt.advance()
    private = range(rt.t)
    sends: dict[int, Array] = {}
    bits = np.zeros((rt.t + 1, n), dtype=np.uint64)
    if rt.pid in private:
        sends, bits[rt.pid] = deal(rt, rt.own.bits(n))
    else:
        group = tuple(range(rt.t, rt.m))
        common = rt.groups[group].at("bits", rt.counter).bits(n)
        points = (0, *(pid + 1 for pid in private))  # 1 at 0, 0 at those who do not know the bit
        bits[rt.t] = mul(common, lagrange(points, rt.pid + 1)[0])
    received = await rt.exchange(sends, due_from(rt, private, n), step)
    for dealer in private:
        if dealer != rt.pid:
            bits[dealer] = dealt(rt, dealer, n, received)
    while len(bits) > 1:
        pairs = len(bits) // 2
        xors = await xor(rt, bits[:pairs], bits[pairs : 2 * pairs], step)
        bits = np.concatenate([xors, bits[2 * pairs :]])
    result: Array = bits[0]
    return result


async def xor(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """x + y - 2xy, for bits. 1 round, t elements."""
    both = await multiply(rt, x, y, step)
    return sub(add(x, y), add(both, both))


def product_cost(shape: Shape, factors: int, n: int) -> Cost:
    cost = reshare_cost(shape, (factors - 1) * n)
    return Cost(levels(factors), cost.elements, factors // 2 * n)


def random_bits_cost(shape: Shape, n: int) -> Cost:
    t = shape.t
    return Cost(1, t * t * n, n) + product_cost(shape, t + 1, n)
