"""How each named model chooses its interactions.

Invariants: a selection ends at a model that can be estimated, or is refused with the reason; ties go to
the pair that comes first in the order of the lists. Sources: stepwise AIC, Bales, Hesketh & Silverman,
Significance 12 (2015); stepwise p, Chan, Silverman & Vincent, JASA 116 (2021), section 3; minimum and
downhill BIC, Silverman, Chan & Vincent (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import pdtr, pdtrc

from gateway.client.estimates.designs import Pair
from gateway.client.estimates.loglinear import Fit, Loglinear

WALD = 0.05
POISSON = 0.02
# Nodes that the search may visit, at most a fit each, which takes a tenth of a millisecond with five lists and up to
# three with eight. Up to five lists it always ends, within 2047.
SEARCH = 20_000
SEARCH_AGAIN = 4_096


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
    """Add the pair whose total overlap the current model finds least likely, while p < 0.02.

    A pair with which the model cannot be estimated is passed over, as in the authors' R package SparseMSE.
    """
    fit, notes = main_effects(table)
    while True:
        left = sorted((poisson_p(table, fit, pair), pair) for pair in table.pairs if pair not in fit.pairs)
        unlikely = [table.fit((*fit.pairs, pair)) for p, pair in left if p < POISSON]
        best = next((candidate for candidate in unlikely if candidate.refused is None), None)
        passed = dict.fromkeys(
            f"stepwise-p: passed over {table.name(candidate.pairs[-1])}: with it, {candidate.refused}."
            for candidate in (unlikely if best is None else unlikely[: unlikely.index(best)])
        )
        notes = tuple(dict.fromkeys((*notes, *passed)))
        if best is None:
            return fit, notes
        fit = best


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


def minimum_bic(table: Loglinear, budget: int = SEARCH) -> Selected:
    """The least BIC over all 2^(k(k-1)/2) sets of pairs, by branch and bound, which is exact.

    A set that takes `taken` and may still take the pairs after `depth` has at best the likelihood of all of
    them, which `whole` takes (nested models, -infinity included), at the price of the parameters it has already
    taken. Over the same cells, what cannot be estimated cannot be with more pairs either (Chan, Silverman &
    Vincent 2021, section 2.7): such a set is left with all that it may still take.
    """
    try:
        incumbent: Fit | None = downhill_bic(table)[0]
    except Refused:
        incumbent = None
    base = table.fit(())
    # Pairs whose overlap is least expected first: leaving one of them out then cuts a branch early.
    order = sorted(table.pairs, key=lambda pair: -table.fit((pair,)).loglik)
    # From here on no pair takes cells out.
    settled = 1 + max((depth for depth, pair in enumerate(order) if not table.overlap(pair)), default=-1)
    price = math.log(table.observed)
    left = budget
    stack: list[tuple[tuple[Pair, ...], int, Fit]] = [((), 0, table.fit(tuple(sorted(order))))]
    while stack:
        taken, depth, whole = stack.pop()
        least = -2 * whole.loglik + (base.parameters + len(taken)) * price
        if incumbent is not None and least >= incumbent.bic:
            continue
        left -= 1
        if left < 0:
            raise Refused(f"the search over 2^{len(order)} models did not end within {budget} steps; merge lists")
        if whole.refused is not None and depth >= settled and table.fit(tuple(sorted(taken))).refused is not None:
            continue
        if depth == len(order):
            incumbent = whole
            continue
        without = table.fit(tuple(sorted((*taken, *order[depth + 1 :]))))
        stack.append((taken, depth + 1, without))
        stack.append(((*taken, order[depth]), depth + 1, whole))
    if incumbent is None:
        raise Refused("no set of interactions can be estimated from this table")
    return incumbent, ()


def wald_p(fit: Fit) -> float:
    """Two-sided p-value of the coefficient that was added last."""
    covariance = np.linalg.inv((fit.design.T * fit.expected) @ fit.design)
    column = fit.design.shape[1] - len(fit.finite) + fit.finite.index(fit.pairs[-1])
    z = float(fit.coefficients[column]) / math.sqrt(float(covariance[column, column]))
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
# For a table of many that are resampled.
SELECT_AGAIN: dict[str, Callable[[Loglinear], Selected]] = {
    **SELECT,
    "minimum-bic": partial(minimum_bic, budget=SEARCH_AGAIN),
}
