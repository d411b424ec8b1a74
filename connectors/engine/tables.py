"""What the programs on tables share: linking rows of several providers, counting people by cells, and limits on cells
before anything is opened.

Invariants: sizes depend on public bounds only; no key, count or flag is opened, but comparisons of shuffled rows
(sort.py). A plane's bits beyond the last row belong to rows of zeros, which are not real and count nowhere.

Linking: check what providers shared (wellformed.py); sort by key; neighbours with equal keys are one person, on at
most as many rows as there are providers. A person is counted at the first of its rows, which is that of the first
provider in the contract's order. Keys of different providers may be equal, so they are sorted with the provider's
number below the key.

Counting: the bits that say a row's cell are cut in two, both halves become one-hot columns over F_p, and counts are
the inner products of the columns of one half with those of the other, of which only the sums are shared again.

Limits (DESIGN section 7): with c the people of a cell and c_p those of them with provider p, a cell is kept
iff c = 0 (where zero may be shown), or c >= minimum and for every p the rest c - c_p is 0 or >= minimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, and_, and_cost, invert, planes, words_for, xor_public
from connectors.engine.compare import (
    all_of,
    all_of_cost,
    equal,
    equal_cost,
    less,
    less_cost,
    to_bits,
    to_bits_cost,
)
from connectors.engine.convert import demux, demux_cost, to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, in_blocks, levels
from connectors.engine.field import Array, inner_products, mul, sub, total
from connectors.engine.lanes import blocks, joined
from connectors.engine.rows import HEAD_BITS, KEY_BITS, WORD_BITS, InputRows
from connectors.engine.sharing import BLOCK as ELEMENTS
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.sort import sort, sort_cost
from connectors.engine.wellformed import check_well_formed, well_formed_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

BLOCK = 1 << 10  # words of a plane in one lane, where keys are compared
WORDS = 1 << 16  # in one message of products of bits


@dataclass(frozen=True, slots=True)
class Limits:
    """Minimum cell (0 or 1: exact release), whether zero counts as small, and the cells that are zero by
    their codes.
    """

    minimum: int
    zero_is_small: bool = False
    structural: frozenset[int] = frozenset()

    @property
    def exact(self) -> bool:
        return self.minimum <= 1


@dataclass(frozen=True, slots=True)
class Linked:
    """Rows in the order of their keys, as planes [S, L, W]: whether a row is `real`, its `payload`, `providers` (whose
    row it is, if it is real; empty for an exact release), whether the next row has the same key (`same_next`), and
    whether it is the `first` of its key.
    """

    real: Array
    payload: Array
    providers: Array
    same_next: Array
    first: Array


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in a row that is sorted, from its lowest bit: the provider's number, the key, whether the row
    is real, the payload, and for each provider whether it is one of its real rows (unless release is exact).
    """

    providers: int
    payload: int
    owners: int

    @property
    def key(self) -> int:
        return levels(self.providers)

    @property
    def real(self) -> int:
        return self.key + KEY_BITS

    @property
    def owner(self) -> int:
        return self.real + 1 + self.payload

    @property
    def bits(self) -> int:
        return self.owner + self.owners

    @property
    def words(self) -> int:
        return words_for(self.bits)


def layout(payload: int, providers: int, limits: Limits) -> Layout:
    return Layout(providers, payload, 0 if limits.exact else providers)


async def link(rt: "Engine", inputs: Sequence[Array], payload: int, limits: Limits) -> Linked:
    """`inputs`: per provider shares [S, C, bound] of rows as `rows.pack` makes them, with `payload` bits of payload."""
    await check_well_formed(rt, inputs)
    at = layout(payload, len(inputs), limits)
    rows = np.concatenate([_laid_out(rt, at, p, shares) for p, shares in enumerate(inputs)], axis=-1)
    flags = planes(await sort(rt, rows, at.real, "linking: sort by key"), at.bits)
    key = flags[:, at.key : at.real]
    following = ahead(key, 1)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        return await equal(lane, key[..., start:stop], following[..., start:stop], "linking: equal neighbours")

    same_next = joined(await blocks(rt, key.shape[-1], BLOCK, block))[:, None]
    return Linked(
        real=flags[:, at.real : at.real + 1],
        payload=flags[:, at.real + 1 : at.owner],
        providers=flags[:, at.owner :],
        same_next=same_next,
        first=invert(rt, _behind(same_next)),
    )


def _laid_out(rt: "Engine", at: Layout, provider: int, shares: Array) -> Array:
    """A provider's rows [S, C, n] as `Layout` has them; local. What stands above the payload is cut off."""
    shares = shares.copy()
    shares[:, -1] &= np.uint64((1 << (HEAD_BITS + at.payload - WORD_BITS * (shares.shape[1] - 1))) - 1)
    out = np.zeros((len(shares), at.words, shares.shape[-1]), dtype=np.uint64)
    for column in range(shares.shape[1]):
        _put(out, shares[:, column], at.key + WORD_BITS * column)
    if at.owners:
        _put(out, shares[:, 0] >> np.uint64(KEY_BITS) & np.uint64(1), at.owner + provider)
    number = np.zeros((at.words, 1), dtype=np.uint64)
    number[0] = provider
    return xor_public(rt, out, number)


def _put(out: Array, values: Array, bit: int) -> None:
    """XORs words into rows [S, C, n] from a bit on; what does not fit is zero."""
    column, by = divmod(bit, WORD_BITS)
    out[:, column] ^= values << np.uint64(by)
    if by and column + 1 < out.shape[1]:
        out[:, column + 1] ^= values >> np.uint64(WORD_BITS - by)


def ahead(x: Array, rows: int) -> Array:
    """Planes whose row i is row i + `rows` of x; zeros come in at the end."""
    skipped, by = divmod(rows, ROWS)
    out = np.zeros_like(x)
    kept = x[..., skipped:]
    out[..., : kept.shape[-1]] = kept >> np.uint64(by)
    if by and kept.shape[-1] > 1:
        out[..., : kept.shape[-1] - 1] |= kept[..., 1:] << np.uint64(ROWS - by)
    return out


def _behind(x: Array) -> Array:
    """Planes whose row i is row i - 1 of x; a zero comes in at the front."""
    out = x << np.uint64(1)
    out[..., 1:] |= x[..., :-1] >> np.uint64(ROWS - 1)
    return out


async def both(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """x & y, for planes with broadcasting, in blocks. 1 round."""
    wide = max(x.shape[1], y.shape[1])

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        return await and_(lane, x[..., start:stop], y[..., start:stop], step)

    return joined(await blocks(rt, x.shape[-1], max(1, WORDS // wide), block))


async def spread(rt: "Engine", flags: Array, same_next: Array, providers: int, step: str) -> Array:
    """The OR of each flag [S, F, W] over a row and the later rows of its key, of which there are up to `providers` in
    all. 1 + ceil(log2(providers)) rounds, 2 F t words a round.

    `found` covers the d rows from a row on, and `through` says that none of them has the flag and all, with the next
    one, have one key; each step doubles d.
    """
    if providers < 2 or not flags.shape[1]:
        return flags
    found, through = flags, await both(rt, invert(rt, flags), same_next, step)
    for level in range(levels(providers)):
        further = np.concatenate([ahead(found, 1 << level), ahead(through, 1 << level)], axis=1)
        more = await both(rt, np.concatenate([through, through], axis=1), further, step)
        found, through = found ^ more[:, : flags.shape[1]], more[:, flags.shape[1] :]
    return found


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
    values (0 where suppressed), then of the K flags (1 where kept).
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
    met = await all_of(rt, invert(rt, np.concatenate([small[:, :1], rests], axis=1)), "limits: combine")
    shown = [not limits.zero_is_small or cell in limits.structural for cell in range(cells)]
    kept = met ^ (zero[:, 0] & planes(np.array([shown], dtype=np.uint64), 1))
    flags = await to_field(rt, kept, cells, "limits: suppress")
    return await reshare(rt, np.concatenate([mul(counts[0], flags), flags]), "limits: fresh shares")


def _constants(values: Sequence[int], bits: int) -> Array:
    """[bits, V] words: planes of public numbers, the same for all rows of a word."""
    ones = np.uint64(2**64 - 1)
    return np.array([[ones * (value >> bit & 1) for value in values] for bit in range(bits)], dtype=np.uint64)


def link_clear(providers: Sequence[InputRows]) -> list[dict[int, int]]:
    """Clear-text twin of `link`: for each person, the row number at each provider that has one, first
    provider first.
    """
    people: dict[int, dict[int, int]] = {}
    for p, rows in enumerate(providers):
        for i, key in enumerate(rows.keys):
            people.setdefault(key, {})[p] = i
    return list(people.values())


def limited_clear(counts: Sequence[int], parts: Sequence[Sequence[int]], limits: Limits) -> list[int]:
    """Clear-text twin of `limited`."""

    def keep(cell: int) -> bool:
        count = counts[cell]
        if limits.exact:
            return True
        if count == 0:
            return not limits.zero_is_small or cell in limits.structural
        rests = [count - part[cell] for part in parts]
        return count >= limits.minimum and all(rest == 0 or rest >= limits.minimum for rest in rests)

    kept = [keep(cell) for cell in range(len(counts))]
    return [count if k else 0 for count, k in zip(counts, kept, strict=True)] + [int(k) for k in kept]


def link_cost(shape: Shape, n: int, payload: int, providers: int, limits: Limits) -> Cost:
    at = layout(payload, providers, limits)
    sorting = sort_cost(shape, at.words, n, at.real)
    return (
        well_formed_cost(shape, providers)
        + sorting
        + in_blocks(words_for(n), BLOCK, lambda words: equal_cost(shape, KEY_BITS, ROWS * words))
    )


def both_cost(shape: Shape, width: int, n: int) -> Cost:
    """Of planes [S, width, W] of n rows."""
    return in_blocks(words_for(n), max(1, WORDS // width), lambda words: and_cost(shape, width * words))


def spread_cost(shape: Shape, n: int, flags: int, providers: int) -> Cost:
    if providers < 2 or not flags:
        return Cost()
    return both_cost(shape, flags, n) + both_cost(shape, 2 * flags, n).times(levels(providers))


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


def limited_cost(shape: Shape, n: int, cells: int, providers: int, limits: Limits) -> Cost:
    fresh_shares = reshare_cost(shape, 2 * cells)
    if limits.exact:
        return fresh_shares
    width, amounts = (n + 1).bit_length(), (1 + providers) * ROWS * words_for(cells)
    tests = to_bits_cost(shape, width, amounts) + less_cost(shape, width, 2 * amounts)
    return tests + all_of_cost(shape, 1 + providers, cells) + to_field_cost(shape, 1, cells) + fresh_shares
