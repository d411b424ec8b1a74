"""Oblivious radix sort of rows by keys whose digits their owners shared as one-hot columns.

Invariants: all that is opened are positions under a fresh uniform shuffle, hence uniform permutations if the
digits are one-hot, which the caller has checked; sizes are public.

Hamada, Ikarashi, Chida, Takahashi, ePrint 2014/121, and Chida et al. 2019 ("An efficient secure three-party
sorting protocol with an honest majority", ePrint 2019/695): a stable sort per digit, least significant first.
With the digit's columns h_v in the order so far, a row's destination is the inner product over v of h_v and
the running count of rows that go before (one re-sharing). Positions are kept for the rows in input order; for
each digit they are shuffled with the digit's columns and opened, and the shuffle is taken back on the new
positions. The last backward group is the first forward group, so it costs no round between two digits.

Rounds: 1 + 2 (D - 1) C(m,t) + C(m,t). `sort_cost` has the elements; about 13 N per digit and party at m = 3
and 3-bit digits.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array, add, mul, running, sub, total
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.shuffle import (
    Permutations,
    additive,
    backward,
    draw,
    forward,
    passes_cost,
    reveal_and_share,
    reveal_and_share_cost,
    sequence,
)
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


async def sort(rt: "Engine", digits: Array, payload: Array, step: str) -> Array:
    """The columns of `payload` [C, N] in the order of the keys; equal keys keep their order.

    digits: shares [D, 2^w - 1, N]; digits[d, v - 1] is 1 where digit d (0 the least significant) is v.
    """
    first, last = sequence(rt.shape)[0], sequence(rt.shape)[-1]
    where = additive(rt, await _positions(rt, digits[0], step), first)  # of the rows in input order
    for digit in digits[1:]:
        shuffle = draw(rt, digit.shape[1])
        order, ordered = await _apply(rt, where, digit, shuffle, step)
        positions = await _positions(rt, ordered, step)
        where = await backward(rt, additive(rt, positions[order], last), shuffle, step)
    _, ordered = await _apply(rt, where, payload, draw(rt, payload.shape[1]), step)
    return ordered


async def _apply(
    rt: "Engine", where: Array, columns: Array, shuffle: Permutations, step: str
) -> tuple[npt.NDArray[np.intp], Array]:
    """Puts `columns` in the order of the secret positions `where`; also returns the opened positions."""
    first = sequence(rt.shape)[0]
    rows = np.concatenate([where[None], additive(rt, columns, first)])
    rows = await forward(rt, rows, shuffle, step)
    # Opened: the destinations of shuffled rows. The shuffle is fresh and unknown to any t parties, and the
    # digits are one-hot (wellformed.py), so this is a uniform permutation whatever the keys are.
    shown, shuffled = await reveal_and_share(rt, rows[0], rows[1:], step)
    order = _permutation(rt, shown)
    ordered = np.empty_like(shuffled)
    ordered[:, order] = shuffled
    return order, ordered


async def _positions(rt: "Engine", columns: Array, step: str) -> Array:
    """Destinations 0..N-1 of a stable sort by one digit's columns [2^w - 1, N]. 1 round, t N elements."""
    one_hot = np.concatenate([sub(1, total(columns, axis=0))[None], columns])
    before = running(one_hot.reshape(-1)).reshape(one_hot.shape)  # this row's place, counted from 1, if it has digit v
    return await reshare(rt, total(mul(one_hot, add(before, np.full(1, P - 1, dtype=np.uint64))), axis=0), step)


def _permutation(rt: "Engine", shown: Array) -> npt.NDArray[np.intp]:
    """The opened destinations, which must be a permutation: other shares are not believed."""
    if not np.array_equal(np.sort(shown), np.arange(shown.size, dtype=np.uint64)):
        failure = SessionAborted(Abort.INCONSISTENT_SHARES, "opened positions are not a permutation")
        rt.fail(failure)
        raise failure
    return shown.astype(np.intp)


def sort_cost(shape: Shape, digits: int, width: int, columns: int, n: int) -> Cost:
    """Of n rows with `digits` digits of 2^width values, and `columns` columns of payload."""
    one_hot = 2**width - 1
    positions = reshare_cost(shape, n)

    def apply(payload: int) -> Cost:
        return passes_cost(shape, (1 + payload) * n) + reveal_and_share_cost(shape, n, payload * n)

    digit = apply(one_hot) + positions + passes_cost(shape, n)
    return positions + digit.times(digits - 1) + apply(columns)
