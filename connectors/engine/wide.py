"""Fixed-point numbers in a wide prime field: for linear algebra on a few hundred shared values.

Invariants: a number x is a share of degree t of round(2^FRACTION x) modulo Q, whatever is below zero in the upper half;
a product is below 2^BOUND_BITS before it is cut, which callers see to by bounds that hold for whatever rows there are;
nothing is opened but products under masks.

Product and truncation in one opening (Catrina, de Hoogh, SCN 2010, section 3, with a mask of integers instead of bits;
opened with twice the degree as in Damgård, Nielsen, CRYPTO 2007, section 4). Parties 0 .. t each deal r1, uniform below
2^(BOUND_BITS + MASK_BITS - FRACTION), with degree t, and r = r0 + 2^FRACTION r1, r0 uniform below 2^FRACTION, with
degree 2t. With these sums, c = x y + 2^BOUND_BITS + r is opened, a uniform polynomial of degree 2t through c; and
floor(c / 2^FRACTION) - r1 - 2^(BOUND_BITS - FRACTION) is x y / 2^FRACTION, off by -1 to t + 1 units, since r0 adds less
than t + 1. The mask of one dealer that t others do not know hides x y up to a statistical distance of 2^-MASK_BITS * 2,
so 2^20 openings leave 2^-49.

Rounds: masks 1, for as many products as are wanted at once; a product 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cold_cost import conversion_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array
from gateway.rules.sharing import P, lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Wide = npt.NDArray[np.object_]  # of int

Q = (1 << 383) - 187  # prime
WORDS = 6  # of an element on the wire
FRACTION = 96
BOUND_BITS = 256
MASK_BITS = 70
_BYTES = 8 * WORDS
_LOW = (1 << 383) - 1
_UPPER_BITS = BOUND_BITS + MASK_BITS - FRACTION


@dataclass(frozen=True, slots=True)
class Masks:
    """Shares of as many masks: `upper` of r1, of degree t, and `whole` of r, of degree 2t."""

    upper: Wide
    whole: Wide

    def taken(self, start: int, n: int) -> "Masks":
        return Masks(self.upper[start : start + n], self.whole[start : start + n])


async def deal_masks(rt: "Engine", n: int, step: str) -> Masks:
    """Masks for n products. 1 round."""
    rt.advance()
    sends: dict[int, Array] = {}
    own = np.zeros(2 * n, dtype=object)
    if rt.pid <= rt.t:
        whole = _random(rt, n) & ((1 << _UPPER_BITS + FRACTION) - 1)
        upper = whole >> FRACTION
        dealt = [
            np.concatenate(pair) for pair in zip(_split(rt, upper, rt.t), _split(rt, whole, 2 * rt.t), strict=True)
        ]
        sends, own = {peer: _words(dealt[peer]) for peer in rt.peers}, dealt[rt.pid]
    due = {peer: 2 * n * WORDS for peer in rt.peers if peer <= rt.t}
    received = await rt.exchange(sends, due, step, bits=set(rt.peers))
    for words in received.values():
        own = own + _elements(words)
    own = own % Q
    return Masks(own[:n], own[n:])


async def cut(rt: "Engine", products: Wide, masks: Masks, step: str) -> Wide:
    """Shares [n] of products over 2^FRACTION, from shares [n] of degree 2t. 1 round."""
    # Opened: a product under a mask that hides it, whatever it is, and that is used once.
    opened = await open_masked(rt, (products + masks.whole) % Q, step)
    return np.asarray((((opened + (1 << BOUND_BITS)) % Q >> FRACTION) - (1 << BOUND_BITS - FRACTION) - masks.upper) % Q)


async def open_masked(rt: "Engine", x: Wide, step: str) -> Wide:
    """Everyone learns x [n], from shares of degree 2t: all m are needed, so nothing shows a wrong one. 1 round."""
    rt.advance()
    words = _words(x)
    due = dict.fromkeys(rt.peers, words.size)
    received = await rt.exchange(dict.fromkeys(rt.peers, words), due, step, bits=set(rt.peers))
    by = lagrange(tuple(pid + 1 for pid in range(rt.m)), 0, Q)
    opened = x * by[rt.pid]
    for peer, theirs in received.items():
        opened = opened + _elements(theirs) * by[peer]
    return np.asarray(opened)


class Products:
    """Products one after the other, with masks that are dealt for all of them at once: `count` in all."""

    def __init__(self, rt: "Engine", masks: Masks, step: str) -> None:
        self._rt, self._masks, self._step, self._taken = rt, masks, step, 0

    async def __call__(self, products: Wide) -> Wide:
        """`cut`, for shares of any shape."""
        masks = self._masks.taken(self._taken, products.size)
        self._taken += products.size
        return (await cut(self._rt, products.reshape(-1) % Q, masks, self._step)).reshape(products.shape)


async def to_wide(rt: "Engine", x: Array, bound: int) -> Wide:
    """Shares [n] modulo Q of whole numbers in (-bound, bound), which nothing multiplies yet, from shares in F_p."""
    from connectors.engine.cold import to_cold  # MPyC, which agents do not import

    moved = await rt.gather(await to_cold(rt, x, bound, rt.SecFld(modulus=Q)))
    return wide([share.value for share in moved])


async def from_wide(rt: "Engine", x: Wide, bound: int) -> Array:
    """Shares [n] in F_p of whole numbers in (-bound, bound)."""
    from connectors.engine.cold import from_cold  # MPyC, which agents do not import

    kind = rt.SecFld(modulus=Q)
    return await from_cold(rt, [kind(kind.field(int(share))) for share in x], bound)


def wide(numbers: Sequence[int]) -> Wide:
    out = np.empty(len(numbers), dtype=object)
    out[:] = list(numbers)
    return out


def masks_cost(shape: Shape, n: int) -> Cost:
    return Cost(1, (shape.t + 1) * (shape.m - 1) * 2 * n * WORDS, 2 * n * WORDS)


def cut_cost(shape: Shape, n: int) -> Cost:
    return Cost(1, shape.m * (shape.m - 1) * n * WORDS, n * WORDS)


def to_wide_cost(shape: Shape, n: int) -> Cost:
    return conversion_cost(shape, n, Q)


def from_wide_cost(shape: Shape, n: int) -> Cost:
    return conversion_cost(shape, n, P)


def _random(rt: "Engine", n: int) -> Wide:
    """Uniform numbers of 383 bits: elements, but for 187 of 2^383."""
    return np.asarray(_elements(rt.own.words(n * WORDS)) & _LOW)


def _split(rt: "Engine", secrets: Wide, degree: int) -> list[Wide]:
    """Shares for each of the m parties."""
    coefficients = [_random(rt, secrets.size) for _ in range(degree)]
    shares = []
    for pid in range(rt.m):
        value = np.zeros_like(secrets)
        for coefficient in coefficients:  # Horner's rule
            value = (value + coefficient) * (pid + 1)
        shares.append((value + secrets) % Q)
    return shares


def _words(elements: Wide) -> Array:
    joined = b"".join([element.to_bytes(_BYTES, "little") for element in elements.tolist()])
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64, copy=False)


def _elements(words: Array) -> Wide:
    each = np.ascontiguousarray(words, dtype="<u8").view(f"V{_BYTES}").tolist()
    return wide([int.from_bytes(one, "little") for one in each])
