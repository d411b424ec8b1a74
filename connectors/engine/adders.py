"""Sums on bit shares: from field elements to numbers in bits, and the carries of two of them.

Invariants: nothing is opened; the number of planes follows from a bound that is public.

Field to bits (quotient transfer; Kikuchi et al., ePrint 2018/387, section 3). t + 1 parties hold additive shares s_i
of x mod p (Lagrange). With k = ceil(log2(t + 1)) and s'_i = 2^k s_i mod p, the integer sum of the s'_i is 2^k x + q p
for a q <= t. Because 2^k x and p + 1 = 2^61 are multiples of 2^k, adding q rounds this sum up to a multiple of 2^k: so
x = ceil(sum of s'_i / 2^k) mod 2^(61-k), and one dealer adds 2^k - 1 instead of rounding. The dealers share the bits
of their s'_i up to the bound (`bits.share_own`); carry-save adders, a full adder with one AND per bit, make two
numbers of them. Who deals rotates over m slices of the rows, so that everybody sends as much.

Carries. A digit generates a carry (g) or propagates one (p); (g, p) of two neighbours is (g_h ^ p_h g_l, p_h p_l),
1 round per level of a tree. At m = 3 the two numbers are each known to one party, who shares the products of its bits
within a digit too, so digits of two bits, the lowest of three if the number is odd, take one round like single bits:
g is the XOR of 2^d - 1 products of a monomial of one number and one of the other, as the recursion
g_d = a b ^ a g_(d-1) ^ b g_(d-1) shows.
"""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import and_, and_cost, planes, share_own, share_own_cost, slices, words_for
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.field import Array, mul
from gateway.rules.sharing import P, lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Term = tuple[int, ...]  # the product of these bits of a digit


async def two_numbers(rt: "Engine", x: Array, bits: int, step: str, *, digits: bool = False) -> tuple[Array, Array]:
    """Numbers a, b as planes [S, bits + 1, W] with x = ((a + b) >> 1) mod 2^bits, for field shares [n] of 0 <= x <
    2^bits, or of any x whose lowest bits are wanted. bits <= 61 - k.

    With `digits` and m = 3 the products within digits follow as further planes, for `carry_out`. t rounds.
    """
    k = rt.t.bit_length()
    if bits + k > 61:
        raise ValueError(f"{bits} bits do not fit; {61 - k} do")
    numbers = await _deal(rt, x, bits + k, step, digits=digits and rt.t == 1)
    while len(numbers) > 2:
        a, b, c, *rest = numbers
        carry = await and_(rt, (a ^ c)[:, :-1], (b ^ c)[:, :-1], step) ^ c[:, :-1]
        numbers = [a ^ b ^ c, np.concatenate([np.zeros_like(c[:, :1]), carry], axis=1), *rest]
    # The lowest bit of the last carries is 0: below place k - 1, where x starts at k, nothing carries.
    return numbers[0][:, k - 1 :], numbers[1][:, k - 1 :]


async def carry_out(rt: "Engine", a: Array, b: Array, width: int, step: str) -> Array:
    """The carry [S, W] out of the lowest planes of what `two_numbers` gave for `width` bits and with `digits`."""
    if rt.t == 1:
        generate, propagate = await _digits(rt, a, b, width, step)
    else:
        propagate = (a ^ b)[:, 1:width]
        generate = await and_(rt, a[:, :width], b[:, :width], step)
    return await carry_of(rt, generate, propagate, step)


async def carry_of(rt: "Engine", generate: Array, propagate: Array, step: str) -> Array:
    """The carry [S, W] out of digits [S, D, W], lowest first; `propagate` [S, D - 1, W] is without the lowest digit's,
    which nothing reaches. ceil(log2 D) rounds.
    """
    while (count := generate.shape[1]) > 1:
        pairs, top = count // 2, count // 2 * 2
        high, low = propagate[:, 0 : top - 1 : 2], propagate[:, 1 : top - 1 : 2]
        left = np.concatenate([high, high[:, 1:]], axis=1)
        right = np.concatenate([generate[:, 0:top:2], low], axis=1)
        products = await and_(rt, left, right, step)
        generate = np.concatenate([generate[:, 1:top:2] ^ products[:, :pairs], generate[:, top:]], axis=1)
        propagate = np.concatenate([products[:, pairs:], propagate[:, top - 1 :]], axis=1)
    return generate[:, 0]


async def sum_of(rt: "Engine", a: Array, b: Array, step: str) -> Array:
    """Planes of a + b mod 2^L, for planes [S, L, W]. 1 + ceil(log2(L - 1)) rounds (Sklansky 1960)."""
    propagate = a ^ b
    width = a.shape[1] - 1
    if not width:
        return propagate
    generate = await and_(rt, a[:, :-1], b[:, :-1], step)
    through = propagate[:, :-1].copy()  # over all places of a place's block, and generate likewise
    for level in range(levels(width)):
        places = np.arange(width)
        upper = places[places >> level & 1 == 1]
        lower = (upper >> level << level) - 1
        inner = upper >> level + 1 > 0  # the lowest block takes in no carry
        left = np.concatenate([through[:, upper], through[:, upper[inner]]], axis=1)
        right = np.concatenate([generate[:, lower], through[:, lower[inner]]], axis=1)
        products = await and_(rt, left, right, step)
        generate[:, upper] ^= products[:, : upper.size]
        through[:, upper[inner]] = products[:, upper.size :]
    propagate[:, 1:] ^= generate
    return propagate


def two_numbers_cost(shape: Shape, bits: int, n: int, *, digits: bool = False) -> Cost:
    width = bits + shape.t.bit_length()
    dealt = width + (len(_products(width - 1)) if digits and shape.t == 1 else 0)
    sizes = {
        dealer: sum(
            dealt * (stop - start)
            for slice_, (start, stop) in enumerate(slices(shape, n))
            if dealer in _dealers(shape, slice_)
        )
        for dealer in range(shape.m)
    }
    return share_own_cost(shape, sizes) + and_cost(shape, (width - 1) * words_for(n)).times(shape.t - 1)


def carry_out_cost(shape: Shape, width: int, n: int) -> Cost:
    if shape.t > 1:
        return and_cost(shape, width * words_for(n)) + carry_of_cost(shape, width, n)
    sizes = _digit_sizes(width)
    ands = sum(2**size - 1 for size in sizes) + len(sizes) - 1
    return and_cost(shape, ands * words_for(n)) + carry_of_cost(shape, len(sizes), n)


def carry_of_cost(shape: Shape, digits: int, n: int) -> Cost:
    cost = Cost()
    while digits > 1:
        cost += and_cost(shape, (2 * (digits // 2) - 1) * words_for(n))
        digits -= digits // 2
    return cost


def sum_of_cost(shape: Shape, width: int, n: int) -> Cost:
    """Of two numbers of `width` planes."""
    if width < 2:
        return Cost()
    cost = and_cost(shape, (width - 1) * words_for(n))
    for level in range(levels(width - 1)):
        upper = [place for place in range(width - 1) if place >> level & 1]
        cost += and_cost(shape, (len(upper) + sum(place >> level + 1 > 0 for place in upper)) * words_for(n))
    return cost


async def _deal(rt: "Engine", x: Array, width: int, step: str, *, digits: bool) -> list[Array]:
    """The lowest `width` bits of the s'_i as planes, one array [S, width, W] per i, with products of digits."""
    k, parts = rt.t.bit_length(), slices(rt.shape, x.size)
    products = _products(width - 1) if digits else []
    own, sizes = [], dict.fromkeys(range(rt.m), 0)
    for slice_, (start, stop) in enumerate(parts):
        dealers = _dealers(rt.shape, slice_)
        for dealer in dealers:
            sizes[dealer] += (width + len(products)) * (stop - start)
        if rt.pid in dealers and stop > start:
            weight = lagrange(tuple(pid + 1 for pid in sorted(dealers)), 0)[sorted(dealers).index(rt.pid)]
            part = mul(x[64 * start : 64 * stop], (weight << k) % P)
            if rt.pid == dealers[0]:
                part = part + np.uint64((1 << k) - 1)
            bits = planes(part[None], width)
            own += [bits, *(np.bitwise_and.reduce(bits[list(term)], keepdims=True) for term in products)]
    mine = np.concatenate([part.reshape(-1) for part in own]) if own else np.zeros(0, dtype=np.uint64)
    dealt = await share_own(rt, mine, sizes, step)
    offsets = dict.fromkeys(range(rt.m), 0)
    numbers = [
        np.empty((len(rt.held), width + len(products), words_for(x.size)), dtype=np.uint64) for _ in range(rt.t + 1)
    ]
    for slice_, (start, stop) in enumerate(parts):
        for number, dealer in zip(numbers, _dealers(rt.shape, slice_), strict=True):
            part = number[:, :, start:stop]
            begin = offsets[dealer]
            offsets[dealer] += part[0].size
            part[:] = dealt[dealer][:, begin : offsets[dealer]].reshape(part.shape)
    return numbers


async def _digits(rt: "Engine", a: Array, b: Array, width: int, step: str) -> tuple[Array, Array]:
    """(g, p) of the digits of two dealt numbers; p not of the lowest. 1 round."""
    products = _products(width)
    first = a.shape[1] - len(products)
    place = {term: first + i for i, term in enumerate(products)} | {(bit,): bit for bit in range(width)}
    lefts, rights, ends, low = [], [], [], 0
    for size in _digit_sizes(width):
        terms = _carry_terms(tuple(range(low, low + size)))
        lefts += [place[left] for left, _ in terms]
        rights += [place[right] for _, right in terms]
        ends.append(len(lefts))
        low += size
    either = (a ^ b)[:, :width]
    above = _digit_sizes(width)[0]
    pairs = [either[:, above::2], either[:, above + 1 :: 2]]
    left, right = np.concatenate([a[:, lefts], pairs[0]], axis=1), np.concatenate([b[:, rights], pairs[1]], axis=1)
    found = await and_(rt, left, right, step)
    starts = [0, *ends[:-1]]
    return np.bitwise_xor.reduceat(found[:, : ends[-1]], starts, axis=1), found[:, ends[-1] :]


def _dealers(shape: Shape, slice_: int) -> tuple[int, ...]:
    return tuple((slice_ + i) % shape.m for i in range(shape.t + 1))


def _digit_sizes(width: int) -> list[int]:
    """Of `width` bits, lowest digit first: twos, and the lowest takes an odd bit."""
    lowest = width if width <= 3 else 2 + width % 2
    return [lowest, *[2] * ((width - lowest) // 2)]


def _products(width: int) -> list[Term]:
    """The products within digits that a dealer shares beside its bits."""
    found, low = [], 0
    for size in _digit_sizes(width):
        digit = range(low, low + size)
        found += [term for length in range(2, size + 1) for term in combinations(digit, length)]
        low += size
    return found


def _carry_terms(digit: Term) -> list[tuple[Term, Term]]:
    """Products of monomials of a and b whose XOR is the carry out of a digit."""
    *lower, top = digit
    if not lower:
        return [((top,), (top,))]
    below = _carry_terms(tuple(lower))
    return [
        ((top,), (top,)),
        *(((*left, top), right) for left, right in below),
        *((left, (*right, top)) for left, right in below),
    ]
