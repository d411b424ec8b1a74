"""Limits on cells, before anything is opened (DESIGN section 7).

Invariants: nothing is opened; sizes depend on public bounds only.

With c the people of a cell and c_p those of them with provider p, a cell is kept
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

from connectors.engine.bits import ROWS, invert, planes, words_for, xor_public
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
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.field import Array, add, combine, mul, sub
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


async def limited(rt: "Engine", counts: Array, rows: int, limits: Limits) -> Array:
    """Counts [1 + P, K] of cells and of their parts with each provider, all at most `rows` -> fresh shares of the K
    values (0 where suppressed, else rounded), then of the K flags (1 where kept).
    """
    cells = counts.shape[1]
    if limits.exact:
        return await reshare(rt, np.concatenate([counts[0], np.ones_like(counts[0])]), "limits: fresh shares")
    shown, _ = await kept(rt, counts[None], rows, limits)
    flags = await to_field(rt, shown[:, 0], cells, "limits: suppress")
    values = counts[0] if limits.rounding == 1 else await rounded(rt, counts[0], rows, limits.rounding)
    return await reshare(rt, np.concatenate([mul(values, flags), flags]), "limits: fresh shares")


async def kept(rt: "Engine", counts: Array, rows: int, limits: Limits, lenient: int = 0) -> tuple[Array, Array]:
    """Which cells the limits keep, and which are zero: two arrays of planes [S, G, W] of K cells, for the counts
    [G, 1 + P, K] of G tables of the same cells and of their parts with each provider, all at most `rows`. In the last
    `lenient` tables zero is no small number, whatever the limits say.
    """
    tables, amounts_each, cells = counts.shape
    most, size = (rows + 1).bit_length(), words_for(cells)
    amounts = in_words(np.concatenate([counts[:, :1], sub(counts[:, :1], counts[:, 1:])], axis=1))
    bits = await to_bits(rt, amounts.reshape(-1), most, "limits: compare")
    # One comparison says both whether an amount is small and whether it is zero.
    bounds = np.repeat(_constants([min(limits.minimum, rows + 1), 1], most), bits.shape[-1], axis=-1)
    public = xor_public(rt, np.zeros_like(bits[..., :1]), bounds)
    below = await less(rt, np.concatenate([bits, bits], axis=-1), public, "limits: compare")
    small, zero = np.moveaxis(below.reshape(len(below), 2, tables, amounts_each, size), 1, 0)
    rests = small[:, :, 1:] ^ zero[:, :, 1:]  # small and not zero, since zero is small
    failed = [small[:, :, :1], rests]
    if limits.dominates:
        margin = sub(mul(amounts[:, :1], limits.dominance), mul(sub(amounts[:, :1], amounts[:, 1:]), ALL))
        dominated = await negative(rt, margin.reshape(-1), dominance_bits(rows), "limits: dominance")
        failed.append(dominated.reshape(len(dominated), tables, amounts_each - 1, size))
    met = await none_of(rt, np.concatenate(failed, axis=2), "limits: combine")
    shown = [not limits.zero_is_small or cell in limits.structural for cell in range(cells)]
    shown_each = np.array([shown] * (tables - lenient) + [[True] * cells] * lenient, dtype=np.uint64)
    zeros = np.concatenate([planes(of_one[None], 1) for of_one in shown_each])
    return met ^ (zero[:, :, 0] & zeros), zero[:, :, 0]


async def all_kept(rt: "Engine", counts: Array, rows: int, limits: Limits, step: str) -> Array:
    """[1]: a field share of whether the limits keep all of the counts [1 + P, K], each as a table of one cell."""
    met, _ = await kept(rt, counts.T[:, :, None], rows, limits)
    return await to_field(rt, await all_of(rt, met, step), 1, step)


def in_words(amounts: Array) -> Array:
    """Amounts [..., K] in whole words of bits for each K: zeros come in at the end."""
    padding = -amounts.shape[-1] % ROWS
    return np.concatenate([amounts, np.zeros((*amounts.shape[:-1], padding), dtype=np.uint64)], axis=-1)


async def none_of(rt: "Engine", failed: Array, step: str) -> Array:
    """Planes [S, G, W] of where none of the conditions [S, G, C, W] failed."""
    shares, tables, conditions, size = failed.shape
    flat = np.moveaxis(failed, 2, 1).reshape(shares, conditions, tables * size)
    return (await all_of(rt, invert(rt, flat), step)).reshape(shares, tables, size)


async def rounded(rt: "Engine", counts: Array, rows: int, base: int) -> Array:
    """Shares [K] of counts, all at most `rows`, as multiples of `base`: the nearest, halves up."""
    return await floored(rt, add(counts, base // 2), rows + base // 2, base)


async def floored(rt: "Engine", x: Array, largest: int, base: int) -> Array:
    """Shares [K] of the multiples of `base` next below numbers that are at most `largest`."""
    at = _division(largest, base)
    bits = await to_bits(rt, mul(x, at.factor), at.product, "limits: round")
    quotient = await to_field(rt, bits[:, at.shift :], x.size, "limits: round")
    return combine([base << bit for bit in range(len(quotient))], quotient)


@dataclass(frozen=True, slots=True)
class _Division:
    """x // base is (factor * x) >> shift, for all x that are rounded; factor * x has `product` bits."""

    factor: int
    shift: int
    product: int


def _division(largest: int, base: int) -> _Division:
    shift = largest.bit_length() + levels(base)
    factor = (1 << shift) // base + 1
    # One bit more than the shift at least, so that there is a quotient, if it is always 0.
    return _Division(factor, shift, max((factor * largest).bit_length(), shift + 1))


def dominance_bits(rows: int) -> int:
    """What is compared, where nothing is above `rows`, is above -ALL * rows and at most ALL * rows."""
    return (ALL * rows + 1).bit_length()


def _constants(values: Sequence[int], bits: int) -> Array:
    """[bits, V] words: planes of public numbers, the same for all rows of a word."""
    ones = np.uint64(2**64 - 1)
    return np.array([[ones * (value >> bit & 1) for value in values] for bit in range(bits)], dtype=np.uint64)


def kept_clear(
    counts: Sequence[int], parts: Sequence[Sequence[int]], limits: Limits, *, lenient: bool = False
) -> list[bool]:
    """Clear-text twin of `kept`, for one table."""

    def keep(cell: int) -> bool:
        count = counts[cell]
        if limits.exact:
            return True
        if count == 0:
            return lenient or not limits.zero_is_small or cell in limits.structural
        mine = [part[cell] for part in parts]
        if any(ALL * part > limits.dominance * count for part in mine):
            return False
        return count >= limits.minimum and all(part == count or count - part >= limits.minimum for part in mine)

    return [keep(cell) for cell in range(len(counts))]


def limited_clear(counts: Sequence[int], parts: Sequence[Sequence[int]], limits: Limits) -> list[int]:
    """Clear-text twin of `limited`."""
    shown = kept_clear(counts, parts, limits)
    base = 1 if limits.exact else limits.rounding
    values = [(count + base // 2) // base * base for count in counts]
    return [value if k else 0 for value, k in zip(values, shown, strict=True)] + [int(k) for k in shown]


def kept_cost(shape: Shape, n: int, cells: int, providers: int, limits: Limits, tables: int = 1) -> Cost:
    width, each = (n + 1).bit_length(), tables * ROWS * words_for(cells)
    tests = to_bits_cost(shape, width, (1 + providers) * each) + less_cost(shape, width, 2 * (1 + providers) * each)
    if limits.dominates:
        tests += negative_cost(shape, dominance_bits(n), providers * each)
    return tests + all_of_cost(shape, 1 + (1 + limits.dominates) * providers, each)


def all_kept_cost(shape: Shape, n: int, cells: int, providers: int, limits: Limits) -> Cost:
    tests = kept_cost(shape, n, 1, providers, limits, cells)
    return tests + all_of_cost(shape, cells, 1) + to_field_cost(shape, 1, 1)


def rounded_cost(shape: Shape, n: int, cells: int, base: int) -> Cost:
    return floored_cost(shape, n + base // 2, cells, base)


def floored_cost(shape: Shape, largest: int, cells: int, base: int) -> Cost:
    at = _division(largest, base)
    return to_bits_cost(shape, at.product, cells) + to_field_cost(shape, at.product - at.shift, cells)


def limited_cost(shape: Shape, n: int, cells: int, providers: int, limits: Limits) -> Cost:
    fresh_shares = reshare_cost(shape, 2 * cells)
    if limits.exact:
        return fresh_shares
    tests = kept_cost(shape, n, cells, providers, limits)
    if limits.rounding > 1:
        tests += rounded_cost(shape, n, cells, limits.rounding)
    return tests + to_field_cost(shape, 1, cells) + fresh_shares
