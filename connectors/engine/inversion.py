"""The inverse of a positive semidefinite matrix of shares.

Invariants: nothing is opened but products under masks (wide.py); rounds and sizes follow from the size of the matrix
and the number of steps alone; a singular matrix is inverted as far as the steps go, and no number gets out of bounds.

Y <- Y (2 I - B Y) from Y = I (Schulz 1933; Higham, "Functions of Matrices", 2008, section 7.3), for B whose eigenvalues
are from 0 to 1. On an eigenvector of B with eigenvalue b, k steps give (1 - (1 - b)^(2^k)) / b: below 1 / b, nearer to
it by squares, and at most 2^k. So an eigenvalue of 2^-e takes e steps, and six more for 2^-92 of it. No pivot, no
division and no comparison is needed, which is what elimination costs under MPC. A rounding error is doubled by a step
where the inverse is far from reached, and forgotten where it is. Y is kept symmetric; B Y, which is so only up to
errors, is not made so: where B is singular its errors on one side go into nothing, on the other into numbers as large
as Y.
"""

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.wide import FRACTION, Q, Wide, cut, cut_cost, deal_masks, masks_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

MOST_STEPS = 50  # numbers up to 2^50, so that products fit BOUND_BITS


async def inverse(rt: "Engine", b: Wide, steps: int, step: str) -> Wide:
    """Shares [K, K] of the inverse of B, for shares [K, K] of it, both with FRACTION bits. 2 * steps - 1 rounds."""
    if not 1 < steps <= MOST_STEPS:
        raise ValueError(f"{steps} steps are not between 2 and {MOST_STEPS}")
    first = np.array(np.eye(len(b), dtype=int), dtype=object) * (2 << FRACTION) - b
    return await improved(rt, b, first, steps - 1, step)


async def improved(rt: "Engine", b: Wide, y: Wide, steps: int, step: str) -> Wide:
    """The inverse after so many steps from a symmetric Y that is not above it. 1 + 2 * steps rounds."""
    size = len(b)
    upper = np.triu_indices(size)
    each, half = b.size, len(upper[0])
    masks = await deal_masks(rt, steps * (each + half), step)
    twice = np.array(np.eye(size, dtype=int), dtype=object) * (2 << FRACTION)
    for start in range(0, steps * (each + half), each + half):
        product = await cut(rt, (b @ y).ravel() % Q, masks.taken(start, each), step)
        found = (y @ (twice - product.reshape(b.shape)))[upper] % Q
        y = np.empty_like(b)
        y[upper] = y.T[upper] = await cut(rt, found, masks.taken(start + each, half), step)
    return np.asarray(y)


def inverse_cost(shape: Shape, size: int, steps: int) -> Cost:
    return improved_cost(shape, size, steps - 1)


def improved_cost(shape: Shape, size: int, steps: int) -> Cost:
    each, half = size**2, size * (size + 1) // 2
    products = cut_cost(shape, each) + cut_cost(shape, half)
    return masks_cost(shape, steps * (each + half)) + products.times(steps)
