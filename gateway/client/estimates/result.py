"""What an estimate says, in numbers and in words.

Invariants: an estimate has either numbers or the reason of its refusal, never both; every rendering
carries all models and the warning not to quote one of them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROFILE = "profile likelihood"

SIDE_BY_SIDE = (
    "Read the models side by side and quote none of them alone: which one fits victims' lists best is "
    "disputed in the literature, and they may differ by a factor of two."
)
INTERVAL_KIND = (
    "Intervals are 95 % profile likelihood, for the model as selected. Published BCa bootstrap intervals "
    "also carry the uncertainty of the selection, are usually wider, and cannot be compared end by end."
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One model's answer. `point`, `lo` and `hi` count everyone, the observed included.

    `terms` are the pairs of lists that interact, as "LA:NG", in the order in which they were selected;
    `hi` is None where the likelihood bounds the number from below only; `refused` says why there is no
    number, and then the numbers are None.
    """

    model: str
    observed: int
    terms: tuple[str, ...] = ()
    point: float | None = None
    lo: float | None = None
    hi: float | None = None
    interval: str = PROFILE
    aic: float | None = None
    bic: float | None = None
    notes: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def text(self) -> str:
        """One line: "stepwise-aic: 11313 (9889 - 13063), profile likelihood; LA:NG NG:GP"."""
        if self.refused is not None or self.point is None:
            return f"{self.model}: refused, {self.refused}"
        lo = "?" if self.lo is None else f"{self.lo:.0f}"
        hi = "no upper bound" if self.hi is None else f"{self.hi:.0f}"
        terms = " ".join(self.terms) or "no interactions"
        return f"{self.model}: {self.point:.0f} ({lo} - {hi}), {self.interval}; {terms}"


def render(estimates: Sequence[Estimate]) -> str:
    """All models under each other, then their notes, each once."""
    notes = dict.fromkeys(note for estimate in estimates for note in estimate.notes)
    return "\n".join([*(estimate.text for estimate in estimates), *notes])
