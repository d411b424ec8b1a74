"""The maximum of a Poisson log-linear likelihood, and whether there is one.

Invariant: a root is given only where Newton's step at it is negligible in every cell. Where no maximum
exists the step stays near one for the cells that tend to zero, so that their tail is never taken for a
solution. That there is none is said only with a proof: the direction in which the likelihood rises for
ever, or else the linear programme.

Fienberg & Rinaldo, Maximum likelihood estimation in log-linear models, Ann. Statist. 40 (2012), Theorem 3
(the estimate exists if and only if the sufficient statistics are the margins of a table that is positive
everywhere).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.optimize import linprog, minimize

from gateway.client.estimates.designs import Flags, Floats

STEPS = 25
# Largest change of a cell's log expected count by the last step; convergence is quadratic.
SETTLED = 1e-6
# Steps before it is asked whether they lead nowhere, and how level a step must then be on the cells that stay.
PATIENCE = 5
LEVEL = 1e-4
HIGHEST = 60.0


def expected(design: Floats, beta: Floats) -> Floats:
    mu: Floats = np.exp(np.minimum(design @ beta, HIGHEST))
    return mu


def newton(design: Floats, counts: Floats, start: Floats) -> tuple[Floats | None, Flags | None]:
    """(coefficients, None) at the maximum, (None, the cells that stay) where there is none, (None, None) else.

    Newton's method on the score, which for this model is iteratively reweighted least squares: a strictly
    concave likelihood on a design of full rank has one root at most. Under a tenth of a millisecond with five
    lists, a little less than SciPy's `root`, which does not say which way it went where there is no root: that
    proof saves a linear programme of two milliseconds, and most models of a sparse table have none.
    """
    beta, totals = start, counts @ design
    for number in range(STEPS):
        mu = expected(design, beta)
        _, step, failed = dposv((design.T * mu) @ design, totals - mu @ design)
        if failed:
            break
        beta = np.asarray(beta + step, dtype=np.float64)
        rise: Floats = design @ step
        shift = float(np.abs(rise).max())
        if shift <= SETTLED:
            return beta, None
        if not shift < HIGHEST:  # also where it is no number
            break
        if number >= PATIENCE and (stay := staying(rise, counts)) is not None:
            return None, stay
    return None, None


def staying(rise: Floats, counts: Floats) -> Flags | None:
    """The cells on which a step leaves the log expected counts as they are, if it only lowers others, all empty.

    Along such a direction the likelihood rises for ever: there is no estimate, and its supremum is that over
    the cells that stay. A step is such a direction to within `LEVEL`; one that is exact is then nearer than
    that times the condition number of the design of the cells that stay, which for these small matrices of 0
    and 1 is far from the half that would be needed to lower nothing.
    """
    stay: Flags = rise > -0.5
    if stay.all() or counts[~stay].any() or float(np.abs(rise[stay]).max(initial=0.0)) > LEVEL:
        return None
    return stay


def solve(design: Floats, counts: Floats, start: Floats) -> Floats | None:
    """The coefficients at the maximum; None if not found."""
    found, _ = newton(design, counts, start)
    return trust_region(design, counts, start) if found is None else found


def trust_region(design: Floats, counts: Floats, start: Floats) -> Floats | None:
    """As `solve`, by SciPy's exact trust region: slower, and safe from anywhere."""
    totals = counts @ design
    tolerance = 1e-7 * max(1.0, float(totals.max()))

    def score(beta: Floats) -> Floats:
        gap: Floats = expected(design, beta) @ design - totals
        return gap

    best = minimize(
        lambda beta: float(expected(design, beta).sum() - totals @ beta),
        start,
        jac=score,
        hess=lambda beta: (design.T * expected(design, beta)) @ design,
        method="trust-exact",
        options={"gtol": tolerance / 10, "maxiter": 500},
    )
    found: Floats = np.asarray(best.x, dtype=np.float64)
    return found if float(np.abs(score(found)).max()) <= tolerance else None


def first_guess(design: Floats, counts: Floats) -> Floats:
    """The first step of iterative reweighting: least squares on the log counts, weighted by the counts."""
    weight = counts + 0.1
    weighted = design.T * weight
    _, guess, failed = dposv(weighted @ design, weighted @ np.log(weight))
    if failed:
        guess = np.zeros(design.shape[1])
        guess[0] = np.log(weight.mean())
    return np.asarray(guess, dtype=np.float64)


def positive_cells(design: Floats, counts: Floats) -> Flags:
    """Cells that are positive in some table with the margins of `counts`: all of them iff the estimate exists.

    One linear programme finds the largest such set: over tables z + w with 0 <= z <= 1 and w >= 0 whose
    margins are a multiple of these, the sum of z is largest where z is 1 on exactly these cells.
    """
    rows, columns = design.shape
    totals = counts @ design
    margins = np.hstack([design.T, design.T, -totals[:, None] / max(1.0, float(totals.max()))])
    best = linprog(
        np.concatenate([-np.ones(rows), np.zeros(rows + 1)]),
        A_eq=margins,
        b_eq=np.zeros(columns),
        bounds=[(0, 1)] * rows + [(0, None)] * (rows + 1),
        method="highs",
    )
    if not best.success:
        return np.zeros(rows, dtype=np.bool_)
    support: Flags = best.x[:rows] > 0.5
    return support
