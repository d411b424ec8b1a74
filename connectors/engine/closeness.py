"""Whether numbers of one person, on the rows of several providers, lie close together.

Invariants: nothing is opened; sizes depend on public bounds only.

Each row is compared with the rows after it that may be of its person: of P providers these are the P - 1 next ones.
With numbers of B bits, later + (2^B - 1 - this), which is the later one plus the complement of this one, is their
difference lifted by 2^B - 1; it is within a span s if it is below 2^B + s and not below 2^B - 1 - s. As the second
implies the first, both together are the XOR of two comparisons with public numbers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.adders import sum_of, sum_of_cost
from connectors.engine.bits import ONES, ROWS, and_, and_cost, invert, words_for
from connectors.engine.compare import all_of, all_of_cost, less_public, less_public_cost
from connectors.engine.cost import Cost, Shape, in_blocks
from connectors.engine.field import Array
from connectors.engine.lanes import blocks, joined
from connectors.engine.linking import WORDS, ahead, both, both_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


async def close(
    rt: "Engine", numbers: Array, told: Array, same_next: Array, spans: Sequence[int], providers: int
) -> Array:
    """[S, K, W]: whether the number [S, B, W] of a row and that of a later row of its person differ by at most each of
    K spans. `told` [S, 1, W]: the row has a number; `same_next` [S, 1, W]: the next row is of the same person.
    2 + ceil(log2(P - 1)) rounds for who is one person, 2 + ceil(log2 B) for differences, ceil(log2(B + 1)) for spans,
    1 + ceil(log2(P - 1)) for pairs.
    """
    step, further = "closeness: pairs", range(1, providers)  # how many rows later
    count, width, _ = numbers.shape
    if not further:
        return np.zeros((count, len(spans), numbers.shape[-1]), dtype=np.uint64)
    later = np.stack([ahead(numbers, by) for by in further], axis=2)  # [S, B, P - 1, W]
    paired = await both(rt, await _one_person(rt, same_next, len(further)), told, step)
    paired = await both(rt, paired, np.concatenate([ahead(told, by) for by in further], axis=1), step)
    ends = _ends(spans, width)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        rows = len(further) * (stop - start)
        other = later[..., start:stop]
        this = np.broadcast_to(invert(lane, numbers[..., start:stop])[:, :, None], other.shape)
        a, b = (_with_zeros_above(x.reshape(count, width, rows)) for x in (other, this))
        lifted = await sum_of(lane, a, b, "closeness: differences")
        public = np.repeat(ends, rows, axis=1)
        below = await less_public(lane, np.tile(lifted, ends.shape[1]), public, "closeness: spans")
        below = below.reshape(count, 2, len(spans), len(further), stop - start)
        within = await and_(lane, below[:, 0] ^ below[:, 1], paired[:, None, :, start:stop], step)
        apart = np.moveaxis(invert(lane, within), 2, 1).reshape(count, len(further), -1)
        return invert(lane, await all_of(lane, apart, step)).reshape(count, len(spans), stop - start)

    return joined(await blocks(rt, numbers.shape[-1], _block(width, len(spans), providers), block))


def _ends(spans: Sequence[int], width: int) -> Array:
    """[B + 1, 2 K] words: planes of the first end of each span, and then of the second ones."""
    lift = (1 << width) - 1
    ends = [max(lift - span, 0) for span in spans] + [min(lift + span + 1, 2 * lift + 1) for span in spans]
    return np.array([[ONES * np.uint64(end >> bit & 1) for end in ends] for bit in range(width + 1)], dtype=np.uint64)


def _with_zeros_above(x: Array) -> Array:
    """Planes [S, B, W] with one more, of zeros."""
    return np.concatenate([x, np.zeros_like(x[:, :1])], axis=1)


async def _one_person(rt: "Engine", same_next: Array, most: int) -> Array:
    """[S, most, W]: whether the row 1, 2, ... later is of the same person. ceil(log2 most) rounds: from as far as is
    known already, as far again.
    """
    found = same_next
    while (reach := found.shape[1]) < most:
        beyond = ahead(found[:, : min(reach, most - reach)], reach)
        more = await both(rt, found[:, -1:], beyond, "closeness: rows of a person")
        found = np.concatenate([found, more], axis=1)
    return found


def _block(width: int, spans: int, providers: int) -> int:
    """Words in one lane."""
    return max(1, WORDS // ((1 + width) * 2 * spans * (providers - 1)))


def close_cost(shape: Shape, n: int, width: int, spans: int, providers: int) -> Cost:
    further, reach, out = providers - 1, 1, Cost()
    if not further:
        return out
    while reach < further:
        more = min(reach, further - reach)
        out += both_cost(shape, more, n)
        reach += more
    out += both_cost(shape, further, n).times(2)

    def block(words: int) -> Cost:
        pairs = ROWS * words * further
        cost = sum_of_cost(shape, width + 1, pairs) + less_public_cost(shape, width + 1, 2 * spans * pairs)
        return cost + and_cost(shape, spans * further * words) + all_of_cost(shape, further, ROWS * words * spans)

    return out + in_blocks(words_for(n), _block(width, spans, providers), block)
