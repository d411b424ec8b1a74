"""How each named model chooses its interactions, and the estimate that it gives.

Invariants: a selection ends at a model that can be estimated, or is refused with the reason; ties go to
the pair that comes first in the order of the lists. Sources: stepwise AIC, Bales, Hesketh & Silverman,
Significance 12 (2015); stepwise p, Chan, Silverman & Vincent, JASA 116 (2021), section 3; minimum and
downhill BIC, Silverman, Chan & Vincent (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import pdtr, pdtrc

from gateway.client.estimates.interval import NoProfile, profile_interval
from gateway.client.estimates.loglinear import Fit, Loglinear, Pair
from gateway.client.estimates.result import INTERVAL_KIND, SIDE_BY_SIDE, Estimate
from gateway.client.estimates.table import OverlapTable

WALD = 0.05
POISSON = 0.02
# Nodes that the search may visit, at most a fit each: some 12 s with eight lists.
SEARCH = 20_000


class Refused(Exception):
    """No model can be given; the text says why."""


Selected = tuple[Fit, tuple[str, ...]]


def main_effects(table: Loglinear) -> Selected:
    fit = table.fit(())
    if fit.refused is not None:
        raise Refused(f"{fit.refused} (main effects alone)")
    return fit, ()


def stepwise_aic(table: Loglinear) -> Selected:
    """Add the pair with the best AIC; stop when its Wald p > 0.05 or it cannot be estimated."""
    fit, _ = main_effects(table)
    while len(fit.pairs) < len(table.pairs):
        best = min(
            (table.fit((*fit.pairs, pair)) for pair in table.pairs if pair not in fit.pairs),
            key=lambda candidate: candidate.aic,
        )
        added = best.pairs[-1]
        if best.refused is not None or added not in best.finite:
            return fit, (f"stepwise-aic: stopped before {table.name(added)}, which cannot be estimated.",)
        if wald_p(best) > WALD:
            break
        fit = best
    return fit, ()


def stepwise_p(table: Loglinear) -> Selected:
    """Add the pair whose total overlap the current model finds least likely, while p < 0.02."""
    fit, _ = main_effects(table)
    while len(fit.pairs) < len(table.pairs):
        p, added = min((poisson_p(table, fit, pair), pair) for pair in table.pairs if pair not in fit.pairs)
        if p >= POISSON:
            break
        best = table.fit((*fit.pairs, added))
        if best.refused is not None:
            return fit, (f"stepwise-p: stopped before {table.name(added)}: with it, {best.refused}.",)
        fit = best
    return fit, ()


def downhill_bic(table: Loglinear) -> Selected:
    """From main effects, add or drop the one pair that lowers BIC most, until none does."""
    fit, _ = main_effects(table)
    while True:
        around = [(*fit.pairs, pair) for pair in table.pairs if pair not in fit.pairs]
        around += [tuple(kept for kept in fit.pairs if kept != pair) for pair in fit.pairs]
        better = [near for near in map(table.fit, around) if near.refused is None and near.bic < fit.bic]
        if not better:
            return fit, ()
        fit = min(better, key=lambda near: near.bic)


def minimum_bic(table: Loglinear) -> Selected:
    """The least BIC over all 2^(k(k-1)/2) sets of pairs, by branch and bound, which is exact.

    A set that takes `taken` and may still take `open_pairs` has at best the likelihood of all of them
    (nested models, -infinity included) at the price of the parameters it has already taken.
    """
    try:
        incumbent: Fit | None = downhill_bic(table)[0]
    except Refused:
        incumbent = None
    base = table.fit(())
    # Pairs whose overlap is least expected first: leaving one of them out then cuts a branch early.
    order = sorted(table.pairs, key=lambda pair: -table.fit((pair,)).loglik)
    price = math.log(table.observed)
    budget = SEARCH
    stack: list[tuple[tuple[Pair, ...], int, float]] = [((), 0, table.fit(tuple(sorted(order))).loglik)]
    while stack:
        taken, depth, likelihood = stack.pop()
        least = -2 * likelihood + (base.parameters + len(taken)) * price
        if incumbent is not None and least >= incumbent.bic:
            continue
        budget -= 1
        if budget < 0:
            raise Refused(f"the search over 2^{len(order)} models did not end within {SEARCH} steps; merge lists")
        if depth == len(order):
            fit = table.fit(tuple(sorted(taken)))
            if fit.refused is None and (incumbent is None or fit.bic < incumbent.bic):
                incumbent = fit
            continue
        without = table.fit(tuple(sorted((*taken, *order[depth + 1 :])))).loglik
        stack.append((taken, depth + 1, without))
        stack.append(((*taken, order[depth]), depth + 1, likelihood))
    if incumbent is None:
        raise Refused("no set of interactions can be estimated from this table")
    return incumbent, ()


def wald_p(fit: Fit) -> float:
    """Two-sided p-value of the coefficient that was added last."""
    covariance = np.linalg.inv((fit.design.T * fit.expected) @ fit.design)
    z = float(fit.coefficients[-1]) / math.sqrt(float(covariance[-1, -1]))
    return math.erfc(abs(z) / math.sqrt(2))


def poisson_p(table: Loglinear, fit: Fit, pair: Pair) -> float:
    """The smaller one-sided Poisson tail of the pair's total overlap, observed value included."""
    i, j = pair[0] + 1, pair[1] + 1
    expected = float(fit.expected[(fit.design[:, i] * fit.design[:, j]) > 0].sum())
    overlap = table.overlap(pair)
    upper = 1.0 if overlap == 0 else float(pdtrc(overlap - 1, expected))
    return min(float(pdtr(overlap, expected)), upper)


SELECT: dict[str, Callable[[Loglinear], Selected]] = {
    "stepwise-aic": stepwise_aic,
    "minimum-bic": minimum_bic,
    "downhill-bic": downhill_bic,
    "stepwise-p": stepwise_p,
    "main-effects": main_effects,
}


def run(table: OverlapTable, models: Sequence[str]) -> list[Estimate]:
    loglinear = Loglinear(table)
    return [_estimate(loglinear, model) for model in models]


def _estimate(table: Loglinear, model: str) -> Estimate:
    try:
        fit, notes = SELECT[model](table)
    except Refused as refusal:
        return Estimate(model, table.observed, notes=(SIDE_BY_SIDE,), refused=str(refusal))
    lo: float | None = None
    hi: float | None = None
    try:
        interval = profile_interval(fit)
        lo, hi = interval.lo, interval.hi
    except NoProfile:
        notes = (*notes, f"{model}: the profile likelihood could not be followed; no interval is given.")
    else:
        if hi is None:
            notes = (*notes, f"{model}: the likelihood gives no upper bound.")
    return Estimate(
        model=model,
        observed=table.observed,
        terms=tuple(table.name(pair) for pair in fit.pairs),
        point=fit.point,
        lo=lo,
        hi=hi,
        aic=fit.aic,
        bic=fit.bic,
        notes=(SIDE_BY_SIDE, INTERVAL_KIND, *notes),
    )
