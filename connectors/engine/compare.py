"""Order, equality and zero: of packed bits, and of field elements with a public bound.

Invariants: nothing is opened; rounds and sizes follow from public bounds alone.

On bits: a bit decides (`less`: y and not x) or is equal, and (decides, is equal) combine like carries (adders.py).
1 + ceil(log2 L) rounds, under 3 L ANDs; a round and L ANDs less with public y. Equality alone is an AND tree,
ceil(log2 L) rounds, L - 1 ANDs.

On field elements |x| < 2^l, as two numbers with x + 2^l = ((a + b) >> 1) mod 2^(l + 1), or mod 2^l (adders.py).
Negative: bit l is 0, for which the carry into it is enough. Zero: the bits below l are 0. That takes no carries: if all
lower sums are 0, place i - 1 carries iff a_(i-1) | b_(i-1), and the lowest, which is no part of x, iff a_0 & b_0; so
the sum is 0 iff each a_i ^ b_i is what the place below would carry. Rounds at m = 3: negative 2 + ceil(log2 of
floor((l + 1) / 2)), zero 2 + ceil(log2 l); the `*_cost` functions have all of them.
"""

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.adders import (
    carry_of,
    carry_of_cost,
    carry_out,
    carry_out_cost,
    sum_of,
    sum_of_cost,
    two_numbers,
    two_numbers_cost,
)
from connectors.engine.bits import and_, and_cost, invert, words_for, xor_public
from connectors.engine.cost import Cost, Shape, in_blocks
from connectors.engine.field import Array, add, sub
from connectors.engine.lanes import blocks, joined

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

BLOCK = 1 << 15  # rows that are worked on at once; a multiple of 64


async def all_of(rt: "Engine", x: Array, step: str) -> Array:
    """The AND [S, W] of planes [S, L, W], L >= 1. ceil(log2 L) rounds, L - 1 ANDs."""
    while (count := x.shape[1]) > 1:
        half = count // 2
        x = np.concatenate([await and_(rt, x[:, :half], x[:, half : 2 * half], step), x[:, 2 * half :]], axis=1)
    return x[:, 0]


async def equal(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """[x = y] as a plane [S, W], of planes [S, L, W]. ceil(log2 L) rounds, L - 1 ANDs."""
    return await all_of(rt, invert(rt, x ^ y), step)


async def less(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """[x < y] as a plane [S, W], of planes [S, L, W], lowest bit first. 1 + ceil(log2 L) rounds, under 3 L ANDs."""
    either = x ^ y
    smaller = await and_(rt, either, y, step)
    return await carry_of(rt, smaller, invert(rt, either[:, 1:]), step)


async def less_public(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """[x < y] as a plane [S, W], of planes x [S, L, W] and planes y [L, W] that all know. ceil(log2 L) rounds."""
    return await carry_of(rt, invert(rt, x) & y, invert(rt, xor_public(rt, x, y)[:, 1:]), step)


async def negative(rt: "Engine", x: Array, bits: int, step: str) -> Array:
    """[x < 0] as a plane [S, W], for field shares [n] of |x| < 2^bits."""

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        above = add(x[start:stop], 1 << bits)
        a, b = await two_numbers(lane, above, bits + 1, step, digits=True)
        carry = await carry_out(lane, a, b, bits + 1, step)
        return invert(lane, a[:, bits + 1] ^ b[:, bits + 1] ^ carry)

    return joined(await blocks(rt, x.size, BLOCK, block))


async def less_field(rt: "Engine", x: Array, y: Array, bits: int, step: str) -> Array:
    """[x < y] as a plane [S, W], for field shares [n] below 2^bits."""
    return await negative(rt, sub(x, y), bits, step)


async def zero_field(rt: "Engine", x: Array, bits: int, step: str) -> Array:
    """[x = 0] as a plane [S, W], for field shares [n] of |x| < 2^bits."""

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        a, b = await two_numbers(lane, add(x[start:stop], 1 << bits), bits, step)
        both = await and_(lane, a[:, :-1], b[:, :-1], step)
        either = a ^ b
        carried = np.concatenate([both[:, :1], both[:, 1:] ^ either[:, 1:-1]], axis=1)
        return await all_of(lane, invert(lane, either[:, 1:] ^ carried), step)

    return joined(await blocks(rt, x.size, BLOCK, block))


async def to_bits(rt: "Engine", x: Array, bits: int, step: str) -> Array:
    """Planes [S, bits, W] of field shares [n] of 0 <= x < 2^bits."""

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        a, b = await two_numbers(lane, x[start:stop], bits, step)
        return (await sum_of(lane, a, b, step))[:, 1:]

    return joined(await blocks(rt, x.size, BLOCK, block))


def all_of_cost(shape: Shape, width: int, n: int) -> Cost:
    """Of planes [S, width, W] of n rows."""
    cost = Cost()
    while width > 1:
        cost += and_cost(shape, width // 2 * words_for(n))
        width -= width // 2
    return cost


equal_cost = all_of_cost


def less_cost(shape: Shape, width: int, n: int) -> Cost:
    return and_cost(shape, width * words_for(n)) + carry_of_cost(shape, width, n)


def less_public_cost(shape: Shape, width: int, n: int) -> Cost:
    return carry_of_cost(shape, width, n)


def negative_cost(shape: Shape, bits: int, n: int) -> Cost:
    return in_blocks(
        n,
        BLOCK,
        lambda rows: two_numbers_cost(shape, bits + 1, rows, digits=True) + carry_out_cost(shape, bits + 1, rows),
    )


def zero_field_cost(shape: Shape, bits: int, n: int) -> Cost:
    return in_blocks(
        n,
        BLOCK,
        lambda rows: (
            two_numbers_cost(shape, bits, rows)
            + and_cost(shape, bits * words_for(rows))
            + all_of_cost(shape, bits, rows)
        ),
    )


def to_bits_cost(shape: Shape, bits: int, n: int) -> Cost:
    return in_blocks(n, BLOCK, lambda rows: two_numbers_cost(shape, bits, rows) + sum_of_cost(shape, bits + 1, rows))
