"""Poisson log-linear models with pairwise interactions on an incomplete 2^k table.

Invariants: all 2^k - 1 cells enter a fit, but for those that a parameter of minus infinity explains (a
pair in the model that never overlaps); such parameters count in AIC and BIC. A fit that has no extended
maximum-likelihood estimate, or whose parameters are not identifiable, carries a refusal and no number;
its log-likelihood is still the supremum over the model, so that it bounds every model nested in it.

Fienberg & Rinaldo, Maximum likelihood estimation in log-linear models, Ann. Statist. 40 (2012), Theorem 3
(the estimate exists if and only if the sufficient statistics are the margins of a table that is
positive everywhere); Chan, Silverman & Vincent, JASA 116 (2021), section 3 (sparse overlaps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.optimize import linprog, minimize, root
from scipy.special import gammaln

from gateway.client.estimates.table import OverlapTable

Floats = NDArray[np.float64]
Pair = tuple[int, int]

NO_ESTIMATE = "no maximum-likelihood estimate exists for it, not even with parameters of minus infinity"
NOT_IDENTIFIABLE = "its parameters are not identifiable from the cells that are left to it"
NOT_CONVERGED = "its fit did not converge"

# Below this expected count a positive solution could be the tail of a divergent one: the linear
# programme decides.
DOUBTFUL = 1e-5


@dataclass(frozen=True)
class Fit:
    """`design` and `expected` are over the cells that are left; the last columns are `finite` pairs."""

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


def solve(design: Floats, totals: Floats, start: Floats) -> Floats | None:
    """Coefficients whose expected counts have the sufficient statistics `totals`; None if not found.

    The log-likelihood is strictly concave on a design of full rank, so a root of the score is its one
    maximum. MINPACK's hybrid method finds it in well under a millisecond; SciPy's exact trust region, slower
    and safe from anywhere, takes over where it does not.
    """
    tolerance = 1e-7 * max(1.0, float(totals.max()))

    def expected(beta: Floats) -> Floats:
        mu: Floats = np.exp(np.minimum(design @ beta, 60.0))
        return mu

    def score(beta: Floats) -> Floats:
        gap: Floats = design.T @ expected(beta) - totals
        return gap

    def information(beta: Floats) -> Floats:
        fisher: Floats = (design.T * expected(beta)) @ design
        return fisher

    found = root(score, start, jac=information, method="hybr", options={"xtol": 1e-11})
    if float(np.abs(score(found.x)).max()) <= tolerance:
        return np.asarray(found.x, dtype=np.float64)
    best = minimize(
        lambda beta: float(expected(beta).sum() - totals @ beta),
        start,
        jac=score,
        hess=information,
        method="trust-exact",
        options={"gtol": tolerance / 10, "maxiter": 500},
    )
    if float(np.abs(score(best.x)).max()) <= tolerance:
        return np.asarray(best.x, dtype=np.float64)
    return None


def first_guess(design: Floats, counts: Floats) -> Floats:
    """Least squares on the log counts, weighted as in the first step of iterative reweighting."""
    weight = np.sqrt(counts + 0.1)
    guess: Floats = np.linalg.lstsq(design * weight[:, None], np.log(counts + 0.1) * weight, rcond=None)[0]
    return guess


def positive_cells(design: Floats, totals: Floats) -> NDArray[np.bool_]:
    """Cells that are positive in some table with these margins: all of them iff the estimate exists.

    One linear programme finds the largest such set: over tables z + w with 0 <= z <= 1 and w >= 0 whose
    margins are a multiple of `totals`, the sum of z is largest where z is 1 on exactly these cells.
    """
    cells, columns = design.shape
    margins = np.hstack([design.T, design.T, -totals[:, None] / max(1.0, float(totals.max()))])
    best = linprog(
        np.concatenate([-np.ones(cells), np.zeros(cells + 1)]),
        A_eq=margins,
        b_eq=np.zeros(columns),
        bounds=[(0, 1)] * cells + [(0, None)] * (cells + 1),
        method="highs",
    )
    if not best.success:
        return np.zeros(cells, dtype=np.bool_)
    support: NDArray[np.bool_] = best.x[:cells] > 0.5
    return support


class Loglinear:
    """Fits of one table; each model is fitted once."""

    def __init__(self, table: OverlapTable) -> None:
        k = len(table.lists)
        masks = np.arange(1, 2**k)
        self.lists = table.lists
        self.pairs: tuple[Pair, ...] = tuple((i, j) for i in range(k) for j in range(i + 1, k))
        self.cells: Floats = ((masks[:, None] >> np.arange(k)) & 1).astype(np.float64)
        self.counts: Floats = np.array(table.counts, dtype=np.float64)
        self.observed = table.observed
        self._fits: dict[tuple[Pair, ...], Fit] = {}

    def name(self, pair: Pair) -> str:
        return f"{self.lists[pair[0]]}:{self.lists[pair[1]]}"

    def both(self, pair: Pair) -> NDArray[np.bool_]:
        """The cells of people who are on both lists."""
        cells: NDArray[np.bool_] = (self.cells[:, pair[0]] * self.cells[:, pair[1]]) > 0
        return cells

    def overlap(self, pair: Pair) -> int:
        """People on both lists, whatever other lists they are on."""
        return round(float(self.counts[self.both(pair)].sum()))

    def fit(self, pairs: tuple[Pair, ...]) -> Fit:
        """The maximum-likelihood fit of main effects and `pairs`; `finite` keeps the order of `pairs`."""
        if pairs not in self._fits:
            self._fits[pairs] = self._fit(pairs)
        return self._fits[pairs]

    def _fit(self, pairs: tuple[Pair, ...]) -> Fit:
        left = np.ones(len(self.counts), dtype=np.bool_)
        finite: list[Pair] = []
        for pair in pairs:
            if self.overlap(pair) == 0:
                left &= ~self.both(pair)
            else:
                finite.append(pair)
        cells, counts = self.cells[left], self.counts[left]
        interactions = [cells[:, i] * cells[:, j] for i, j in finite]
        design = np.column_stack([np.ones(len(counts)), cells, *interactions])
        refused, beta = self._maximise(design, counts)
        expected: Floats = np.exp(design @ beta)
        loglik = _loglik(counts, expected)
        if refused == NO_ESTIMATE:
            loglik = self._supremum(design, counts)
        elif refused == NOT_CONVERGED:
            loglik = math.inf
        return Fit(
            pairs=pairs,
            finite=tuple(finite),
            loglik=loglik,
            parameters=1 + len(self.lists) + len(pairs),
            observed=self.observed,
            refused=refused,
            design=design,
            counts=counts,
            expected=expected,
            coefficients=beta,
        )

    @staticmethod
    def _maximise(design: Floats, counts: Floats) -> tuple[str | None, Floats]:
        """(refusal, coefficients); a design of deficient rank is fitted on an independent part of it."""
        columns = design.shape[1]
        rank = int(np.linalg.matrix_rank(design))
        basis = np.arange(columns)
        if rank < columns:
            basis = np.sort(qr(design, mode="r", pivoting=True)[1][:rank])
        part = design[:, basis]
        totals: Floats = part.T @ counts
        found = solve(part, totals, first_guess(part, counts))
        beta = np.zeros(columns)
        if found is not None:
            beta[basis] = found
        if (found is None or float(np.exp(part @ found).min()) < DOUBTFUL) and not bool(
            positive_cells(part, totals).all()
        ):
            return NO_ESTIMATE, beta
        if found is None:
            return NOT_CONVERGED, beta
        return (NOT_IDENTIFIABLE if rank < columns else None), beta

    def _supremum(self, design: Floats, counts: Floats) -> float:
        """Of a likelihood without maximum: its maximum on the face where it is approached."""
        face = positive_cells(design, np.asarray(design.T @ counts, dtype=np.float64))
        if not face.any() or face.all():
            return math.inf
        refused, beta = self._maximise(design[face], counts[face])
        if refused in (NO_ESTIMATE, NOT_CONVERGED):
            return math.inf
        return _loglik(counts[face], np.exp(design[face] @ beta))


def _loglik(counts: Floats, expected: Floats) -> float:
    """Poisson log-likelihood with the factorial terms; cells that left are 0 with probability 1."""
    return float((counts * np.log(np.maximum(expected, 1e-300)) - expected - gammaln(counts + 1)).sum())
