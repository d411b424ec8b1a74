"""The cells of a 2^k table and the design of each model over them, made once for all tables of k lists.

Invariants: cell `mask - 1` is that of the lists whose bits are set in `mask`; a design's columns are the
constant, the k main effects and then the finite pairs in their order; cells on which a pair of parameter
minus infinity lies are left out. Resampling fits the same few hundred models thousands of times: what does
not depend on the counts is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]
Pair = tuple[int, int]

# Of eight lists one design takes up to 75 kB.
KEPT = 2048
# Of a pivot: matrices of 0 and 1 have none between this and a hundredth.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, eq=False)
class Cells:
    """`on` is (2^k - 1) x k, 1 where a cell's people are on a list; `both` the same for pairs of lists."""

    on: Floats
    pairs: tuple[Pair, ...]
    both: Floats


@dataclass(frozen=True, eq=False)
class Design:
    """`matrix` is (cells left) x columns; `basis` names independent columns where its rank is deficient."""

    left: Flags
    matrix: Floats
    basis: Indices | None


@lru_cache
def cells(k: int) -> Cells:
    masks = np.arange(1, 2**k)
    on = ((masks[:, None] >> np.arange(k)) & 1).astype(np.float64)
    pairs = tuple((i, j) for i in range(k) for j in range(i + 1, k))
    return Cells(on, pairs, np.column_stack([on[:, i] * on[:, j] for i, j in pairs]))


@lru_cache(maxsize=KEPT)
def design(k: int, finite: tuple[Pair, ...], infinite: tuple[Pair, ...]) -> Design:
    """Of main effects and the pairs `finite`, with the cells of the pairs `infinite` left out."""
    every = cells(k)
    column = {pair: every.both[:, index] for index, pair in enumerate(every.pairs)}
    left = np.ones(len(every.on), dtype=np.bool_)
    for pair in infinite:
        left &= column[pair] == 0
    whole = np.column_stack([np.ones(len(every.on)), every.on, *(column[pair] for pair in finite)])
    matrix: Floats = np.ascontiguousarray(whole[left])
    return Design(left, matrix, independent(matrix))


def independent(matrix: Floats) -> Indices | None:
    """Columns that span all of them; None where every one is needed."""
    triangle, order = qr(matrix, mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = int(np.count_nonzero(size > NEGLIGIBLE * size[0]))
    return None if rank == matrix.shape[1] else np.sort(order[:rank]).astype(np.intp)
