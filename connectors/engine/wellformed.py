"""Whether what a provider shared is what its columns may hold, before anything is computed on it.

Invariants: a session goes on only if, for every provider, all columns are bits, each block of one-hot columns has at
most one 1 per row, nothing but the key stands in a row that is not real, and the shares lie on polynomials of degree
t (but for a chance below 2^-59 for each provider). Without that, a provider that deviates reads others' rows off the
sort's positions, or lifts a small cell over the minimum by rows that are nobody's.

All conditions are products that are zero; one random combination of them per provider is opened, with coefficients
that nobody knows before all parties have all inputs (as in Corrigan-Gibbs & Boneh, Prio, NSDI 2017, section 4, with
products by the parties instead of proofs). Coefficients are a_j b_i for column j and row i. 4 rounds, elements as
`well_formed_cost` has them.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array, add, dot, mul, sub, total
from connectors.engine.randomness import Stream
from connectors.engine.rows import DIGITS, KEY_COLUMNS, ONE_HOT
from connectors.engine.sharing import deal, dealt, due_from, open_, open_cost, reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

_SEED = 4  # elements
_AT_ONCE = 16  # columns, which bounds the memory for intermediate values
STEP = "linking: check inputs"


async def check_well_formed(rt: "Engine", inputs: Sequence[Array], blocks: Sequence[int]) -> None:
    """`inputs`: per provider [KEY_COLUMNS + C + 1, bound], the last column 1 for real rows; the first columns after
    the key are one-hot in blocks of these sizes. Raises SessionAborted.
    """
    drawn = await _random(rt, _SEED + len(inputs))
    # Opened: coins.
    seed = await open_(rt, drawn[:_SEED], STEP)
    coins = Stream(sha256(b"isthmus input check v1" + seed.astype("<u8").tobytes()).digest())
    combined = [_combined(matrix, blocks, coins) for matrix in inputs]
    wrong = await reshare(rt, np.array([products for products, _ in combined], dtype=np.uint64), STEP)
    masked = add(np.array([sums for _, sums in combined], dtype=np.uint64), drawn[_SEED:])
    # Opened: zeros, unless a provider deviated, and then a combination of its own rows alone; and sums under a
    # uniform mask each, to see that they have degree t.
    opened = await open_(rt, np.concatenate([wrong, masked]), STEP)
    bad = np.flatnonzero(opened[: len(inputs)])
    if bad.size:
        provider = int(bad[0])
        failure = SessionAborted(
            Abort.BAD_INPUT, f"provider {provider} shared rows that no program takes", Culprit("provider", provider)
        )
        rt.fail(failure)
        raise failure


def _combined(matrix: Array, blocks: Sequence[int], coins: Stream) -> tuple[np.uint64, np.uint64]:
    """This party's shares: of what has to be zero (degree 2t), and of a plain combination of all entries."""
    columns, n = matrix.shape
    sizes = (*[ONE_HOT] * DIGITS, *blocks)
    at_rows = coins.elements(n)
    at_bits, at_real, at_blocks, at_all = (coins.elements(k)[:, None] for k in (columns, columns, len(sizes), columns))
    at_real[:KEY_COLUMNS] = at_real[-1] = 0  # a row that is not real has a key, too
    products: Array = np.zeros(n, dtype=np.uint64)
    sums: Array = np.zeros(n, dtype=np.uint64)
    absent = sub(1, matrix[-1])
    for start in range(0, columns, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        bits = matrix[part]
        weights = add(mul(sub(1, bits), at_bits[part]), mul(absent[None], at_real[part]))
        products = add(products, total(mul(bits, weights), axis=0))
        sums = add(sums, total(mul(bits, at_all[part]), axis=0))
    ends = np.cumsum(sizes)
    ones = np.stack([total(matrix[end - size : end], axis=0) for end, size in zip(ends, sizes, strict=True)])
    products = add(products, total(mul(mul(ones, sub(1, ones)), at_blocks), axis=0))
    return np.uint64(dot(products, at_rows)), np.uint64(dot(sums, at_rows))


async def _random(rt: "Engine", n: int) -> Array:
    """Shares of n uniform elements that no t parties know: the sum of one of each party. 1 round.

    Each party, so that none can be known before every honest party has all inputs.
    """
    rt.advance()
    everyone = range(rt.m)
    sends, shares = deal(rt, rt.own.elements(n))
    received = await rt.exchange(sends, due_from(rt, everyone, n), STEP)
    for dealer in rt.peers:
        shares = add(shares, dealt(rt, dealer, n, received))
    return shares


def well_formed_cost(shape: Shape, providers: int) -> Cost:
    n = _SEED + providers
    coins = Cost(1, shape.m * shape.t * n, n) + open_cost(shape, _SEED)
    return coins + reshare_cost(shape, providers) + open_cost(shape, 2 * providers)
