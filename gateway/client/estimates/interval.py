"""Profile-likelihood interval of the number of all people.

Invariant: the interval holds every N whose multinomial profile log-likelihood lies within half the 95 %
point of chi-squared with one degree of freedom of its maximum (Cormack, Biometrics 48, 1992; as used by
Bales, Hesketh & Silverman 2015).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import chdtri, gammaln

from gateway.client.estimates.designs import Floats
from gateway.client.estimates.loglinear import Fit
from gateway.client.estimates.maximise import solve
from gateway.client.estimates.result import Interval

DROP = float(chdtri(1, 0.05)) / 2
# An upper end beyond this many times the estimate is no upper end.
FARTHEST = 1e4


class NoProfile(Exception):
    """The model could not be fitted at some N."""


class Profile:
    """The profile log-likelihood of N: the best multinomial fit with N - n people in the unseen cell."""

    def __init__(self, fit: Fit) -> None:
        unseen = np.zeros((1, fit.design.shape[1]))
        unseen[0, 0] = 1.0
        self._fit = fit
        self._design: Floats = np.vstack([fit.design, unseen])
        # The Poisson fit is the multinomial one at its own estimate: a warm start for its neighbours.
        self._near: Floats = fit.coefficients

    def __call__(self, everyone: float) -> float:
        """Up to a constant: the factorials of the observed cells do not depend on N."""
        hidden = everyone - self._fit.observed
        counts: Floats = np.append(self._fit.counts, hidden)
        found = solve(self._design, counts, self._near)
        if found is None:
            raise NoProfile
        self._near = found
        log_share = self._design @ found - math.log(everyone)
        return float(gammaln(everyone + 1) - gammaln(hidden + 1) + counts @ log_share)


def profile_interval(fit: Fit) -> Interval:
    """Raises NoProfile when the model cannot be fitted at an N that the search visits."""
    profile = Profile(fit)
    observed, hidden = fit.observed, fit.point - fit.observed
    far = math.log1p(3 * hidden + 10)
    top = minimize_scalar(
        lambda u: -profile(observed + math.expm1(u)), bounds=(0.0, far), method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    mode, cut = observed + math.expm1(float(top.x)), -float(top.fun) - DROP
    lo = float(observed)
    if profile(lo) < cut:
        lo = float(brentq(lambda everyone: profile(everyone) - cut, lo, mode, xtol=1e-4))
    inner, outer = mode, observed + 2 * (mode - observed) + 10
    while profile(outer) > cut:
        inner, outer = outer, observed + 1.7 * (outer - observed)
        if outer > FARTHEST * fit.point:
            return Interval(lo, None)
    return Interval(lo, float(brentq(lambda everyone: profile(everyone) - cut, inner, outer, xtol=1e-4)))
