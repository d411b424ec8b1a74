"""Linking the rows of several providers: which rows are one person's.

Invariants: sizes depend on public bounds only; nothing is opened but comparisons of shuffled rows (sort.py) and how
many rows of each provider are out of order (wellformed.py). A plane's
bits beyond the last row belong to rows of zeros, which are not real and count nowhere.

Check what providers shared (wellformed.py); sort by key; neighbours with equal keys are one person, on at most as many
rows as there are providers. A person is counted at the first of its rows, which is that of the first provider in the
contract's order that has the person. Keys of different providers may be equal, so below the key stand whether the row
is not real, and the provider's number: a row that is not real never comes before one that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, and_, and_cost, invert, planes, words_for, xor_public
from connectors.engine.compare import all_of, all_of_cost, equal, equal_cost
from connectors.engine.cost import Cost, Shape, in_blocks, levels
from connectors.engine.field import Array
from connectors.engine.lanes import blocks, joined
from connectors.engine.limits import Limits
from connectors.engine.rows import HEAD_BITS, KEY_BITS, WORD_BITS, InputRows
from connectors.engine.sort import sort, sort_cost
from connectors.engine.wellformed import ORDER, check_well_formed, well_formed_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

SORT = "linking: sort by key"
# The steps in which values are opened, and why they may be.
OPENS = {
    ORDER: "how many rows of each provider are out of order: none, or a number about the rows of whoever lies",
    SORT: "whether rows under a fresh shuffle are in order of unique keys, which a uniform permutation decides",
}
BLOCK = 1 << 10  # words of a plane in one lane, where keys are compared
WORDS = 1 << 16  # in one message of products of bits


@dataclass(frozen=True, slots=True)
class Linked:
    """Rows in the order of their keys, as planes [S, L, W]: whether a row is `real`, its `payload`, `providers` (whose
    row it is, if it is real; empty where it does not matter), whether the next row has the same key (`same_next`), and
    whether it is the `first` of its key.
    """

    real: Array
    payload: Array
    providers: Array
    same_next: Array
    first: Array


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in a row that is sorted, from its lowest bit: the provider's number, whether the row is not
    real, the key, whether it is real, the payload, and for each provider whether it is one of its real rows (where
    that matters).
    """

    providers: int
    payload: int
    owners: int

    @property
    def unreal(self) -> int:
        return levels(self.providers)

    @property
    def key(self) -> int:
        return self.unreal + 1

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
    return Layout(providers, payload, providers if limits.by_provider else 0)


async def link(
    rt: "Engine", inputs: Sequence[Array], payload: int, limits: Limits, noise: Sequence[Array] = ()
) -> Linked:
    """`inputs`: per provider shares [S, C, bound] of rows as `rows.pack` makes them, with `payload` bits of payload;
    `noise`: what else a provider put in [S, n], which is only checked here."""
    await check_well_formed(rt, inputs, noise)
    at = layout(payload, len(inputs), limits)
    rows = np.concatenate([_laid_out(rt, at, p, shares) for p, shares in enumerate(inputs)], axis=-1)
    flags = planes(await sort(rt, rows, at.real, SORT), at.bits)
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
    real = shares[:, 0] >> np.uint64(KEY_BITS) & np.uint64(1)
    _put(out, real, at.unreal)
    if at.owners:
        _put(out, real, at.owner + provider)
    number = np.zeros((at.words, 1), dtype=np.uint64)
    number[0] = provider | 1 << at.unreal
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
    """
    found, _ = await first_known(rt, flags, flags[:, :0], (), same_next, providers, step)
    return found


async def first_known(
    rt: "Engine", known: Array, told: Array, by: Sequence[int], same_next: Array, providers: int, step: str
) -> tuple[Array, Array]:
    """Facts that some rows of a key know: whether a row or a later one of its key knows a fact, from `known` [S, F, W],
    and what the first of these rows says of it, from `told` [S, V, W], where plane v is about fact `by[v]`. Where none
    knows it, what is told means nothing. 1 + ceil(log2(providers)) rounds, (2 F + V) t words a round.

    `known` covers the d rows from a row on, and `through` says that none of them knows the fact and all, with the next
    one, have one key; each step doubles d.
    """
    if providers < 2 or not known.shape[1]:
        return known, told
    facts, about = known.shape[1], list(by)
    through = await both(rt, invert(rt, known), same_next, step)
    for level in range(levels(providers)):
        known_, through_, told_ = (ahead(x, 1 << level) for x in (known, through, told))
        gates = np.concatenate([through, through, through[:, about]], axis=1)
        more = await both(rt, gates, np.concatenate([known_, through_, told ^ told_], axis=1), step)
        known, through, told = known ^ more[:, :facts], more[:, facts : 2 * facts], told ^ more[:, 2 * facts :]
    return known, told


async def every(rt: "Engine", x: Array, step: str) -> Array:
    """The AND [S, 1, W] of planes [S, L, W], L >= 1, in blocks. ceil(log2 L) rounds, L - 1 ANDs."""

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        return await all_of(lane, x[..., start:stop], step)

    return joined(await blocks(rt, x.shape[-1], BLOCK, block))[:, None]


def link_clear(providers: Sequence[InputRows]) -> list[dict[int, int]]:
    """Clear-text twin of `link`: for each person, the row number at each provider that has one, first
    provider first.
    """
    people: dict[int, dict[int, int]] = {}
    for p, rows in enumerate(providers):
        for i, key in enumerate(rows.keys):
            people.setdefault(key, {})[p] = i
    return list(people.values())


def link_cost(shape: Shape, n: int, payload: int, providers: int, limits: Limits) -> Cost:
    at = layout(payload, providers, limits)
    sorting = sort_cost(shape, at.words, n, at.real)
    return (
        well_formed_cost(shape, n, providers)
        + sorting
        + in_blocks(words_for(n), BLOCK, lambda words: equal_cost(shape, KEY_BITS, ROWS * words))
    )


def both_cost(shape: Shape, width: int, n: int) -> Cost:
    """Of planes [S, width, W] of n rows."""
    return in_blocks(words_for(n), max(1, WORDS // width), lambda words: and_cost(shape, width * words))


def spread_cost(shape: Shape, n: int, flags: int, providers: int) -> Cost:
    return first_known_cost(shape, n, flags, 0, providers)


def first_known_cost(shape: Shape, n: int, facts: int, told: int, providers: int) -> Cost:
    """Of `facts` facts, of which `told` planes say something."""
    if providers < 2 or not facts:
        return Cost()
    return both_cost(shape, facts, n) + both_cost(shape, 2 * facts + told, n).times(levels(providers))


def every_cost(shape: Shape, width: int, n: int) -> Cost:
    """Of planes [S, width, W] of n rows."""
    return in_blocks(words_for(n), BLOCK, lambda words: all_of_cost(shape, width, ROWS * words))
