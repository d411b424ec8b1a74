"""Quantiles of numbers that people have, as the interval of a public grid in which each lies.

Invariants: nothing is opened; sizes depend on public bounds only; all is exact, so the clear-text twin gives the same.

The quantile at p is the inverse of the empirical distribution: the least x with F(x) >= p, and for p = 0 the least x
that anybody has (Hyndman, Fan, "Sample quantiles in statistical packages", The American Statistician 50, 1996,
definition 1; NumPy's "inverted_cdf"). With C_k the people of a group up to and with interval k, and n all of them, it
lies in the first interval with 100 C_k >= 100 p n, or with C_k >= 1.

It is told iff the people of that interval are at least the minimum and, without any provider's, nobody or the minimum;
and those below it, and those above it, are each nobody (unless zero is small) or pass the same limits. So an interval
is told only where a histogram with three intervals, this one and what is below and above, could be shown as well; and
no provider learns of few people by letting its own stand where the quantile turns on them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.compare import all_of, all_of_cost, negative, negative_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits, kept, kept_clear, kept_cost
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

ALL = 100  # a probability is so many hundredths
_PARTS = 3  # of a group: who is in the interval, below it, above it
Counts = npt.NDArray[np.object_]


async def limited_quantiles(rt: "Engine", counts: Array, rows: int, at: Sequence[int], limits: Limits) -> Array:
    """Fresh shares of the interval of each quantile [G, A] (0 where it is not told), then of whether it is told [G, A],
    from the people of G groups in K intervals [1 + Q, G, K]: all of them, at most `rows`, and of the parts that
    somebody may take away. `at` are A probabilities in hundredths; of nobody there is no quantile, whatever `limits`
    say."""
    reached, up_to = await _reached(rt, counts[0], rows, at), _up_to(counts)
    here = sub(reached[..., :-1], reached[..., 1:])  # where the ones end
    inside, reached = (total(mul(here[None], part[:, :, None]), axis=3) for part in (counts, up_to))
    picked = await reshare(rt, np.stack([inside, reached]), "quantiles: around each")  # [2, 1 + P, G, A]
    inside, below = picked[0], sub(picked[1], picked[0])
    above = sub(up_to[..., -1:], picked[1])
    parts = np.stack([part.reshape(len(counts), -1) for part in (inside, below, above)])
    met, _ = await kept(rt, parts, rows, _enough(limits), lenient=_lenient(limits))
    cells = parts.shape[2]
    told = await to_field(rt, await all_of(rt, met, "quantiles: all parts"), cells, "quantiles: told")
    places = total(mul(here, np.arange(counts.shape[2], dtype=np.uint64)), axis=2).reshape(-1)
    return await reshare(rt, np.concatenate([mul(places, told), told]), "limits: fresh shares")


async def binned(rt: "Engine", counts: Array, rows: int, at: Sequence[int]) -> Array:
    """Shares [1 + P, A + 1, G] of people between A quantiles of everybody, from those by K intervals and G groups
    [1 + P, K, G]: whoever is in a quantile's interval stands below that edge. The edges stay shared."""
    reached = await _reached(rt, total(counts[0])[None], rows, at)
    upto = total(mul(reached[0, :, :-1], np.moveaxis(counts, 1, 2)[:, :, None]))  # [1 + P, G, A]
    upto = np.moveaxis(await reshare(rt, upto, "quantiles: up to each edge"), 2, 1)
    everybody = total(counts, axis=1)[:, None]
    ends = np.concatenate([upto, everybody], axis=1)
    return sub(ends, np.concatenate([np.zeros_like(everybody), upto], axis=1))


async def _reached(rt: "Engine", counts: Array, rows: int, at: Sequence[int]) -> Array:
    """Shares [G, A, K] of whether each quantile of people [G, K] lies in each interval or a later one: ones up to it,
    then zeros. Of nobody it may lie behind all of them."""
    up_to = _up_to(counts)
    everyone = up_to[:, -1:]
    short = [sub(mul(up_to, ALL), mul(everyone, p)) if p else sub(up_to, 1) for p in at]
    margins = np.stack(short, axis=1)
    planes = await negative(rt, margins.reshape(-1), _bits(rows), "quantiles: reached")
    before = (await to_field(rt, planes, margins.size, "quantiles: reached")).reshape(margins.shape)
    return np.concatenate([np.ones_like(before[..., :1]), before], axis=2)


def _up_to(counts: Array) -> Array:
    """Sums [..., K] over each interval and all before it. Local."""
    out = counts.copy()
    for interval in range(1, out.shape[-1]):
        out[..., interval] = add(out[..., interval - 1], out[..., interval])
    return out


def _enough(limits: Limits) -> Limits:
    """Of nobody there is no quantile."""
    return replace(limits, minimum=max(limits.minimum, 1), zero_is_small=True)


def _lenient(limits: Limits) -> int:
    """Of how many parts nobody is no small number: who is below and who is above."""
    return 0 if limits.zero_is_small and not limits.exact else _PARTS - 1


def _bits(rows: int) -> int:
    """What is compared is at least -ALL * rows and at most ALL * rows."""
    return (ALL * rows + 1).bit_length()


def limited_quantiles_clear(counts: Counts, at: Sequence[int], limits: Limits) -> list[int]:
    """Clear-text twin of `limited_quantiles`."""
    found = [_quantile_clear(own, p, limits) for own in np.moveaxis(counts, 1, 0) for p in at]
    return [0 if place is None else place for place in found] + [int(place is not None) for place in found]


def binned_clear(counts: Counts, at: Sequence[int]) -> Counts:
    """Clear-text twin of `binned`."""
    up_to = counts[0].sum(axis=1).cumsum()
    edges = [next(k for k, c in enumerate(up_to) if ALL * c >= p * up_to[-1]) for p in at]
    starts = [0, *(edge + 1 for edge in edges)]
    bins = [counts[:, low:high].sum(axis=1) for low, high in zip(starts, [*starts[1:], None], strict=True)]
    return np.stack(bins, axis=1)


def _quantile_clear(own: Counts, p: int, limits: Limits) -> int | None:
    """Of the people [1 + P, K] of one group."""
    up_to = own.cumsum(axis=1)
    place = next((k for k, c in enumerate(up_to[0]) if c and ALL * c >= p * up_to[0, -1]), None)
    if place is None:
        return None
    inside, reached, everyone = own[:, place], up_to[:, place], up_to[:, -1]
    table = np.stack([inside, reached - inside, everyone - reached], axis=1).tolist()
    lenient = [False] + [bool(_lenient(limits))] * (_PARTS - 1)
    told = [kept_clear(table[0], table[1:], _enough(limits), lenient=zero)[k] for k, zero in enumerate(lenient)]
    return place if all(told) else None


def limited_quantiles_cost(
    shape: Shape, n: int, groups: int, intervals: int, at: int, owners: int, limits: Limits
) -> Cost:
    """`owners`: P, 0 where limits do not ask whose people they are."""
    compared, cells = groups * at * intervals, groups * at
    out = negative_cost(shape, _bits(n), compared) + to_field_cost(shape, 1, compared)
    out += reshare_cost(shape, 2 * (1 + owners) * cells)
    out += kept_cost(shape, n, cells, owners, _enough(limits), _PARTS) + all_of_cost(shape, _PARTS, cells)
    return out + to_field_cost(shape, 1, cells) + reshare_cost(shape, 2 * cells)


def binned_cost(shape: Shape, n: int, intervals: int, groups: int, at: int, owners: int) -> Cost:
    """`owners`: P, 0 where limits do not ask whose people they are."""
    out = negative_cost(shape, _bits(n), at * intervals) + to_field_cost(shape, 1, at * intervals)
    return out + reshare_cost(shape, (1 + owners) * groups * at)
