"""Poisson log-linear models with pairwise interactions on an incomplete 2^k table.

Invariants: all 2^k - 1 cells enter a fit, but for those that a parameter of minus infinity explains (a
pair in the model that never overlaps); such parameters count in AIC and BIC. A fit that has no extended
maximum-likelihood estimate, or whose parameters are not identifiable, carries a refusal and no number;
its log-likelihood is still the supremum over the model, so that it bounds every model nested in it.

Chan, Silverman & Vincent, JASA 116 (2021), section 3 (sparse overlaps); `maximise` for existence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from gateway.client.estimates import designs
from gateway.client.estimates.designs import Flags, Floats, Indices, Pair
from gateway.client.estimates.maximise import expected, first_guess, newton, positive_cells, trust_region
from gateway.client.estimates.table import OverlapTable

NO_ESTIMATE = "no maximum-likelihood estimate exists for it, not even with parameters of minus infinity"
NOT_IDENTIFIABLE = "its parameters are not identifiable from the cells that are left to it"
NOT_CONVERGED = "its fit did not converge"


@dataclass(frozen=True, eq=False)
class Fit:
    """`pairs` are in the order in which they were selected; `design` and `expected` are over the cells that
    are left, and the last columns and coefficients are those of the `finite` pairs, in the order of the lists."""

    pairs: tuple[Pair, ...]
    finite: tuple[Pair, ...]
    loglik: float
    parameters: int
    observed: int
    refused: str | None
    design: Floats
    counts: Floats
    expected: Floats
    coefficients: Floats

    @property
    def point(self) -> float:
        """Everyone: the observed, and the expected count of the cell of those on no list."""
        return self.observed + math.exp(float(self.coefficients[0]))

    @property
    def aic(self) -> float:
        return -2 * self.loglik + 2 * self.parameters

    @property
    def bic(self) -> float:
        return -2 * self.loglik + self.parameters * math.log(self.observed)


class Loglinear:
    """Fits of one table; each set of pairs is fitted once."""

    def __init__(self, table: OverlapTable) -> None:
        every = designs.cells(len(table.lists))
        self.lists = table.lists
        self.pairs = every.pairs
        self.counts: Floats = np.array(table.counts, dtype=np.float64)
        self.observed = table.observed
        overlaps = (self.counts @ every.both).astype(int).tolist()
        self._overlaps: dict[Pair, int] = dict(zip(every.pairs, overlaps, strict=True))
        self._orders = float(gammaln(self.counts + 1).sum())
        self._fits: dict[tuple[Pair, ...], Fit] = {}

    def name(self, pair: Pair) -> str:
        return f"{self.lists[pair[0]]}:{self.lists[pair[1]]}"

    def overlap(self, pair: Pair) -> int:
        """People on both lists, whatever other lists they are on."""
        return self._overlaps[pair]

    def fit(self, pairs: tuple[Pair, ...]) -> Fit:
        """The maximum-likelihood fit of main effects and `pairs`, which keep their order in it."""
        key = tuple(sorted(pairs))
        if key not in self._fits:
            self._fits[key] = self._fit(key)
        found = self._fits[key]
        return found if found.pairs == pairs else replace(found, pairs=pairs)

    def _fit(self, pairs: tuple[Pair, ...]) -> Fit:
        finite = tuple(pair for pair in pairs if self._overlaps[pair])
        infinite = tuple(pair for pair in pairs if not self._overlaps[pair])
        design = designs.design(len(self.lists), finite, infinite)
        counts = self.counts[design.left]
        refused, loglik, beta = maximum(design.matrix, counts, design.basis)
        return Fit(
            pairs=pairs,
            finite=finite,
            # Cells that left are 0 with probability 1, and add nothing to the factorial terms either.
            loglik=loglik - self._orders,
            parameters=1 + len(self.lists) + len(pairs),
            observed=self.observed,
            refused=refused,
            design=design.matrix,
            counts=counts,
            expected=expected(design.matrix, beta),
            coefficients=beta,
        )


def maximum(design: Floats, counts: Floats, basis: Indices | None = None) -> tuple[str | None, float, Floats]:
    """(refusal, supremum of the log-likelihood without its factorial terms, coefficients).

    A design of deficient rank is fitted on the independent columns `basis`, which reach the same maximum.
    """
    part = design if basis is None else design[:, basis]
    beta = np.zeros(design.shape[1])
    start = first_guess(part, counts)
    found, face = newton(part, counts, start)
    if found is None:
        if face is None:
            face = positive_cells(part, counts)
        if not face.all():
            return NO_ESTIMATE, _on_the_face(design, counts, face), beta
        found = trust_region(part, counts, start)
        if found is None:
            return NOT_CONVERGED, math.inf, beta
    loglik = float(counts @ (part @ found) - expected(part, found).sum())
    if basis is None:
        return None, loglik, found
    beta[basis] = found
    return NOT_IDENTIFIABLE, loglik, beta


def _on_the_face(design: Floats, counts: Floats, face: Flags) -> float:
    """The supremum of a likelihood without maximum: its maximum over the cells that need not tend to zero."""
    if not face.any():
        return math.inf
    part = design[face]
    return maximum(part, counts[face], designs.independent(part))[1]
