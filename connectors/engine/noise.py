"""Noise that nobody knows, added to counts before limits: differential privacy under MPC.

Invariants: nothing is opened; sizes depend on public numbers only; the noise of a cell is uniform bits against the
public table of the parameters, and the bits are the XOR of what every provider put in, so they are uniform and unknown
to whoever lacks one provider's. Limits are on the noised count alone: one on exact parts of it, such as what one
provider has of a cell, would show something of them that no noise covers.

Sampling (Dwork, Kenthapadi, McSherry, Mironov, Naor, EUROCRYPT 2006, section 4): noise is the difference of two
geometric numbers, whose binary digits are independent coins. Each coin takes a word of 64 uniform bits, and is 1 if
that is a number below the coin's entry in the table (gateway/rules/noise.py makes it, with what is not ideal about it).
With n digits that is 2 n comparisons per cell with public numbers, in ceil(log2 64) rounds; then bits become field
elements. Cutting one uniform number at the steps of the whole distribution instead would
take a comparison per step: 177 instead of 16 for ε = 0.5, 8 872 instead of 28 for ε = 0.01.

Limits on the noised count x: it is shown if x >= minimum; x <= 0 is shown as 0 where zero may be shown; with a minimum
of 0 or 1 every x is shown as it is, below zero too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, invert, planes, words_for
from connectors.engine.compare import less_public, less_public_cost, to_bits, to_bits_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits, limited, limited_cost, rounded, rounded_cost
from connectors.engine.randomness import Stream
from connectors.engine.rows import WORD_BITS, Words
from connectors.engine.sharing import reshare, reshare_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


def noise_words(limits: Limits, cells: int) -> int:
    """How many words of uniform bits each provider puts in: none where there is no noise."""
    return 2 * len(limits.coins) * cells


def own_noise(seed: bytes, limits: Limits, order: Sequence[int]) -> Words:
    """A provider's words [noise_words] of uniform bits, expanded from a seed of 32 bytes. `order[cell]` is the place of
    a cell among all of them that does not depend on how the question was written, so that a question with its columns
    or lists in another order gets the same noise in the same cells.

    Whoever changes what comes of a seed changes the noise of questions that were answered: then their canonical form
    (gateway/rules/canonical.py) has to change with it, or their second draw is free.
    """
    drawn = Stream(seed).words(noise_words(limits, len(order)))
    return drawn.reshape(-1, len(order))[:, list(order)].reshape(-1)


async def settled(rt: "Engine", counts: Array, rows: int, limits: Limits, noise: Sequence[Array]) -> Array:
    """`limits.limited` of counts [1 + P, K], or, where there is noise, of the noised counts [1, K]: fresh shares of K
    values, then of K flags. `noise`: per provider shares [S, noise_words].
    """
    if not limits.coins:
        return await limited(rt, counts, rows, limits)
    cells = counts.shape[1]
    if not noise or any(share.shape[1] != noise_words(limits, cells) for share in noise):
        rt.abort(Abort.BAD_INPUT, "not every provider put in the bits that noise takes")
    noised = add(counts[0], await drawn(rt, noise, limits.coins, cells))
    if limits.exact:
        return await reshare(rt, np.concatenate([noised, np.ones_like(noised)]), "limits: fresh shares")
    size, most = words_for(cells), _most(limits)
    bits = await to_bits(rt, add(noised, most), _width(rows, limits), "limits: compare")
    # One comparison says both whether a count is small and whether it is not above zero.
    bounds = np.repeat([min(limits.minimum, rows + most + 1) + most, 1 + most], ROWS * size).astype(np.uint64)
    below = await less_public(
        rt, np.concatenate([bits, bits], axis=-1), planes(bounds[None], bits.shape[1]), "limits: compare"
    )
    shown = [not limits.zero_is_small or cell in limits.structural for cell in range(cells)]
    large = invert(rt, below[:, :size])
    kept = large ^ (below[:, size:] & planes(np.array([shown], dtype=np.uint64), 1))
    flags = await to_field(rt, np.stack([large, kept], axis=1), cells, "limits: suppress")
    values = mul(noised, flags[0])
    if limits.rounding > 1:
        values = await reshare(rt, values, "limits: suppress")
        values = await rounded(rt, values, rows + most, limits.rounding)
    return await reshare(rt, np.concatenate([values, flags[1]]), "limits: fresh shares")


async def drawn(rt: "Engine", noise: Sequence[Array], coins: Sequence[int], cells: int) -> Array:
    """Field shares [K] of one number for each cell: the difference of two geometric ones."""
    step, size = "noise: draw", words_for(cells)
    bits: Array = np.bitwise_xor.reduce(list(noise)).reshape(-1, 2 * len(coins), cells)
    rows = np.zeros((*bits.shape[:2], ROWS * size), dtype=np.uint64)  # whole words for each coin
    rows[..., :cells] = bits
    uniform = planes(rows.reshape(len(rows), 1, -1), WORD_BITS)
    table = planes(np.repeat(np.array([*coins, *coins], dtype=np.uint64), ROWS * size)[None], WORD_BITS)
    ones = await less_public(rt, uniform, table, step)
    digits = await to_field(rt, ones.reshape(len(rows), 2 * len(coins), size), cells, step)
    worth = [mul(sub(digits[j], digits[len(coins) + j]), 1 << j) for j in range(len(coins))]
    return total(np.stack(worth), axis=0)


def _most(limits: Limits) -> int:
    """No noise is further from zero."""
    return int((1 << len(limits.coins)) - 1)


def _width(rows: int, limits: Limits) -> int:
    """Bits of a noised count, lifted above zero, and of what it is compared with."""
    return (rows + 2 * _most(limits) + 1).bit_length()


def noise_clear(words: Sequence[Words], limits: Limits, cells: int) -> list[int]:
    """Clear-text twin of `drawn`: the noise of each cell from what each provider put in."""
    n = len(limits.coins)
    bits = np.bitwise_xor.reduce(list(words)).reshape(2, n, cells)
    ones = bits < np.array(limits.coins, dtype=np.uint64)[None, :, None]
    digits = ones.astype(np.int64) << np.arange(n)[None, :, None]
    return [int(number) for number in (digits[0] - digits[1]).sum(axis=0)]


def settled_clear(counts: Sequence[int], limits: Limits, noise: Sequence[int]) -> list[int]:
    """Clear-text twin of `settled`, where there is noise; values below zero as field elements."""
    noised = [count + by for count, by in zip(counts, noise, strict=True)]
    if limits.exact:
        return [x % P for x in noised] + [1] * len(noised)
    half = limits.rounding // 2
    values = [(x + half) // limits.rounding * limits.rounding if x >= limits.minimum else 0 for x in noised]
    shown = [not limits.zero_is_small or cell in limits.structural for cell in range(len(noised))]
    return values + [int(x >= limits.minimum or (x <= 0 and show)) for x, show in zip(noised, shown, strict=True)]


def settled_cost(shape: Shape, n: int, cells: int, providers: int, limits: Limits) -> Cost:
    if not limits.coins:
        return limited_cost(shape, n, cells, providers, limits)
    digits, rows = 2 * len(limits.coins), ROWS * words_for(cells)
    drawing = less_public_cost(shape, WORD_BITS, digits * rows) + to_field_cost(shape, digits, cells)
    out = drawing + reshare_cost(shape, 2 * cells)
    if limits.exact:
        return out
    width = _width(n, limits)
    out += to_bits_cost(shape, width, cells) + less_public_cost(shape, width, 2 * rows)
    out += to_field_cost(shape, 2, cells)
    if limits.rounding > 1:
        out += reshare_cost(shape, cells) + rounded_cost(shape, n + _most(limits), cells, limits.rounding)
    return out
