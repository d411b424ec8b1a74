"""What the programs on tables share: counting people by cells, and adding up their numbers.

Invariants: sizes depend on public bounds only; nothing is opened.

The bits that say a row's cell are cut in two, both halves become one-hot columns over F_p, and counts are the inner
products of the columns of one half with those of the other, of which only the sums are shared again. Sums are the same
with the columns of one half times each row's number, or its square, which are products of shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.bits import ROWS, and_, and_cost, words_for
from connectors.engine.convert import demux, demux_cost, to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, in_blocks
from connectors.engine.field import Array, combine, inner_products, total
from connectors.engine.lanes import blocks
from connectors.engine.sharing import BLOCK as ELEMENTS
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class _Halves:
    """How the bits of a cell's number are cut: `low` bits and the rest, and which values of each half occur."""

    low: int
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    def columns(self, quantities: int, weights: int) -> int:
        return quantities * len(self.lows) + weights * len(self.highs)


def _halves(places: Sequence[int], bits: int, quantities: int, weights: int) -> _Halves:
    """The cut that makes the fewest columns; what is added up goes with the lower half, weights with the upper."""
    cuts = (
        _Halves(low, tuple(sorted({p & (1 << low) - 1 for p in places})), tuple(sorted({p >> low for p in places})))
        for low in range(min(1, bits), bits + 1)
    )
    return min(cuts, key=lambda halves: halves.columns(quantities, weights))


async def count_people(rt: "Engine", index: Array, places: Sequence[int], weights: Array, step: str) -> Array:
    """[V, K]: how many rows with each weight [S, V, W] have each number of `places` in their bits `index` [S, B, W]
    (lowest first). Rows with another number count nowhere.
    """
    (counts,) = await add_up(rt, index, places, weights, weights[:, :0], (), (), step)
    return np.asarray(counts)


async def add_up(
    rt: "Engine",
    index: Array,
    places: Sequence[int],
    weights: Array,
    digits: Array,
    numbers: Sequence[int],
    squared: Sequence[int],
    step: str,
) -> Array:
    """[1 + N + Q, V, K]: of the rows that `count_people` counts, how many there are, the sum of each of N numbers, and
    the sum of the squares of those that `squared` names by their index. `digits` [S, D, W] are the bits of all numbers,
    lowest first, number after number; `numbers` says how many each has. A product per row and square, and one for each
    number, square and value of the lower half.
    """
    quantities = 1 + len(numbers) + len(squared)
    halves = _halves(places, index.shape[1], quantities, weights.shape[1])
    low, high = len(halves.lows), weights.shape[1] * len(halves.highs)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        part, weighing = index[..., start:stop], weights[..., start:stop]
        lows = (await demux(lane, part[:, : halves.low], halves.lows[-1] + 1, step))[:, halves.lows]
        highs = weighing
        if halves.low < index.shape[1]:
            cells = (await demux(lane, part[:, halves.low :], halves.highs[-1] + 1, step))[:, halves.highs]
            highs = await and_(lane, weighing[:, :, None], cells[:, None], step)
            highs = highs.reshape(len(highs), -1, stop - start)
        bits = np.concatenate([lows, highs, digits[..., start:stop]], axis=1)
        columns = await to_field(lane, bits, ROWS * (stop - start), step)
        left, right = columns[:low], columns[low : low + high]
        if numbers:
            amounts = _amounts(columns[low + high :], numbers)
            if squared:
                roots = amounts[list(squared)]
                amounts = np.concatenate([amounts, await multiply(lane, roots, roots, step)])
            scaled = await multiply(lane, amounts[:, None], left[None], step)
            left = np.concatenate([left, scaled.reshape(-1, left.shape[1])])
        return inner_products(left, right)

    size = _block(halves.columns(quantities, weights.shape[1]) + sum(numbers))
    parts = np.stack(await blocks(rt, index.shape[-1], size, block))
    sums = await reshare(rt, total(parts, axis=0), step)  # [quantities lows, weights highs]
    sums = sums.reshape(quantities, low, weights.shape[1], len(halves.highs))
    mask = (1 << halves.low) - 1
    return np.stack(
        [sums[:, halves.lows.index(p & mask), :, halves.highs.index(p >> halves.low)] for p in places], axis=-1
    )


def _amounts(digits: Array, numbers: Sequence[int]) -> Array:
    """[N, n]: the numbers whose bits are digits [D, n], in the field. Local."""
    each = np.split(digits, np.cumsum(numbers)[:-1])
    return np.stack([combine([1 << bit for bit in range(len(number))], number) for number in each])


def _block(columns: int) -> int:
    """Words in one lane, in which there are no further lanes: as many as `to_field` takes at once."""
    return max(1, ELEMENTS // columns // ROWS)


def count_people_cost(shape: Shape, n: int, bits: int, places: Sequence[int], weights: int) -> Cost:
    return add_up_cost(shape, n, bits, places, weights, (), ())


def add_up_cost(
    shape: Shape,
    n: int,
    bits: int,
    places: Sequence[int],
    weights: int,
    numbers: Sequence[int],
    squared: Sequence[int],
) -> Cost:
    quantities = 1 + len(numbers) + len(squared)
    halves = _halves(places, bits, quantities, weights)
    low, high = len(halves.lows), weights * len(halves.highs)

    def block(words: int) -> Cost:
        cost = demux_cost(shape, halves.low, ROWS * words)
        if halves.low < bits:
            cost += demux_cost(shape, bits - halves.low, ROWS * words) + and_cost(shape, high * words)
        cost += to_field_cost(shape, low + high + sum(numbers), ROWS * words)
        for products in (len(squared), (quantities - 1) * low):
            cost += reshare_cost(shape, products * ROWS * words) if products else Cost()
        return cost

    adding = in_blocks(words_for(n), _block(halves.columns(quantities, weights) + sum(numbers)), block)
    return adding + reshare_cost(shape, quantities * low * high)
