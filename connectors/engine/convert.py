"""Bits to field elements, and binary codes to one-hot bits.

Invariant: nothing is opened here.

Bit to field (`to_field`). Give the parties roles 0 .. m - 1. A bit is the XOR of t + 1 bits: u_i, i < t, the XOR of the
words of the groups whose first member is i, which party i knows; and v, the word of the group of all others, which its
t + 1 members know. With signs, 1 - 2b instead of b, that XOR is a product. Party i deals the sign of u_i (sharing.py).
The sign of v times a share of degree t is an additive share within the group (Lagrange), so that the t + 1 members deal
fresh shares of a product with it; products of two dealt signs are re-shared by all. 1 + ceil(log2(t + 1)) rounds;
t^2 + (t + 1) t + (t - 1) m t elements per bit in all: 3, 20, 63, or 1, 4, 9 per party. Any t parties miss the word of
one group, so the bit, and what they are dealt is uniform. (Replicated to Shamir: Cramer, Damgård, Ishai, TCC 2005; a
bit that some know against a share: Mohassel, Rindal, ePrint 2018/403, section 5.4.)

Sums (`count`) need the last product as an inner product only: 1 element per bit in all at m = 3, 10 at m = 5, 42 at
m = 7, and one re-sharing per sum.

Roles turn over m slices of the rows, so that everybody sends as much.

One-hot (`demux`): all products of the B bits of a code, 2^B - 1 - B ANDs in ceil(log2 B) rounds; [code = c] is the XOR
of those that contain the bits of c (Möbius inversion over GF(2)).
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ONES, ROWS, and_, and_cost, slices, words_for, xor_public
from connectors.engine.cost import Cost, Shape, in_blocks
from connectors.engine.field import Array, add, dot, mul, total
from connectors.engine.lanes import blocks, joined
from connectors.engine.native import lazily
from connectors.engine.sharing import BLOCK, deal, dealt, drawn, reshare_cost
from gateway.rules.sharing import P, lagrange

if TYPE_CHECKING:
    from connectors.engine.native import bits as kernels
    from connectors.engine.runtime import Engine
else:
    kernels = lazily("bits")

HALF = (P + 1) // 2
Slices = list[Array]  # of each slice of the rows a matrix [K, rows]
Layout = Mapping[tuple[int, int], tuple[tuple[int, ...], tuple[int, int]]]  # what is dealt: by whom, and its size
Dealt = dict[tuple[int, int], Array]


async def to_field(rt: "Engine", bits: Array, n: int, step: str) -> Array:
    """Field shares [..., n] of the bits of planes [S, ..., W]. 1 + ceil(log2(t + 1)) rounds."""
    flat = bits.reshape(len(bits), prod(bits.shape[1:-1]), bits.shape[-1])

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        part = flat[..., start // ROWS : words_for(stop)]
        factors = await _last_two(lane, part, stop - start, step)
        (signs,) = await _products(lane, part, stop - start, [factors], P - HALF, step)
        return add(np.concatenate(signs, axis=1), HALF)  # b = (1 - sign) / 2

    return joined(await blocks(rt, n, _rows_at_once(flat.shape[1]), block)).reshape(*bits.shape[1:-1], n)


async def count(rt: "Engine", bits: Array, n: int, step: str) -> Array:
    """Field shares [...] of how many of the n rows are set in each of the planes [S, ..., W]. 1 + ceil(log2(t + 1))
    rounds.
    """
    flat = bits.reshape(len(bits), prod(bits.shape[1:-1]), bits.shape[-1])

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        part = flat[..., start // ROWS : words_for(stop)]
        return _sums(lane, part, stop - start, *await _last_two(lane, part, stop - start, step))

    sums = total(np.stack(await blocks(rt, n, _rows_at_once(flat.shape[1]), block)), axis=0)
    # The sums of signs are additive among all parties.
    layout = {(0, 0): (tuple(range(rt.m)), (1, sums.size))}
    signs = await _deal(rt, {(0, 0): mul(sums, P - HALF)[None]}, layout, step)
    return add(signs[0, 0], n * HALF % P).reshape(bits.shape[1:-1])


async def demux(rt: "Engine", codes: Array, categories: int, step: str) -> Array:
    """One-hot planes [S, categories, W] of binary codes [S, B, W], lowest bit first. A code that is not below
    `categories` is in none of them. ceil(log2 B) rounds.
    """
    count, bits, width = codes.shape
    if not 1 <= categories <= 1 << bits:
        raise ValueError(f"{bits} bits have no {categories} values")
    one = xor_public(rt, np.zeros((count, 1, width), dtype=np.uint64), ONES)
    # Products of bits of a part of the code: place s has those of the bits set in s, place 0 has 1.
    parts = [np.concatenate([one, codes[:, bit : bit + 1]], axis=1) for bit in range(bits)] or [one]
    while len(parts) > 1:
        pairs, odd = list(zip(parts[0:-1:2], parts[1::2], strict=False)), parts[len(parts) // 2 * 2 :]
        lefts = [np.tile(low[:, 1:], (1, high.shape[1] - 1, 1)) for low, high in pairs]
        rights = [np.repeat(high[:, 1:], low.shape[1] - 1, axis=1) for low, high in pairs]
        found = await and_(rt, np.concatenate(lefts, axis=1), np.concatenate(rights, axis=1), step)
        ends = np.cumsum([right.shape[1] for right in rights])
        parts = []
        for (low, high), both in zip(pairs, np.split(found, ends[:-1], axis=1), strict=True):
            grid = np.empty((count, high.shape[1], low.shape[1], width), dtype=np.uint64)
            grid[:, 0], grid[:, :, 0] = low, high
            grid[:, 1:, 1:] = both.reshape(grid[:, 1:, 1:].shape)
            parts.append(grid.reshape(count, -1, width))
        parts += odd
    cells = parts[0].reshape(count, *[2] * bits, width)
    for axis in range(bits):
        without, with_ = (cells[(slice(None),) * (1 + axis) + (bit,)] for bit in (0, 1))
        without ^= with_
    return cells.reshape(count, 1 << bits, width)[:, :categories]


def to_field_cost(shape: Shape, planes: int, n: int) -> Cost:
    def block(rows: int) -> Cost:
        return _last_two_cost(shape, planes, rows) + _deal_cost(shape, _outputs(shape, planes, rows, [shape.t == 1]))

    return in_blocks(n, _rows_at_once(planes), block)


def count_cost(shape: Shape, planes: int, n: int) -> Cost:
    cost = in_blocks(n, _rows_at_once(planes), lambda rows: _last_two_cost(shape, planes, rows))
    return cost + reshare_cost(shape, planes)


def demux_cost(shape: Shape, bits: int, n: int) -> Cost:
    cost, parts = Cost(), [1] * bits
    while len(parts) > 1:
        pairs, odd = list(zip(parts[0:-1:2], parts[1::2], strict=False)), parts[len(parts) // 2 * 2 :]
        cost += and_cost(shape, sum((2**low - 1) * (2**high - 1) for low, high in pairs) * words_for(n))
        parts = [low + high for low, high in pairs] + odd
    return cost


async def _last_two(rt: "Engine", bits: Array, n: int, step: str) -> tuple[Slices, Slices | None]:
    """Two factors of the signs of the bits [S, K, W] of n rows, as shares; None stands for the sign of v."""
    layout = _inputs(rt.shape, bits.shape[1], n)
    mine = {}
    for (role, slice_), (dealers, size) in layout.items():
        if rt.pid in dealers:
            mine[role, slice_] = _signs(rt, bits, n, role, slice_, 1).reshape(size)
    dealt_signs = await _deal(rt, mine, layout, step)
    factors = [[dealt_signs[role, slice_] for slice_ in range(rt.m)] for role in range(rt.t)]
    last: list[None] = [None]
    while len(factors) + len(last) > 2:
        odd = (len(factors) + len(last)) % 2
        lefts, rights = factors[odd::2], [*factors[odd + 1 :: 2], *last]
        factors = factors[:odd] + await _products(rt, bits, n, list(zip(lefts, rights, strict=True)), 1, step)
        last = []
    return factors[0], (None if last else factors[1])


def _last_two_cost(shape: Shape, planes: int, n: int) -> Cost:
    cost, factors = _deal_cost(shape, _inputs(shape, planes, n)), shape.t + 1
    signed = True
    while factors > 2:
        pairs = factors // 2
        cost += _deal_cost(shape, _outputs(shape, planes, n, [signed and i == pairs - 1 for i in range(pairs)]))
        factors -= pairs
        signed = False
    return cost


async def _products(
    rt: "Engine", bits: Array, n: int, pairs: Sequence[tuple[Slices, Slices | None]], scale: int, step: str
) -> list[Slices]:
    """Fresh shares of `scale` times each product. 1 round."""
    layout = _outputs(rt.shape, bits.shape[1], n, [right is None for _, right in pairs])
    mine = {}
    for (pair, slice_), (dealers, _) in layout.items():
        if rt.pid in dealers:
            left, right = pairs[pair]
            weight = _weight(rt, dealers) * scale % P
            if right is None:
                signs = _signs(rt, bits, n, rt.t, slice_, weight)
                mine[pair, slice_] = mul(left[slice_], signs.reshape(left[slice_].shape))
            else:
                mine[pair, slice_] = mul(mul(left[slice_], right[slice_]), weight)
    fresh = await _deal(rt, mine, layout, step)
    return [[fresh[pair, slice_] for slice_ in range(rt.m)] for pair in range(len(pairs))]


def _sums(rt: "Engine", bits: Array, n: int, left: Slices, right: Slices | None) -> Array:
    """Additive shares of the inner products [K]."""
    sums: Array = np.zeros(bits.shape[1], dtype=np.uint64)
    for (_, slice_), (dealers, _) in _outputs(rt.shape, bits.shape[1], n, [right is None]).items():
        if rt.pid not in dealers:
            continue
        if right is None:
            words = _words(rt, bits, rt.t, slice_)
            halves = [kernels.signed_total(x, w) for x, w in zip(left[slice_], words, strict=True)]
            part = np.array([(low + (high << 32)) % P for low, high in halves], dtype=np.uint64)
        else:
            part = dot(left[slice_], right[slice_])
        sums = add(sums, mul(part, _weight(rt, dealers)))
    return sums


def _inputs(shape: Shape, planes: int, n: int) -> Layout:
    """By role and slice: the signs that one party knows."""
    return {
        (role, slice_): (((slice_ + role) % shape.m,), (planes, rows))
        for role in range(shape.t)
        for slice_, rows in enumerate(_rows(shape, n))
    }


def _outputs(shape: Shape, planes: int, n: int, with_v: Sequence[bool]) -> Layout:
    """By pair of factors and slice: a product with the sign of v is dealt by those who know v, another by all."""
    everyone = tuple(range(shape.m))
    return {
        (pair, slice_): (_knowing_v(shape, slice_) if signed else everyone, (planes, rows))
        for pair, signed in enumerate(with_v)
        for slice_, rows in enumerate(_rows(shape, n))
    }


def _rows(shape: Shape, n: int) -> list[int]:
    """Rows of each slice."""
    return [min(ROWS * stop, n) - min(ROWS * start, n) for start, stop in slices(shape, n)]


def _rows_at_once(planes: int) -> int:
    return max(ROWS, BLOCK // max(planes, 1) // ROWS * ROWS)


def _knowing_v(shape: Shape, slice_: int) -> tuple[int, ...]:
    return tuple(sorted((slice_ + role) % shape.m for role in range(shape.t, shape.m)))


def _weight(rt: "Engine", dealers: tuple[int, ...]) -> int:
    """What makes this party's share an additive one among the dealers."""
    return lagrange(tuple(pid + 1 for pid in dealers), 0)[dealers.index(rt.pid)]


def _words(rt: "Engine", bits: Array, role: int, slice_: int) -> Array:
    """u of a role, or v (role t), in one slice: the XOR of the words of the groups whose first role it is."""
    start, stop = slices(rt.shape, ROWS * bits.shape[2])[slice_]
    known = [k for k, group in enumerate(rt.held) if min((pid - slice_) % rt.m for pid in group) == role]
    words: Array = np.bitwise_xor.reduce(bits[known, :, start:stop])
    return words


def _signs(rt: "Engine", bits: Array, n: int, role: int, slice_: int, weight: int) -> Array:
    """`weight` times the signs of these, in the field."""
    rows = _rows(rt.shape, n)[slice_]
    out = np.empty((bits.shape[1], rows), dtype=np.uint64)
    for words, signs in zip(_words(rt, bits, role, slice_), out, strict=True):
        kernels.choose(words, weight, P - weight, signs)
    return out


async def _deal(rt: "Engine", mine: Mapping[tuple[int, int], Array], layout: Layout, step: str) -> Dealt:
    """For each entry of the layout the sum of what its dealers share. 1 round, t elements per element and dealer."""
    rt.advance()
    sizes = _sizes(rt.shape, layout)
    own_parts = [mine[key].reshape(-1) for key, (dealers, _) in layout.items() if rt.pid in dealers]
    sends, own = deal(rt, np.concatenate([*own_parts, np.zeros(0, dtype=np.uint64)]))
    due = {dealer: sizes[dealer] for dealer in rt.peers if rt.pid not in drawn(dealer, rt.shape)}
    received = await rt.exchange(sends, due, step)
    sums: dict[tuple[int, int], Array] = {}
    for dealer in range(rt.m):
        shares = own if dealer == rt.pid else dealt(rt, dealer, sizes[dealer], received)
        for key, (dealers, size) in layout.items():
            if dealer in dealers:
                part, shares = shares[: prod(size)].reshape(size), shares[prod(size) :]
                sums[key] = add(sums[key], part) if key in sums else part
    return sums


def _sizes(shape: Shape, layout: Layout) -> dict[int, int]:
    return {
        dealer: sum(prod(size) for dealers, size in layout.values() if dealer in dealers) for dealer in range(shape.m)
    }


def _deal_cost(shape: Shape, layout: Layout) -> Cost:
    sizes = _sizes(shape, layout).values()
    return Cost(1, shape.t * sum(sizes), max(sizes))
