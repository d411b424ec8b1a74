"""Chao's lower bounds: from how many people are on one list and on two, without a model of the lists.

Invariant: a bound counts people, the observed included, and is at least the observed. Of the two, the first
takes lists for repeated draws of equal reach: where a few lists differ much in reach, people are on two of
them less often than it assumes, and it can lie above everyone. The second allows each list its own reach.

Chao, Biometrics 43 (1987), 783-791: n + f1^2 / (2 f2), its variance and the log-normal interval; where
f2 = 0 the bias-corrected n + f1 (f1 - 1) / (2 (f2 + 1)). Chao, Biometrics 45 (1989), 427-438, model M_t:
n + sum over i < j of Z_i Z_j / (f2 + 1), where Z_i people are on list i alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from gateway.client.estimates.table import OverlapTable

NORMAL = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Bound:
    """`point` with its 95 % log-normal interval, in people; without one where no spread can be told."""

    source: str
    formula: str
    point: float
    lo: float | None
    hi: float | None


def bounds(table: OverlapTable) -> tuple[Bound, Bound]:
    k = len(table.lists)
    alone = [table.counts[(1 << i) - 1] for i in range(k)]
    f1, f2 = sum(alone), sum(count for mask, count in enumerate(table.counts, 1) if mask.bit_count() == 2)
    if f2:
        formula, hidden = "n + f1²/(2·f2)", f1**2 / (2 * f2)
        slopes = (f1 / f2, -hidden / f2)
    else:
        formula, hidden = "n + f1·(f1 − 1)/(2·(f2 + 1))", f1 * (f1 - 1) / 2
        slopes = (f1 - 0.5, 0.0)
    equal = _bound("Chao 1987", formula, table.observed, hidden, [(f1, slopes[0]), (f2, slopes[1])])
    unlike = (f1**2 - sum(count**2 for count in alone)) / 2 / (f2 + 1)
    moves = [*((count, (f1 - count) / (f2 + 1)) for count in alone), (f2, -unlike / (f2 + 1))]
    return equal, _bound("Chao 1989", "n + Σ Zi·Zj/(f2 + 1), i < j", table.observed, unlike, moves)


def _bound(source: str, formula: str, observed: int, hidden: float, moves: Sequence[tuple[int, float]]) -> Bound:
    """`moves` are the cells that move the hidden part: (people, its derivative by them).

    The variance is the delta method's over the multinomial cells of everyone; for Chao's first form that is
    her f2 ((f1/f2)^4 / 4 + (f1/f2)^3 + (f1/f2)^2 / 2).
    """
    everyone = observed + hidden
    moving = sum(count for count, _ in moves)
    squares = sum(count * (1 + slope) ** 2 for count, slope in moves) + (observed - moving)
    mean = sum(count * (1 + slope) for count, slope in moves) + (observed - moving)
    variance = squares - mean**2 / everyone
    if hidden <= 0 or variance <= 0:
        return Bound(source, formula, everyone, None, None)
    factor = math.exp(NORMAL * math.sqrt(math.log1p(variance / hidden**2)))
    return Bound(source, formula, everyone, observed + hidden / factor, observed + hidden * factor)
