"""Bootstrap intervals that carry the uncertainty of the selection: each resampled table selects its model anew.

A replicate draws as many people as were observed, with replacement, which is a multinomial draw over the
cells. All models see the same replicates, drawn from the seed alone: the same seed and table give the same
intervals, whichever models stand beside. Silverman, Chan & Vincent, Statistics and Computing 34:44 (2024),
section 2; Chan, Silverman & Vincent, JASA 116 (2021), section 3.3; BCa: Efron, JASA 82 (1987), sections 2-4.

Invariant: a replicate without an estimate is counted and said, and takes part in no interval; where they
are more than a tenth, no interval is given, since its ends would then rest on what was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from gateway.client.estimates.designs import Floats
from gateway.client.estimates.loglinear import Loglinear
from gateway.client.estimates.result import Bootstrap, Interval
from gateway.client.estimates.selection import SELECT_AGAIN, Refused
from gateway.client.estimates.table import OverlapTable

TAILS: Floats = np.array([0.025, 0.975])
MOST_REFUSED = 0.1


@dataclass(frozen=True, slots=True)
class Resampling:
    """How many tables are drawn, and from which seed of NumPy's default generator."""

    replicates: int
    seed: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """BCa's two numbers; None where all replicates lie on one side, or a left-out person leaves no estimate."""

    bias: float | None
    acceleration: float | None


def bootstrap(
    table: OverlapTable,
    chosen: Mapping[str, tuple[float, frozenset[str]]],
    how: Resampling,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Bootstrap]:
    """Per model of `chosen`, which carries the point and the terms that `table` itself gives.

    `tick` is called once per table that is fitted, of which there are `tables(table, how)`.
    """
    counts: Floats = np.array(table.counts, dtype=np.float64)
    draws = np.random.default_rng(how.seed).multinomial(table.observed, counts / counts.sum(), size=how.replicates)
    points = {model: np.full(how.replicates, np.nan) for model in chosen}
    same = dict.fromkeys(chosen, 0)
    for number, drawn in enumerate(draws):
        for model, (point, terms) in _fitted(replace(table, counts=tuple(drawn.tolist())), chosen).items():
            points[model][number] = point
            same[model] += terms == chosen[model][1]
        tick()
    occupied = [cell for cell, count in enumerate(table.counts) if count]
    without = {model: np.full(len(occupied), np.nan) for model in chosen}
    for number, cell in enumerate(occupied):
        rest = tuple(count - (index == cell) for index, count in enumerate(table.counts))
        if any(rest):
            for model, (point, _) in _fitted(replace(table, counts=rest), chosen).items():
                without[model][number] = point
        tick()
    weights = counts[occupied]
    return {
        model: _summary(how, points[model], same[model], adjustment(points[model], point, without[model], weights))
        for model, (point, _) in chosen.items()
    }


def tables(table: OverlapTable, how: Resampling) -> int:
    """How many tables a bootstrap fits: the replicates, and one per occupied cell for the jackknife."""
    return how.replicates + sum(1 for count in table.counts if count)


def _fitted(table: OverlapTable, models: Mapping[str, object]) -> dict[str, tuple[float, frozenset[str]]]:
    """Point and terms under each model; without those that this table refuses."""
    loglinear = Loglinear(table)
    made = {}
    for model in models:
        try:
            fit, _ = SELECT_AGAIN[model](loglinear)
        except Refused:
            continue
        made[model] = (fit.point, frozenset(map(loglinear.name, fit.pairs)))
    return made


def adjustment(replicates: Floats, point: float, without: Floats, weights: Floats) -> Adjustment:
    """Efron's bias z0, ties counted half, and acceleration a from the jackknife.

    `without[c]` is the estimate without one person of cell c; as many people as `weights[c]` would give it.
    NaN where there is none.
    """
    made = replicates[~np.isnan(replicates)]
    below = (np.count_nonzero(made < point) + np.count_nonzero(made <= point)) / 2
    bias = float(ndtri(below / len(made))) if 0 < below < len(made) else None
    if np.isnan(without).any():
        return Adjustment(bias, None)
    influence = np.average(without, weights=weights) - without
    spread = float(weights @ influence**2)
    return Adjustment(bias, float(weights @ influence**3) / (6 * spread**1.5) if spread > 0 else 0.0)


def bca(replicates: Floats, adjusted: Adjustment) -> Interval | None:
    """The percentiles that bias and acceleration move the tails to (Efron 1987, equation 3.9)."""
    if adjusted.bias is None or adjusted.acceleration is None:
        return None
    shifted = adjusted.bias + ndtri(TAILS)
    scale = 1 - adjusted.acceleration * shifted
    return _between(replicates, ndtr(adjusted.bias + shifted / scale)) if (scale > 0).all() else None


def _between(replicates: Floats, tails: Floats) -> Interval:
    """By type 8 of Hyndman & Fan, as the authors of the method take it."""
    lo, hi = np.quantile(replicates, tails, method="median_unbiased")
    return Interval(float(lo), float(hi))


def _summary(how: Resampling, points: Floats, same: int, adjusted: Adjustment) -> Bootstrap:
    made = points[~np.isnan(points)]
    enough = len(points) - len(made) <= MOST_REFUSED * len(points)
    return Bootstrap(
        replicates=how.replicates,
        seed=how.seed,
        refused=len(points) - len(made),
        same_terms=same / max(1, len(made)),
        percentile=_between(made, TAILS) if enough else None,
        bca=bca(made, adjusted) if enough else None,
        bias=adjusted.bias,
        acceleration=adjusted.acceleration,
    )
