"""Zero tests and signs of shared field elements.

Invariants: what is opened is x + r for a fresh r uniform on [0, 2^61), from 61 shared random bits. Reduced
mod p = 2^61 - 1 this is uniform but for the value 0, which comes twice: statistical distance below 2^-61 per
opening, and 2^-41 over a session of 2^20 openings. The same 2^-61 is the chance that a zero test errs (r =
p); signs never err.

Zero test: x = 0 iff the bits of r are those of the opened c = x + r; an AND tree over 61 bits. Sign: x lies
in (p/2, p) iff 2x mod p is odd, and the lowest bit of y = 2x is c_0 + r_0 + [c < r] mod 2 for c = y + r mod p
(Nishide & Ohta, PKC 2007, sections 4 and 5); c < r over public c and shared bits is a tree of (equal, less)
pairs. 2 rounds for random bits at m = 3, 1 to open, 6 for the tree, 1 for a sign's last XOR.
"""

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply, random_bits, random_bits_cost, xor
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.sharing import open_, open_cost, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

BITS = 61
_PLACES = (np.uint64(1) << np.arange(BITS, dtype=np.uint64))[:, None]


async def zero_and_sign(rt: "Engine", zeros: Array, signs: Array, step: str) -> tuple[Array, Array]:
    """([x = 0] for x in zeros, [x > p/2, that is x negative] for x in signs), as shared bits, over two
    vectors.
    """
    n = zeros.size
    masked = np.concatenate([zeros, add(signs, signs)])
    bits = (await random_bits(rt, BITS * masked.size, step)).reshape(BITS, masked.size)
    # Opened: x + r, uniform as the head of this file says, and independent of x.
    opened = await open_(rt, add(masked, total(mul(bits, _PLACES), axis=0)), step)
    c = (opened[None, :] >> np.arange(BITS, dtype=np.uint64)[:, None]) & np.uint64(1)
    equal = np.where(c == 1, bits, sub(1, bits))
    less = np.where(c[:, n:] == 1, np.uint64(0), bits[:, n:])  # c_i < r_i
    while len(equal) > 1:  # index 0 is the lowest bit; a pair is (low, high)
        pairs = len(equal) // 2
        low, high = equal[: 2 * pairs : 2], equal[1 : 2 * pairs : 2]
        less_low, less_high = less[: 2 * pairs : 2], less[1 : 2 * pairs : 2]
        products = await multiply(
            rt, np.concatenate([high, high[:, n:]], axis=1), np.concatenate([low, less_low], axis=1), step
        )
        both, carried = products[:, : masked.size], products[:, masked.size :]
        equal = np.concatenate([both, equal[2 * pairs :]])
        less = np.concatenate([add(less_high, carried), less[2 * pairs :]])
    if not signs.size:
        return equal[0, :n], less[0]
    odd = await xor(rt, bits[0, n:], less[0], step)
    return equal[0, :n], np.where(c[0, n:] == 1, sub(1, odd), odd)


def zero_and_sign_cost(shape: Shape, zeros: int, signs: int) -> Cost:
    both = zeros + signs
    tree = reshare_cost(shape, (BITS - 1) * (both + signs))
    cost = random_bits_cost(shape, BITS * both) + open_cost(shape, both)
    cost += Cost(6, tree.elements, BITS // 2 * (both + signs))
    return cost + reshare_cost(shape, signs) if signs else cost
