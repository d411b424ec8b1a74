"""What published tables say about the cells that they hide: the widest interval that a reader can put around each, by
linear programs (HiGHS) over all tables at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell of a published table: the atoms (cells of the finest table) that it sums up; its count unless hidden."""

    atoms: frozenset[Hashable]
    count: int | None


def intervals(cells: Sequence[Shown], least: int = 1) -> list[tuple[float, float]]:
    """For each hidden cell, in order, from where to where it can lie; what is hidden holds `least` people or more."""
    atoms = {atom: place for place, atom in enumerate(sorted({a for cell in cells for a in cell.atoms}, key=repr))}
    sums = np.array([[float(atom in cell.atoms) for atom in atoms] for cell in cells])
    shown = np.array([cell.count is not None for cell in cells])
    counts = np.array([float(cell.count or 0) for cell in cells])
    found = []
    for row in sums[~shown]:
        ends = []
        for sign in (1.0, -1.0):
            told = linprog(
                sign * row,
                A_ub=-sums[~shown],
                b_ub=np.full(int((~shown).sum()), -float(least)),
                A_eq=sums[shown] if shown.any() else None,
                b_eq=counts[shown] if shown.any() else None,
            )
            assert told.status in (0, 3), told.message  # 3: nothing bounds it
            ends.append(sign * told.fun if told.status == 0 else np.inf)
        found.append((ends[0], ends[1]))
    return found


def pinned(cells: Sequence[Shown], minimum: int, least: int = 1) -> list[tuple[float, float]]:
    """The intervals that are tighter than the minimum: from which it follows that a cell is more than the least, or
    how far below the minimum it is."""
    slack = 1e-6
    return [(low, high) for low, high in intervals(cells, least) if low > least + slack or high < minimum - 1 - slack]
