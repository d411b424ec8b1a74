"""One provider's people, added up at home: where nobody is recognised across providers, its totals are all it shares.

Invariants: a person is counted once, at its first row, as where rows are linked at home (linking.py); nothing of a
row leaves, but in totals, and those are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from connectors.engine.rows import InputCells
from connectors.sources.linking import LinkedRows


@dataclass(frozen=True, slots=True)
class Adding:
    """What is added up of people in one measure: how far its numbers are above `least`, and the squares of that, where
    `squares` are asked for."""

    least: int
    squares: bool = False

    @property
    def totals(self) -> int:
        """How many of each cell: how many people have a number, and the sums."""
        return 2 + self.squares


def nothing(cells: int, measures: Sequence[Adding]) -> InputCells:
    """Totals of nobody, in the order in which programs take them (connectors/engine/pooled.py)."""
    return InputCells(np.zeros((1 + sum(measure.totals for measure in measures), cells), dtype=np.uint64))


def added_up(linked: LinkedRows, sizes: Sequence[int], measures: Sequence[Adding]) -> InputCells:
    """Totals of people by their codes, of which each column has so many."""
    shape = tuple(sizes) or (1,)
    cells = nothing(int(np.prod(shape)), measures)
    for codes, values in zip(linked.codes, linked.values, strict=True):
        cell = int(np.ravel_multi_index(codes, shape)) if codes else 0
        cells.totals[0, cell] += np.uint64(1)
        at = 1
        for measure, value in zip(measures, values, strict=True):
            if value is not None:
                above = value - measure.least
                said = (1, above, above**2)[: measure.totals]
                cells.totals[at : at + measure.totals, cell] += np.array(said, dtype=np.uint64)
            at += measure.totals
    return cells
