"""What the programs on tables share: counting people by cells, and limits on cells before anything is opened.

Invariants: sizes depend on public bounds only; nothing is opened.

Counting: the bits that say a row's cell are cut in two, both halves become one-hot columns over F_p, and counts are
the inner products of the columns of one half with those of the other, of which only the sums are shared again.

Limits (DESIGN section 7): with c the people of a cell and c_p those of them with provider p, a cell is kept
iff c = 0 (where zero may be shown), or c >= minimum and for every p the rest c - c_p is 0 or >= minimum, and no
provider dominates it: 100 c_p <= dominance c, the (1, k) rule (Hundepool et al., "Statistical Disclosure Control",
2012, section 4.2.1), with the providers as contributors.

Rounding: what is kept comes out as the nearest multiple of a base r, halves up. For x < 2^N and 2^l >= r,
floor(x / r) = floor(M x / 2^(N + l)) with M = floor(2^(N + l) / r) + 1 (Granlund, Montgomery, PLDI 1994, theorem 4.2):
a product with a public number, of which the upper bits are wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, and_, and_cost, invert, planes, words_for, xor_public
from connectors.engine.compare import (
    all_of,
    all_of_cost,
    less,
    less_cost,
    negative,
    negative_cost,
    to_bits,
    to_bits_cost,
)
from connectors.engine.convert import demux, demux_cost, to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, in_blocks, levels
from connectors.engine.field import Array, add, inner_products, mul, sub, total
from connectors.engine.lanes import blocks
from connectors.engine.sharing import BLOCK as ELEMENTS
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


ALL = 100  # percent


@dataclass(frozen=True, slots=True)
class Limits:
    """Minimum cell (0 or 1: exact release, with no limit at all), whether zero counts as small, the cells that are
    zero by their codes, the percentage of a cell that one provider may have (100: any), what counts are rounded to
    multiples of (1: nothing), and the table of coins for noise (empty: none; noise.py has the limits with it).
    """

    minimum: int
    zero_is_small: bool = False
    structural: frozenset[int] = frozenset()
    dominance: int = ALL
    rounding: int = 1
    coins: tuple[int, ...] = ()

    @property
    def exact(self) -> bool:
        return self.minimum <= 1

    @property
    def by_provider(self) -> bool:
        """Whether it matters what each provider has of a cell."""
        return not self.exact and not self.coins

    @property
    def dominates(self) -> bool:
        """Whether a provider may have too much of a cell."""
        return self.dominance < ALL


@dataclass(frozen=True, slots=True)
class _Halves:
    """How the bits of a cell's number are cut: `low` bits and the rest, and which values of each half occur."""

    low: int
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    def columns(self, weights: int) -> int:
        return len(self.lows) + weights * len(self.highs)


def _halves(places: Sequence[int], bits: int, weights: int) -> _Halves:
    """The cut that makes the fewest columns; the weights go with the upper half."""
    cuts = (
        _Halves(low, tuple(sorted({p & (1 << low) - 1 for p in places})), tuple(sorted({p >> low for p in places})))
        for low in range(min(1, bits), bits + 1)
    )
    return min(cuts, key=lambda halves: halves.columns(weights))


async def count_people(rt: "Engine", index: Array, places: Sequence[int], weights: Array, step: str) -> Array:
    """[V, K]: how many rows with each weight [S, V, W] have each number of `places` in their bits `index` [S, B, W]
    (lowest first). Rows with another number count nowhere.
    """
    halves = _halves(places, index.shape[1], weights.shape[1])

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        part, weighing = index[..., start:stop], weights[..., start:stop]
        lows = (await demux(lane, part[:, : halves.low], halves.lows[-1] + 1, step))[:, halves.lows]
        highs = weighing
        if halves.low < index.shape[1]:
            cells = (await demux(lane, part[:, halves.low :], halves.highs[-1] + 1, step))[:, halves.highs]
            highs = await and_(lane, weighing[:, :, None], cells[:, None], step)
            highs = highs.reshape(len(highs), -1, stop - start)
        columns = await to_field(lane, np.concatenate([lows, highs], axis=1), ROWS * (stop - start), step)
        return inner_products(columns[: lows.shape[1]], columns[lows.shape[1] :])

    size = _block(halves, weights.shape[1])
    parts = np.stack(await blocks(rt, index.shape[-1], size, block))
    sums = await reshare(rt, total(parts, axis=0), step)  # [lows, V highs]
    sums = sums.reshape(len(halves.lows), weights.shape[1], len(halves.highs))
    mask = (1 << halves.low) - 1
    return np.stack(
        [sums[halves.lows.index(p & mask), :, halves.highs.index(p >> halves.low)] for p in places], axis=-1
    )


def _block(halves: _Halves, weights: int) -> int:
    """Words in one lane, in which there are no further lanes: as many as `to_field` takes at once."""
    return max(1, ELEMENTS // halves.columns(weights) // ROWS)


async def limited(rt: "Engine", counts: Array, rows: int, limits: Limits) -> Array:
    """Counts [1 + P, K] of cells and of their parts with each provider, all at most `rows` -> fresh shares of the K
    values (0 where suppressed, else rounded), then of the K flags (1 where kept).
    """
    cells = counts.shape[1]
    if limits.exact:
        return await reshare(rt, np.concatenate([counts[0], np.ones_like(counts[0])]), "limits: fresh shares")
    most, size = (rows + 1).bit_length(), words_for(cells)
    amounts = np.zeros((len(counts), ROWS * size), dtype=np.uint64)  # whole words of bits for each provider
    amounts[:, :cells] = np.concatenate([counts[:1], sub(counts[:1], counts[1:])])
    bits = await to_bits(rt, amounts.reshape(-1), most, "limits: compare")
    # One comparison says both whether an amount is small and whether it is zero.
    bounds = np.repeat(_constants([min(limits.minimum, rows + 1), 1], most), bits.shape[-1], axis=-1)
    public = xor_public(rt, np.zeros_like(bits[..., :1]), bounds)
    below = await less(rt, np.concatenate([bits, bits], axis=-1), public, "limits: compare")
    small, zero = np.split(below.reshape(len(below), 2 * len(counts), size), 2, axis=1)
    rests = small[:, 1:] ^ zero[:, 1:]  # small and not zero, since zero is small
    failed = [small[:, :1], rests]
    if limits.dominates:
        margin = sub(mul(amounts[:1], limits.dominance), mul(sub(amounts[:1], amounts[1:]), ALL))
        dominated = await negative(rt, margin.reshape(-1), _dominance_bits(rows), "limits: dominance")
        failed.append(dominated.reshape(len(dominated), len(margin), size))
    met = await all_of(rt, invert(rt, np.concatenate(failed, axis=1)), "limits: combine")
    shown = [not limits.zero_is_small or cell in limits.structural for cell in range(cells)]
    kept = met ^ (zero[:, 0] & planes(np.array([shown], dtype=np.uint64), 1))
    flags = await to_field(rt, kept, cells, "limits: suppress")
    values = counts[0] if limits.rounding == 1 else await rounded(rt, counts[0], rows, limits.rounding)
    return await reshare(rt, np.concatenate([mul(values, flags), flags]), "limits: fresh shares")


async def rounded(rt: "Engine", counts: Array, rows: int, base: int) -> Array:
    """Shares [K] of counts, all at most `rows`, as multiples of `base`: the nearest, halves up."""
    at = _division(rows, base)
    bits = await to_bits(rt, mul(add(counts, base // 2), at.factor), at.product, "limits: round")
    quotient = await to_field(rt, bits[:, at.shift :], counts.size, "limits: round")
    worth = [mul(quotient[bit], base << bit) for bit in range(len(quotient))]
    return total(np.stack(worth), axis=0)


@dataclass(frozen=True, slots=True)
class _Division:
    """x // base is (factor * x) >> shift, for all x that are rounded; factor * x has `product` bits."""

    factor: int
    shift: int
    product: int


def _division(rows: int, base: int) -> _Division:
    largest = rows + base // 2
    shift = largest.bit_length() + levels(base)
    factor = (1 << shift) // base + 1
    # One bit more than the shift at least, so that there is a quotient, if it is always 0.
    return _Division(factor, shift, max((factor * largest).bit_length(), shift + 1))


def _dominance_bits(rows: int) -> int:
    """What is compared is above -ALL * rows and at most ALL * rows."""
    return (ALL * rows + 1).bit_length()


def _constants(values: Sequence[int], bits: int) -> Array:
    """[bits, V] words: planes of public numbers, the same for all rows of a word."""
    ones = np.uint64(2**64 - 1)
    return np.array([[ones * (value >> bit & 1) for value in values] for bit in range(bits)], dtype=np.uint64)


def limited_clear(counts: Sequence[int], parts: Sequence[Sequence[int]], limits: Limits) -> list[int]:
    """Clear-text twin of `limited`."""

    def keep(cell: int) -> bool:
        count = counts[cell]
        if limits.exact:
            return True
        if count == 0:
            return not limits.zero_is_small or cell in limits.structural
        mine = [part[cell] for part in parts]
        if any(ALL * part > limits.dominance * count for part in mine):
            return False
        return count >= limits.minimum and all(part == count or count - part >= limits.minimum for part in mine)

    kept = [keep(cell) for cell in range(len(counts))]
    base = 1 if limits.exact else limits.rounding
    values = [(count + base // 2) // base * base for count in counts]
    return [value if k else 0 for value, k in zip(values, kept, strict=True)] + [int(k) for k in kept]


def count_people_cost(shape: Shape, n: int, bits: int, places: Sequence[int], weights: int) -> Cost:
    halves = _halves(places, bits, weights)
    highs = weights * len(halves.highs)

    def block(words: int) -> Cost:
        cost = demux_cost(shape, halves.low, ROWS * words)
        if halves.low < bits:
            cost += demux_cost(shape, bits - halves.low, ROWS * words) + and_cost(shape, highs * words)
        return cost + to_field_cost(shape, len(halves.lows) + highs, ROWS * words)

    counting = in_blocks(words_for(n), _block(halves, weights), block)
    return counting + reshare_cost(shape, len(halves.lows) * highs)


def rounded_cost(shape: Shape, n: int, cells: int, base: int) -> Cost:
    at = _division(n, base)
    return to_bits_cost(shape, at.product, cells) + to_field_cost(shape, at.product - at.shift, cells)


def limited_cost(shape: Shape, n: int, cells: int, providers: int, limits: Limits) -> Cost:
    fresh_shares = reshare_cost(shape, 2 * cells)
    if limits.exact:
        return fresh_shares
    width, amounts = (n + 1).bit_length(), (1 + providers) * ROWS * words_for(cells)
    tests = to_bits_cost(shape, width, amounts) + less_cost(shape, width, 2 * amounts)
    if limits.dominates:
        tests += negative_cost(shape, _dominance_bits(n), providers * ROWS * words_for(cells))
    if limits.rounding > 1:
        tests += rounded_cost(shape, n, cells, limits.rounding)
    conditions = 1 + (1 + limits.dominates) * providers
    return tests + all_of_cost(shape, conditions, cells) + to_field_cost(shape, 1, cells) + fresh_shares
